"""The files of one Delta version as DuckDB reads them.

The tables promise what makes a list of Parquet files a correct reading of them: no
deletion vectors, no column mapping, no type widening. Where DuckDB has no file system
for a root (S3), it reads through deltalake's Arrow dataset instead: slower, same rows.
"""

import re
from collections.abc import Sequence

import duckdb
from deltalake import DeltaTable

from conf.lake.tables import DATE, INT, STRING, TIMESTAMP, Column, TableContract

Pruning = list[tuple[str, str, str]]
"""Conditions on partition columns, all of which a file must meet: column, operator,
value."""

_PARTITION_TYPES = {DATE: "DATE", INT: "INTEGER", STRING: "VARCHAR"}


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


def rows_of_files(contract: TableContract, files: Sequence[str]) -> str:
    """Return SQL that yields all columns of local Parquet files of one table.

    Args:
        contract: The table.
        files: At least one, below the folder of their partition.
    """
    columns, source = _typed(contract.columns), _local(contract, files)
    return f"SELECT {columns} FROM {source}"  # noqa: S608 (as above)


def rows_of_version(
    connection: duckdb.DuckDBPyConnection,
    contract: TableContract,
    table: DeltaTable,
    pruning: Pruning | None = None,
) -> str:
    """Return SQL that yields the rows of a table's version, typed as its contract says.

    Args:
        connection: Where the SQL will run.
        contract: The table.
        table: Opened at the version.
        pruning: Files that do not meet it are left out.
    """
    source = _source(connection, contract, table, pruning)
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
    connection: duckdb.DuckDBPyConnection,
    contract: TableContract,
    table: DeltaTable,
    pruning: Pruning | None,
) -> str:
    files = table.file_uris(file_pruning_predicate=pruning or None)
    if files and not files[0].startswith("s3"):
        return _local(contract, files)
    name = re.sub(r"\W", "_", f"{contract.path} {table.version()} {pruning or ''}")
    dataset = table.to_pyarrow_dataset(file_pruning_predicate=pruning or None)
    connection.register(name, dataset)
    return name


def _local(contract: TableContract, files: Sequence[str]) -> str:
    types = ", ".join(
        f"'{name}': {_PARTITION_TYPES[contract.schema.field(name).type]}"
        for name in contract.partition_by
    )
    source = f"{list(files)!r}, union_by_name=true, hive_types={{{types}}}"
    return f"read_parquet({source})"
