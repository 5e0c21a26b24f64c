"""The newest revision of each minute bar, Alpaca's and ours, a day at a time."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from conf.lake.read import scan
from conf.lake.tables import BARS
from conf.market.bar_book import Window
from conf.market.bars import MINUTE_S, Bar
from silver.built_bars import SOURCE, Values, moment, nanoseconds, to_row, values_of

ALPACA = "alpaca"
BAR_COLUMNS = (
    "symbol",
    "window_start",
    "bar_length_s",
    "source",
    "revision",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "trade_count",
    "vwap",
    "kind",
    "known_time",
)
_CLOSE, _VOLUME = 3, 4


class Revision(NamedTuple):
    """One revision of a bar."""

    source: str
    revision: int
    values: Values
    known_time: datetime
    is_history: bool = False

    @property
    def close(self) -> float | None:
        """USD; None: no trade sets a price."""
        return self.values[_CLOSE]

    @property
    def volume(self) -> float:
        """Shares."""
        return float(self.values[_VOLUME] or 0)

    def replaces(self, other: "Revision") -> bool:
        """Tell whether it is the newer; Alpaca's are numbered by their trades."""
        return (self.known_time, self.revision) >= (other.known_time, other.revision)


class BarRevisions:
    """What ``silver.bars`` says of the days that were asked about.

    Args:
        root: The lake; the table exists.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._days: dict[date, dict[tuple[str, Window], Revision]] = {}

    def see(self, rows: pa.Table) -> list[Window]:
        """Take in rows that the table gained, and return the windows of Alpaca's.

        Args:
            rows: With ``BAR_COLUMNS``.
        """
        seen = []
        for source, window, revision in _revisions(rows):
            if source == ALPACA:
                seen.append(window)
                self._note(window, revision)
        return seen

    def revise(
        self, bars: Mapping[Window, Bar | None], known_time: datetime
    ) -> list[dict[str, Any]]:
        """Return a row for each built bar that is not as it was last written."""
        rows = []
        for window, bar in bars.items():
            values, last = values_of(bar), self._find(SOURCE, window)
            is_news = bar is not None and bar.prices is not None
            if last.values != values if last else is_news:
                number = last.revision + 1 if last else 0
                self._note(window, Revision(SOURCE, number, values, known_time))
                rows.append(to_row(window, number, values, known_time))
        return rows

    def chosen(self, window: Window) -> Revision | None:
        """Return the bar that counts: the only one, or ours before Alpaca's.

        A session told by history alone comes first: of its trades, only stragglers
        came, and they make no bar.
        """
        alpaca, ours = self._find(ALPACA, window), self._find(SOURCE, window)
        if alpaca and alpaca.is_history:
            return alpaca
        priced = (each for each in (ours, alpaca) if each and each.close is not None)
        return next(priced, None)

    def newest_built(self, window: Window) -> Revision:
        """Return our newest revision, which may say that there is no bar.

        Raises:
            KeyError: The window never had one.
        """
        return self._day(moment(window[1]).date())[SOURCE, window]

    def forget(self, before: date) -> None:
        """Drop the days before from memory."""
        for day in [day for day in self._days if day < before]:
            del self._days[day]

    def _find(self, source: str, window: Window) -> Revision | None:
        return self._day(moment(window[1]).date()).get((source, window))

    def _note(self, window: Window, revision: Revision) -> None:
        day = self._day(moment(window[1]).date())
        key = (revision.source, window)
        if key not in day or revision.replaces(day[key]):
            day[key] = revision

    def _day(self, day: date) -> dict[tuple[str, Window], Revision]:
        if day not in self._days:
            self._days[day] = {}
            rows = scan(
                self._root, BARS, columns=BAR_COLUMNS, where=f"day = DATE '{day}'"
            )
            for _, window, revision in _revisions(rows):
                self._note(window, revision)
        return self._days[day]


def _revisions(rows: pa.Table) -> Iterator[tuple[str, Window, Revision]]:
    """Yield the minute bars among rows of the table."""
    columns = (rows[name].to_pylist() for name in BAR_COLUMNS)
    for symbol, start, length_s, source, number, *rest in zip(*columns, strict=True):
        if length_s == MINUTE_S:
            *values, kind, known = rest
            window = (symbol, nanoseconds(start))
            revision = Revision(source, number, tuple(values), known, kind == "history")
            yield source, window, revision
