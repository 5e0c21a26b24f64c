"""The one seam through which silver and gold write: three verbs, two engines.

``embedded`` merges with deltalake inside this process (local default, because a
delta-spark MERGE costs half a second whatever its size); ``spark`` merges with
delta-spark (clusters). Both take the rows that Spark computed, the same predicates
and the same Delta transactions. A deployment uses one of them.

A verb is idempotent: its ``Transaction`` is stored in the same commit as its rows, so
a batch that Spark repeats after a crash changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame

from conf.lake.tables import TableContract


@dataclass(frozen=True)
class Transaction:
    """Names one commit of one query for ever.

    Attributes:
        app_id: Table and checkpoint: a deleted checkpoint counts its batches anew, so
            it must not be mistaken for the old one.
        version: Spark's batch id.
    """

    app_id: str
    version: int


@dataclass(frozen=True)
class Written:
    """What a verb did; ``rows`` is 0 when the transaction was there already."""

    rows: int
    version: int | None


Rows = Any
"""Rows of one table as the engine holds them: an Arrow table or a DataFrame."""


class Held(Protocol):
    """A batch computed once, from which each table takes its rows."""

    def tables(self) -> frozenset[str]:
        """Return the names of the tables that have rows in this batch.

        A table without rows must cost nothing: most are rarely written.
        """
        ...

    def rows_of(self, contract: TableContract) -> Rows:
        """Return the rows of one table, in the contract's columns and order."""
        ...

    def arrow(self) -> pa.Table:
        """Return the whole batch."""
        ...


class Committer(Protocol):
    """Writes rows of a batch into the tables of one lake."""

    def hold(
        self, messages: DataFrame, one_per: Sequence[str] = ()
    ) -> AbstractContextManager[Held]:
        """Compute ``messages`` once.

        Args:
            messages: One bounded micro-batch with a column ``table`` and, for each
                table, a column named as the table without its layer: an array that
                holds the row of this table, or null.
            one_per: Columns that name an event: of its copies in the batch, keep one.
                A MERGE would insert what it is given twice, twice. By default, all.
        """
        ...

    def each(
        self, commit: Callable[[TableContract], int], contracts: Sequence[TableContract]
    ) -> list[int]:
        """Call ``commit`` for each table, at the same time where the engine gains."""
        ...

    def append(
        self, contract: TableContract, rows: Rows, transaction: Transaction
    ) -> Written:
        """Add the rows as they are."""
        ...

    def insert_missing(
        self, contract: TableContract, rows: Rows, transaction: Transaction
    ) -> Written:
        """Add the rows whose key the table does not have; the key occurs once."""
        ...

    def upsert(
        self, contract: TableContract, rows: pa.Table, transaction: Transaction
    ) -> Written:
        """Replace the rows whose key the table has, add the others (few rows)."""
        ...


COMPACTIONS_PER_TIDYING = 50
"""Removing what compaction left is worth it now and then only."""

Range = tuple[datetime, datetime]
_GAP = timedelta(minutes=5)


def ranges_of(times: Sequence[datetime], gap: timedelta = _GAP) -> list[Range]:
    """Return the closed ranges that cover ``times``, split where nothing happened.

    One late row must not widen the bounds of a MERGE over the hours between it and
    the others.

    Args:
        times: Event times of the rows, any order, UTC.
        gap: Two neighbours further apart than this are in two ranges.
    """
    ordered = sorted(set(times))
    if not ordered:
        return []
    starts = [ordered[0], *(b for a, b in pairwise(ordered) if b - a > gap)]
    ends = [*(a for a, b in pairwise(ordered) if b - a > gap), ordered[-1]]
    return list(zip(starts, ends, strict=True))


def bounds_predicate(contract: TableContract, ranges: Sequence[Range]) -> str:
    """Return the SQL that restricts target ``t`` to the files that can matter.

    Literal bounds are what both engines prune files by. They are correct because the
    event column is part of the key's identity and never changes; where it is not,
    every file can matter.
    """
    if not contract.is_bounded:
        return "true"
    days = sorted({d for low, high in ranges for d in _days(low, high)})
    parts = " OR ".join(
        f"(t.{contract.event_column} >= {timestamp_literal(low)}"
        f" AND t.{contract.event_column} <= {timestamp_literal(high)})"
        for low, high in ranges
    )
    return f"t.day IN ({', '.join(days)}) AND ({parts})"


def partition_predicate(contract: TableContract, rows: pa.Table) -> str:
    """Return the SQL that restricts target ``t`` to the partitions of some rows.

    Correct where the key decides the partition, as it does in every contract.
    """
    parts = [
        f"t.{name} IN ({', '.join(map(_literal, rows[name].unique().to_pylist()))})"
        for name in contract.partition_by
        if name != "day"
    ]
    return " AND ".join(parts) or "true"


def key_predicate(key: Sequence[str]) -> str:
    """Return the SQL that says target ``t`` and source ``u`` are the same row."""
    return " AND ".join(f"t.{name} = u.{name}" for name in key)


def timestamp_literal(moment: datetime) -> str:
    """Return an SQL literal, UTC, microseconds."""
    return f"TIMESTAMP '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}Z'"


def _literal(value: str | int) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


def _days(low: datetime, high: datetime) -> Iterator[str]:
    day = low.astimezone(UTC).date()
    while day <= high.astimezone(UTC).date():
        yield f"DATE '{day}'"
        day += timedelta(days=1)
