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
from conf.lake.tables import DATE, INT, TABLES, TIMESTAMP, TableContract

_PARTITION_TYPES = {DATE: "DATE", INT: "INTEGER"}


def connect(root: str) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection with one view ``layer.table`` per existing table.

    A view shows the version that was newest then; ``refresh`` moves it on.
    """
    connection = _offline_connection()
    refresh(connection, root)
    return connection


def refresh(connection: duckdb.DuckDBPyConnection, root: str) -> None:
    """Point every view at the newest version of its table."""
    for contract in TABLES.values():
        uri = table_uri(root, contract)
        if DeltaTable.is_deltatable(uri):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {contract.layer}")
            rows = _select(connection, contract, DeltaTable(uri))
            connection.execute(f"CREATE OR REPLACE VIEW {contract.name} AS {rows}")


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
    with _offline_connection() as connection:
        relation = connection.sql(_select(connection, contract, table))
        rows = relation.filter(where).select(*names).to_arrow_table()
    return rows.cast(pa.schema([contract.schema.field(name) for name in names]))


def _offline_connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _select(
    connection: duckdb.DuckDBPyConnection, contract: TableContract, table: DeltaTable
) -> str:
    """Return SQL that yields the table's rows, columns and types of the contract."""
    # Spark writes INT96, which carries no time zone; deltalake writes one.
    columns = ", ".join(
        f"CAST({column.name} AS TIMESTAMPTZ) AS {column.name}"
        if column.type == TIMESTAMP
        else column.name
        for column in contract.columns
    )
    source = _source(connection, contract, table)
    return f"SELECT {columns} FROM {source}"  # noqa: S608 (names of the contract)


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
