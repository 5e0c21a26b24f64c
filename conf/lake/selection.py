"""What a researcher selects: symbols, a span of time, and the form of the rows."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from conf.errors import FixSetup
from conf.lake.files import Pruning

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Moment = datetime | date | str
"""A time with its zone, a UTC day, or one of them as RFC 3339 text."""

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Selection:
    """Rows that were asked for, read when they are taken.

    Attributes:
        relation: The same for DuckDB: filter, aggregate, join on.
    """

    relation: duckdb.DuckDBPyRelation

    def select(self, *columns: str) -> "Selection":
        """Keep some columns; the others are not read."""
        return Selection(self.relation.select(*columns))

    def arrow(self) -> pa.Table:
        """Return the rows as an Arrow table.

        Raises:
            FixSetup: Files of the version were removed meanwhile.
        """
        with needing_files():
            return self.relation.to_arrow_table()

    def pandas(self) -> "pd.DataFrame":
        """Return the rows as a pandas frame."""
        frame: pd.DataFrame = self.arrow().to_pandas()
        return frame

    def polars(self) -> "pl.DataFrame":
        """Return the rows as a polars frame.

        Raises:
            FixSetup: polars, which Tickhouse does not need itself, is not installed.
        """
        try:
            import polars as pl  # noqa: PLC0415 (optional)
        except ModuleNotFoundError as error:
            raise FixSetup(
                "polars",
                "is not installed",
                "`uv pip install polars`, or take .arrow() or .pandas()",
            ) from error
        return pl.DataFrame(pl.from_arrow(self.arrow()))


@contextmanager
def needing_files() -> Iterator[None]:
    """Say what to do when a file of an older version is not there any more."""
    try:
        yield
    except duckdb.IOException as error:
        raise FixSetup(
            "lake", str(error), "Take a newer version, and pin what you need"
        ) from error


@dataclass(frozen=True)
class Span:
    """A half-open span of event time; None is open on that side."""

    start: datetime | None
    end: datetime | None

    @staticmethod
    def of(start: Moment | None, end: Moment | None) -> "Span":
        """Return the span of two moments.

        Raises:
            ValueError: A time has no zone.
        """
        return Span(
            None if start is None else to_moment(start),
            None if end is None else to_moment(end),
        )

    def with_the_day_before(self) -> "Span":
        """Return the span that begins 24 hours earlier."""
        return Span(self.start and self.start - _DAY, self.end)

    def pruning(self) -> Pruning:
        """Return what the days of its files meet."""
        found = []
        if self.start is not None:
            found.append(("day", ">=", str(self.start.date())))
        if self.end is not None:
            found.append(("day", "<=", str(self.end.date())))
        return found

    def conditions(self, column: str) -> list[str]:
        """Return the SQL that holds for a timestamp within."""
        found = []
        if self.start is not None:
            found.append(f"{column} >= TIMESTAMPTZ '{self.start.isoformat()}'")
        if self.end is not None:
            found.append(f"{column} < TIMESTAMPTZ '{self.end.isoformat()}'")
        return found


def to_moment(moment: Moment) -> datetime:
    """Return a time in UTC; a day is its midnight.

    Raises:
        ValueError: It has no zone, or is no time.
    """
    if isinstance(moment, str):
        is_day = len(moment) == len("2026-11-23")
        moment = (date if is_day else datetime).fromisoformat(moment)
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), UTC)
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: say datetime(…, tzinfo=UTC)")
    return moment.astimezone(UTC)


def symbol_condition(symbols: str | Iterable[str] | None) -> list[str]:
    """Return the SQL that holds for rows of these symbols; none for all of them."""
    if symbols is None:
        return []
    names = [symbols] if isinstance(symbols, str) else list(symbols)
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
    return [f"symbol IN ({quoted})"]
