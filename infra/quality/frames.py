"""The rows of a change as a suite needs them: few columns, in pandas's own types."""

from collections.abc import Iterable, Iterator

import duckdb
import pandas as pd
import pyarrow as pa

from conf.lake.files import rows_of_files
from conf.lake.tables import Column, TableContract
from infra.quality.rules import Rule, Within
from infra.quality.slices import Change


def frame_of(
    connection: duckdb.DuckDBPyConnection, change: Change, rules: Iterable[Rule]
) -> pd.DataFrame:
    """Return the rows that a change added, with the values that the rules are about.

    A text of bytes or a list is told by its length, a decimal as a float: what is
    checked of them is whether they are there.

    Args:
        connection: Where the SQL runs.
        change: It has files.
        rules: What the rows are held to.
    """
    source = rows_of_files(change.contract, change.files)
    chosen = ", ".join(_selected(change.contract, list(rules)))
    rows = connection.sql(f"SELECT {chosen} FROM ({source})")  # noqa: S608 (our names)
    frame: pd.DataFrame = rows.to_arrow_table().to_pandas(date_as_object=False)
    return frame


def _selected(contract: TableContract, rules: list[Rule]) -> Iterator[str]:
    asked = {name for rule in rules for name in rule.needs} | set(contract.key)
    for column in contract.columns:
        if not column.nullable or column.name in asked:
            yield f"{_plain(column)} AS {column.name}"
    for rule in rules:
        if isinstance(rule, Within) and rule.value:
            yield f"CAST({rule.value} AS DOUBLE) AS {rule.name}"


def _plain(column: Column) -> str:
    if pa.types.is_binary(column.type):
        return f"octet_length({column.name})"
    if pa.types.is_nested(column.type):
        return f"len({column.name})"
    if pa.types.is_decimal(column.type):
        return f"CAST({column.name} AS DOUBLE)"
    return column.name
