"""Reads the lake without Spark: DuckDB over the files of one Delta version.

The tables promise what makes a list of Parquet files a correct reading of them: no
deletion vectors, no column mapping, no type widening. Where DuckDB has no file system
for a root (S3), it reads through deltalake's Arrow dataset instead: slower, same rows.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from conf.lake.roots import table_uri
from conf.lake.tables import (
    DATE,
    INT,
    STRING,
    TABLES,
    TIMESTAMP,
    Column,
    TableContract,
)

# Facts are never rewritten, they get a later state; these show the newest one.
_CURRENT = {
    "silver.corrections": """
        SELECT * FROM silver.corrections QUALIFY row_number() OVER (
            PARTITION BY symbol, event_time_ns, message_hash
            ORDER BY list_position(['matched', 'ambiguous', 'pending'], match_state)
        ) = 1""",
    "silver.gaps": """
        SELECT * FROM silver.gaps QUALIFY row_number() OVER (
            PARTITION BY gap_id
            ORDER BY coalesce(list_position(['late', 'opened'], state), 0), known_time
        ) = 1""",
}
_PARTITION_TYPES = {DATE: "DATE", INT: "INTEGER", STRING: "VARCHAR"}


def connect(root: str) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection with one view ``layer.table`` per existing table.

    A table whose rows are states has a second view, ``layer.table_current``. Views show
    the version that was newest then; ``refresh`` moves them on.
    """
    connection = offline_connection()
    refresh(connection, root)
    return connection


def refresh(connection: duckdb.DuckDBPyConnection, root: str) -> None:
    """Point every view at the newest version of its table."""
    for contract in TABLES.values():
        uri = table_uri(root, contract)
        if DeltaTable.is_deltatable(uri):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {contract.layer}")
            rows = _select(connection, contract, DeltaTable(uri))
            _create_view(connection, contract.name, rows)
            if contract.name in _CURRENT:
                current = _CURRENT[contract.name]
                _create_view(connection, f"{contract.name}_current", current)


def scan(
    root: str,
    contract: TableContract,
    *,
    columns: Sequence[str] | None = None,
    where: str = "true",
    version: int | None = None,
) -> pa.Table:
    """Return rows of one table, typed as its contract says.

    Args:
        root: The lake.
        contract: The table.
        columns: Names, in the order wanted; by default all.
        where: SQL over the columns. A condition on a partition column (``day``) skips
            the files of the others.
        version: Delta version; by default the newest.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no such table.
    """
    names = list(columns or contract.column_names)
    table = DeltaTable(table_uri(root, contract), version=version)
    with offline_connection() as connection:
        relation = connection.sql(_select(connection, contract, table))
        rows = relation.filter(where).select(*names).to_arrow_table()
    return rows.cast(pa.schema([contract.schema.field(name) for name in names]))


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, rows: str) -> None:
    connection.execute(f"CREATE OR REPLACE VIEW {name} AS {rows}")


def offline_connection(**config: str) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection, in UTC as its cursors are, that fetches nothing.

    Args:
        **config: DuckDB's own, such as ``memory_limit``.
    """
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", **config}
    )
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def rows_of(contract: TableContract, files: Sequence[str]) -> str:
    """Return SQL that yields the rows of local Parquet files of one table.

    The partition columns, which stand in the folders' names only, are left out: naming
    them, or matching columns by name, makes DuckDB open every file twice.

    Args:
        contract: The table.
        files: At least one, of one Delta version.
    """
    stored = [c for c in contract.columns if c.name not in contract.partition_by]
    source = f"read_parquet({list(files)!r}, hive_partitioning=false)"
    return f"SELECT {_typed(stored)} FROM {source}"  # noqa: S608 (as below)


def _select(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, table: DeltaTable
) -> str:
    """Return SQL that yields the table's rows, columns and types of the contract."""
    source = _source(connection, contract, table)
    columns = _typed(contract.columns)
    return f"SELECT {columns} FROM {source}"  # noqa: S608 (names of the contract)


def _typed(columns: Sequence[Column]) -> str:
    # Spark writes INT96, which carries no time zone; deltalake writes one.
    return ", ".join(
        f"CAST({column.name} AS TIMESTAMPTZ) AS {column.name}"
        if column.type == TIMESTAMP
        else column.name
        for column in columns
    )


def _source(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, table: DeltaTable
) -> str:
    files = table.file_uris()
    if files and not files[0].startswith("s3"):
        types = ", ".join(
            f"'{name}': {_PARTITION_TYPES[contract.schema.field(name).type]}"
            for name in contract.partition_by
        )
        return f"read_parquet({files!r}, union_by_name=true, hive_types={{{types}}})"
    name = f"{contract.path.replace('/', '_')}_dataset"
    connection.register(name, table.to_pyarrow_dataset())
    return name
