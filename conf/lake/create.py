"""Tables come into being here, and an older lake is refused or migrated here."""

from collections.abc import Iterable

from deltalake import DeltaTable, Schema

from conf.errors import FixSetup
from conf.lake.roots import table_uri
from conf.lake.tables import TableContract

LOG_RETENTION_DAYS = {"bronze.records": 7}
"""How long a version can be asked for, and a stream that stood still can go on: silver
reads bronze as a stream, so this is the longest that silver may be down."""
DEFAULT_LOG_RETENTION_DAYS = 2
_PROPERTIES = {
    # The writer cleans the log itself: Delta knows no pins (conf/lake/maintenance.py).
    "delta.enableExpiredLogCleanup": "false",
    "delta.deletedFileRetentionDuration": "interval 1 days",
    # Keys, times and prices stand first; the lineage at the end needs no statistics.
    "delta.dataSkippingNumIndexedCols": "8",
}


# Commits between two checkpoints. Spark needs 0.3 s to write one, but reads a table
# that deltalake wrote by opening every commit since the last: silver streams from
# records, gold from trades.
_CHECKPOINT_INTERVAL = {"bronze.records": 20, "silver.trades": 20}
_DEFAULT_INTERVAL = 100


def ensure_tables(root: str, contracts: Iterable[TableContract]) -> None:
    """Create the tables that do not exist and check those that do.

    Raises:
        FixSetup: A table was written under another contract version.
    """
    for contract in contracts:
        uri = table_uri(root, contract)
        if DeltaTable.is_deltatable(uri):
            _require_version(DeltaTable(uri), contract)
        else:
            create_table(uri, contract)


def create_table(uri: str, contract: TableContract) -> DeltaTable:
    """Create one empty table with reader version 1 and writer version 2."""
    interval = _CHECKPOINT_INTERVAL.get(contract.name, _DEFAULT_INTERVAL)
    kept_days = LOG_RETENTION_DAYS.get(contract.name, DEFAULT_LOG_RETENTION_DAYS)
    return DeltaTable.create(
        uri,
        contract.schema,
        mode="ignore",
        partition_by=list(contract.partition_by),
        name=contract.name,
        description=_description(contract),
        configuration={
            **_PROPERTIES,
            "delta.checkpointInterval": str(interval),
            "delta.logRetentionDuration": f"interval {kept_days} days",
        },
    )


def widen_table(root: str, contract: TableContract) -> None:
    """Add the columns that a table of an older contract lacks; they are null there.

    For tables that are only appended to. Nothing happens where columns are missing that
    may not be null: then ``ensure_tables`` refuses the table.
    """
    uri = table_uri(root, contract)
    if not DeltaTable.is_deltatable(uri):
        return
    table = DeltaTable(uri)
    held = {field.name for field in table.schema().fields}
    wanted = Schema.from_arrow(contract.schema).fields
    missing = [field for field in wanted if field.name not in held]
    if missing and all(field.nullable for field in missing):
        table.alter.add_columns(missing)
        table.alter.set_table_description(_description(contract))


def _description(contract: TableContract) -> str:
    return f"{contract.grain} (contract {contract.version})"


def _require_version(table: DeltaTable, contract: TableContract) -> None:
    if table.metadata().description != _description(contract):
        raise FixSetup(
            contract.name,
            f"was written as “{table.metadata().description}”, "
            f"this version of Tickhouse writes “{_description(contract)}”",
            "Keep the old checkout for this lake, or start anew with `make reset`",
        )
