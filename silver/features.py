"""``silver.features``: the indicators of closed bars, restated as later revisions.

``conf.market.feature_book`` computes; here its bars come from ``silver.bars`` and what
was told before from the table itself, so a restart goes on where the tables are. A row
depends on the bars of its session and of the one before: three sessions are at hand.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from conf.lake.read import scan
from conf.lake.tables import FEATURES
from conf.market.bar_book import MINUTE_NS, Window
from conf.market.bars import MINUTE_S
from conf.market.feature_book import FeatureBook, Rows
from conf.market.indicator_kernel import Records
from conf.market.indicators import BAR, WARM_UP_BARS, advance, new_state
from conf.market.indicators import FEATURES as VALUES
from conf.market.sessions import Sessions, fill_times
from silver.bar_revisions import BarRevisions, Revision
from silver.built_bars import moment, nanoseconds
from silver.last_quotes import Quote

_WARM = max(WARM_UP_BARS.values())
_COUNTS = [name for name in VALUES.names or () if VALUES[name].kind == "i"]
_FLOATS = [name for name in VALUES.names or () if VALUES[name].kind == "f"]
_QUOTE = ("bid_price", "ask_price")
_KEPT_SESSIONS = 3

Quotes = Mapping[Window, Quote | None]


class Features:
    """What the table says of the sessions at hand, and what changes in it.

    Args:
        root: The lake; the table exists.
        bars: What ``silver.bars`` says.
        sessions: NYSE's.
    """

    def __init__(self, root: str, bars: BarRevisions, sessions: Sessions) -> None:
        self._root, self._bars, self._sessions = root, bars, sessions
        self._book = FeatureBook()
        self._names: list[str] = []
        self._index: dict[str, int] = {}
        self._revisions: dict[Window, int] = {}
        self._live: set[Window] = set()
        self._at_hand: set[int] = set()

    def restate(
        self, windows: Collection[Window], quotes: Quotes, known_time: datetime
    ) -> pa.Table:
        """Return the rows that follow when bars or quotes of some windows changed.

        Args:
            windows: Closed ones.
            quotes: The last of each window.
            known_time: Market clock.
        """
        ordered = sorted(windows)
        if not ordered:
            return pa.Table.from_pylist([], schema=FEATURES.schema)
        touched = self._sessions.at(start_ns for _, start_ns in ordered)
        self._have(touched.tolist())
        chosen = [self._bars.chosen(window) for window in ordered]
        there = [
            (w, bar, quotes[w]) for w, bar in zip(ordered, chosen, strict=True) if bar
        ]
        gone = [
            window
            for window, bar in zip(ordered, chosen, strict=True)
            if bar is None and window in self._live
        ]
        rows = self._book.add(self._records(there), gone=self._places(gone))
        told = [self._as_table(rows, known_time), self._withdrawn(gone, known_time)]
        return pa.concat_tables(told)

    def forget(self, now_ns: int) -> None:
        """Drop the sessions that seldom change any more; they are read when they do."""
        (session,) = self._sessions.at([now_ns]).tolist()
        oldest = session - _KEPT_SESSIONS + 1
        if min(self._at_hand, default=oldest) >= oldest:
            return
        self._at_hand = {each for each in self._at_hand if each >= oldest}
        self._book.forget(oldest)
        begin_ns, _ = self._sessions.span(oldest, oldest)
        self._revisions = {w: n for w, n in self._revisions.items() if w[1] >= begin_ns}
        self._live &= self._revisions.keys()

    def _have(self, touched: Iterable[int]) -> None:
        """Have the sessions at hand that touched ones need, or change."""
        needed = {each + n for each in touched for n in (-1, 0, 1)}
        for session in sorted(needed - self._at_hand):
            self._at_hand.add(session)
            told = self._told(session)
            if told:
                self._book.restore(self._remembered(told))

    def _told(self, session: int) -> dict[Window, Mapping[str, Any]]:
        """Return the newest row of each window of a session."""
        begin_ns, end_ns = self._sessions.span(session, session)
        days = f"day BETWEEN DATE '{_day(begin_ns)}' AND DATE '{_day(end_ns)}'"
        rows = scan(self._root, FEATURES, where=days).to_pylist()
        newest: dict[Window, Mapping[str, Any]] = {}
        for row in sorted(rows, key=lambda row: row["revision"]):
            start_ns = nanoseconds(row["window_start"])
            if begin_ns <= start_ns < end_ns:
                newest[row["symbol"], start_ns] = row
        self._revisions |= {w: row["revision"] for w, row in newest.items()}
        self._live |= {w for w, row in newest.items() if row["bar_count"]}
        return newest

    def _remembered(self, told: Mapping[Window, Mapping[str, Any]]) -> Rows:
        """Return the bars of rows of the table, with what these tell of them."""
        bars = {window: self._bars.chosen(window) for window in told}
        windows = [window for window, bar in bars.items() if bar]
        features = np.empty(len(windows), VALUES)
        for name in _COUNTS:
            features[name] = [told[window][name] for window in windows]
        for name in _FLOATS:
            features[name] = np.array([told[w][name] for w in windows], float)
        records = self._records([(w, bar, None) for w, bar in bars.items() if bar])
        for name in _QUOTE:
            records[name] = np.array([told[w][name] for w in windows], float)
        return Rows(records, features)

    def _records(
        self, bars: Collection[tuple[Window, Revision, Quote | None]]
    ) -> Records:
        records = self._places([window for window, _, _ in bars])
        records["close"] = [bar.close for _, bar, _ in bars]
        records["volume"] = [bar.volume for _, bar, _ in bars]
        for name in _QUOTE:
            prices = (getattr(quote, name, np.nan) for _, _, quote in bars)
            records[name] = np.fromiter(prices, float, len(bars))
        return records

    def _places(self, windows: list[Window]) -> Records:
        """Return bars that say where they are, and nothing else."""
        records = np.zeros(len(windows), BAR)
        fill_times(records, [start_ns for _, start_ns in windows], self._sessions)
        records["symbol"] = [self._place(symbol) for symbol, _ in windows]
        return records

    def _place(self, symbol: str) -> int:
        if symbol not in self._index:
            self._index[symbol] = len(self._names)
            self._names.append(symbol)
        return self._index[symbol]

    def _as_table(self, rows: Rows, known_time: datetime) -> pa.Table:
        windows = [
            (self._names[place], start_ns)
            for place, start_ns in rows.bars[["symbol", "window_start_ns"]].tolist()
        ]
        self._live.update(windows)
        columns: dict[str, Any] = dict(self._keys(windows, known_time))
        bars = [self._bars.chosen(window) for window in windows]
        columns["bar_source"] = [bar and bar.source for bar in bars]
        columns["bar_revision"] = [bar and bar.revision for bar in bars]
        columns["is_warm"] = rows.features["bar_count"] >= _WARM
        columns |= {name: rows.features[name] for name in _COUNTS}
        columns |= {name: _nullable(rows.bars[name]) for name in _QUOTE}
        columns |= {name: _nullable(rows.features[name]) for name in _FLOATS}
        return _table(columns)

    def _withdrawn(self, gone: list[Window], known_time: datetime) -> pa.Table:
        """Return rows that say that windows have no bar, and so no indicators."""
        self._live.difference_update(gone)
        bars = [self._bars.newest_built(window) for window in gone]
        columns = dict(self._keys(gone, known_time))
        columns["bar_source"] = [bar.source for bar in bars]
        columns["bar_revision"] = [bar.revision for bar in bars]
        columns["is_warm"] = [False] * len(gone)
        columns |= {name: [0] * len(gone) for name in _COUNTS}
        columns |= {name: [None] * len(gone) for name in (*_QUOTE, *_FLOATS)}
        return _table(columns)

    def _keys(
        self, windows: list[Window], known_time: datetime
    ) -> Iterator[tuple[str, list[Any]]]:
        """Yield the columns that name the next revision of some windows."""
        for window in windows:
            self._revisions[window] = self._revisions.get(window, -1) + 1
        starts = [moment(start_ns) for _, start_ns in windows]
        yield "window_start", starts
        yield "symbol", [symbol for symbol, _ in windows]
        yield "bar_length_s", [MINUTE_S] * len(windows)
        yield "revision", [self._revisions[window] for window in windows]
        yield "window_end", [moment(start + MINUTE_NS) for _, start in windows]
        yield "known_time", [known_time] * len(windows)
        yield "day", [start.date() for start in starts]


def recompute(
    bars: Mapping[Window, Revision], quotes: Quotes, sessions: Sessions
) -> dict[Window, np.void]:
    """Return the features of bars, all at once: what the stream must come to.

    Args:
        bars: The bar that counts, of each window.
        quotes: The last quote of each window that has one.
        sessions: NYSE's.
    """
    windows = sorted(bars)
    symbols = sorted({symbol for symbol, _ in windows})
    records = np.empty(len(windows), BAR)
    fill_times(records, [start_ns for _, start_ns in windows], sessions)
    records["symbol"] = [symbols.index(symbol) for symbol, _ in windows]
    records["close"] = [bars[window].close for window in windows]
    records["volume"] = [bars[window].volume for window in windows]
    for name in _QUOTE:
        records[name] = [getattr(quotes.get(w), name, np.nan) for w in windows]
    _, features = advance(new_state(len(symbols)), records)
    return dict(zip(windows, features, strict=True))


def _table(columns: Mapping[str, Any]) -> pa.Table:
    arrays = [pa.array(columns[field.name], field.type) for field in FEATURES.schema]
    return pa.table(arrays, FEATURES.schema)


def _nullable(values: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def _day(time_ns: int) -> date:
    return moment(time_ns).date()
