"""Two tables compared as multisets of rows, every difference named."""

# ruff: noqa: S608 - every name in this SQL is one of our own

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

EXAMPLES = 10
Example = dict[str, Any]


@dataclass(frozen=True)
class TableReport:
    """Verdict on one table.

    Attributes:
        table: ``<layer>.<table>``.
        expected: Rows it must hold.
        stored: Rows it holds.
        lost: Events without a row.
        duplicated: Further rows of events that have one.
        altered: Rows that equal no event. Each stands for one of its symbol's events
            without a row, if there is one: that event is not lost.
        examples: Up to ten of each, by the fault's name.
    """

    table: str
    expected: int
    stored: int
    lost: int
    duplicated: int
    altered: int
    examples: dict[str, list[Example]]


def compare(
    db: duckdb.DuckDBPyConnection,
    table: str,
    *,
    expected: str,
    stored: str,
    columns: Sequence[str],
) -> TableReport:
    """Compare every row of two tables.

    Args:
        db: Holds both.
        table: Name for the report.
        expected: Table of the rows that must be there.
        stored: Table of the rows that are there.
        columns: What makes a row; ``symbol`` is one of them. Rows that differ in
            nothing but their ``occurrence`` are copies of one event.
    """
    names = ", ".join(columns)
    _find_differing(db, expected, stored, columns)
    _pair_differing(db, names)
    lost = "FROM paired WHERE stranger IS NULL"
    altered = "FROM paired WHERE stranger IS NOT NULL"
    copies = f"SELECT {names}, held - owed AS times FROM differing WHERE is_copy"
    return TableReport(
        table=table,
        expected=count(db, f"FROM {expected}"),
        stored=count(db, f"FROM {stored}"),
        lost=count(db, lost),
        duplicated=count(db, f"FROM ({copies}), range(times)"),
        altered=count(db, altered),
        examples={
            "lost": rows(db, f"SELECT unnest(missing) {lost}"),
            "duplicated": rows(db, copies),
            "altered": rows(db, f"SELECT missing AS expected, stranger {altered}"),
        },
    )


def count(db: duckdb.DuckDBPyConnection, source: str) -> int:
    """Return the number of rows of a query's FROM and WHERE."""
    (number,) = db.execute(f"SELECT count(*) {source}").fetchone() or (0,)
    return int(number)


def rows(db: duckdb.DuckDBPyConnection, query: str) -> list[Example]:
    """Return the first rows of a query, by column name."""
    return fetch(db, f"SELECT * FROM ({query}) LIMIT {EXAMPLES}")


def fetch(db: duckdb.DuckDBPyConnection, query: str) -> list[Example]:
    """Return every row of a query, by column name."""
    result = db.execute(query)
    names = [name for name, *_ in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _find_differing(
    db: duckdb.DuckDBPyConnection, expected: str, stored: str, columns: Sequence[str]
) -> None:
    """Make ``differing``: rows that one table has more often than the other."""
    names = ", ".join(columns)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE differing AS
        WITH counted AS (
            SELECT {names}, sum(owed)::BIGINT AS owed, sum(held)::BIGINT AS held
            FROM (
                SELECT {names}, 1 AS owed, 0 AS held FROM {expected}
                UNION ALL SELECT {names}, 0, 1 FROM {stored}
            )
            GROUP BY ALL HAVING sum(owed) <> sum(held)
        )
        SELECT *, held > owed AND {_is_known(expected, columns)} AS is_copy
        FROM counted
        """
    )


def _pair_differing(db: duckdb.DuckDBPyConnection, names: str) -> None:
    """Make ``paired``: each missing row beside a stranger of its symbol, if any."""
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE paired AS
        SELECT missing, stranger FROM
            ({_numbered("missing", names, "owed - held", "owed > held")})
            FULL JOIN
            ({_numbered("stranger", names, "held", "held > owed AND NOT is_copy")})
            USING (symbol, nth)
        """
    )


def _is_known(expected: str, columns: Sequence[str]) -> str:
    """Return SQL that tells whether a row of ``counted`` repeats an expected event."""
    if "occurrence" not in columns:
        return "owed > 0"
    same = " AND ".join(
        f"e.{name} IS NOT DISTINCT FROM counted.{name}"
        for name in columns
        if name != "occurrence"
    )
    return f"EXISTS (SELECT 1 FROM {expected} AS e WHERE {same})"


def _numbered(alias: str, names: str, copies: str, where: str) -> str:
    """Return SQL for each copy of some differing rows, numbered within its symbol."""
    return f"""
        SELECT symbol, row AS {alias},
            row_number() OVER (PARTITION BY symbol ORDER BY row) AS nth
        FROM (
            SELECT symbol, struct_pack({_packed(names)}) AS row,
                unnest(range({copies})) AS copy
            FROM differing WHERE {where}
        )
    """


def _packed(names: str) -> str:
    return ", ".join(f"{name} := {name}" for name in names.split(", "))
