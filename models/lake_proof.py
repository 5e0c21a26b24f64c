"""Prove that what the lake tells of a bar follows from what was known when it was told.

Some first revisions are computed again by the kernel of nothing but the bars that were
known at their ``known_time``, and of the quotes that came before it: every byte must be
equal. A row that knows more, by whatever way it came into the table, differs.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from conf.lake.tables import BARS, FEATURES, QUOTES
from conf.market.bars import MINUTE_S
from conf.market.indicators import BAR, advance, new_state
from conf.market.indicators import FEATURES as VALUES
from conf.market.sessions import fill_times, load_sessions
from models.decisions import Row
from models.fills import moment, nanoseconds
from models.lake_rows import LakeRows, on_days
from models.lake_tape import Span

_JUDGED_SESSIONS = 4
_JUDGED_BARS = 6
"""Of each of those sessions."""
_QUOTE = ("bid_price", "ask_price")
_BAR_COLUMNS = (
    *("window_start", "source", "revision", "close", "volume", "kind", "known_time"),
)
_ROW_COLUMNS = (
    *("window_start", "revision", "known_time", *_QUOTE),
    *(VALUES.names or ()),
)
_ALPACA, _BUILT = "alpaca", "trades"


def proves_honest(rows: LakeRows, span: Span, seed: int = 0) -> list[str]:
    """Return which values of a span's first revisions were not known when told.

    Args:
        rows: The lake.
        span: Which part of it.
        seed: Of the bars that are looked at: some of some sessions of each symbol.

    Returns:
        A line for each value of ``silver.features`` that differs; empty: none does.
    """
    rng = np.random.default_rng(seed)
    told = span.features(rows)
    wrong: dict[str, str] = {}
    for symbol in pc.unique(told["symbol"]).to_pylist():
        of_symbol = told.filter(pc.field("symbol") == symbol)
        starts_ns = of_symbol["window_start"].cast("int64").to_numpy() * 1_000
        numbers = load_sessions().at(starts_ns)
        known = np.unique(numbers)
        drawn = rng.choice(known, min(_JUDGED_SESSIONS, len(known)), replace=False)
        for session in drawn.tolist():
            past = _Past.of(rows, symbol, session)
            mine = starts_ns[numbers == session]
            some = rng.choice(mine, min(_JUDGED_BARS, len(mine)), replace=False)
            for start_ns in some.tolist():
                for name in past.differs(rows, start_ns):
                    wrong.setdefault(name, f"{name} of {symbol} {moment(start_ns)}")
    return sorted(wrong.values())


class _Past(NamedTuple):
    """All that two sessions of a symbol came to, with when each was known.

    Attributes:
        symbol: Whose.
        bars: Revisions of bars, ascending in when they were known.
        told: Revisions of features, likewise.
    """

    symbol: str
    bars: list[Row]
    told: list[Row]

    @classmethod
    def of(cls, rows: LakeRows, symbol: str, session: int) -> "_Past":
        """Read a session and the one before."""
        begin, end = map(moment, load_sessions().span(session - 1, session))
        start = pc.field("window_start")
        where = on_days(begin.date(), end.date()) & (start >= begin) & (start < end)
        where &= pc.field("bar_length_s") == MINUTE_S
        found = (
            rows.find(contract, columns, where, {"symbol": [symbol]}).to_pylist()
            for contract, columns in ((BARS, _BAR_COLUMNS), (FEATURES, _ROW_COLUMNS))
        )
        bars, told = (sorted(each, key=_when) for each in found)
        return cls(symbol, bars, told)

    def differs(self, rows: LakeRows, start_ns: int) -> Iterator[str]:
        """Yield the values of a bar's first revision that do not follow from then."""
        start = moment(start_ns)
        (row,) = (
            row
            for row in self.told
            if row["window_start"] == start and row["revision"] == 0
        )
        if row["bid_price"] is not None and not self._was_quoted(rows, row):
            yield "bid_price"
        bars = self._known_at(row["known_time"], start)
        if any(bar["source"] == _ALPACA and not _is_loaded(bar) for bar in bars):
            # When Alpaca's own live bar was read is not told: it cannot be judged.
            return
        again = self._computed(bars, row)
        for name in VALUES.names or ():
            stored = np.nan if row[name] is None else row[name]
            if np.array(stored, VALUES[name]).tobytes() != again[name].tobytes():
                yield name

    def _known_at(self, time: datetime, last: datetime) -> list[Row]:
        """Return the bars that counted at a time, up to the last, in order."""
        newest: dict[datetime, dict[str, Row]] = {}
        for bar in self.bars:
            if bar["known_time"] <= time and bar["window_start"] <= last:
                newest.setdefault(bar["window_start"], {})[bar["source"]] = bar
        counting = (_counting(newest[start]) for start in sorted(newest))
        return [bar for bar in counting if bar is not None]

    def _computed(self, bars: list[Row], row: Row) -> np.void:
        quotes: dict[datetime, Row] = {}
        for each in self.told:
            if each["known_time"] <= row["known_time"]:
                quotes[each["window_start"]] = each
        quotes[row["window_start"]] = row
        records = np.zeros(len(bars), BAR)
        starts_ns = [nanoseconds(bar["window_start"]) for bar in bars]
        fill_times(records, starts_ns, load_sessions())
        records["close"] = [bar["close"] for bar in bars]
        records["volume"] = [float(bar["volume"] or 0) for bar in bars]
        for name in _QUOTE:
            told = (quotes.get(bar["window_start"], {}).get(name) for bar in bars)
            records[name] = [np.nan if price is None else price for price in told]
        last: np.void = advance(new_state(1), records)[1][-1]
        return last

    def _was_quoted(self, rows: LakeRows, row: Row) -> bool:
        start, known = row["window_start"], row["known_time"]
        time = pc.field("event_time")
        quotes = rows.find(
            QUOTES,
            _QUOTE,
            on_days(start.date(), start.date())
            & (time >= start)
            & (time < moment(nanoseconds(start) + MINUTE_S * 10**9))
            & (pc.field("market_time") <= known)
            & (pc.field("bid_price") == row["bid_price"])
            & (pc.field("ask_price") == row["ask_price"]),
            {"symbol": [self.symbol]},
        )
        return bool(quotes.num_rows)


def _when(row: Mapping[str, Any]) -> tuple[datetime, int]:
    return row["known_time"], row["revision"]


def _counting(by_source: Mapping[str, Row]) -> Row | None:
    """Return the bar that counts, by the rule of ``silver.features``."""
    ours, alpaca = by_source.get(_BUILT), by_source.get(_ALPACA)
    if alpaca and _is_loaded(alpaca):
        return alpaca
    priced = (bar for bar in (ours, alpaca) if bar and bar["close"] is not None)
    return next(priced, None)


def _is_loaded(bar: Row) -> bool:
    return bool(bar["kind"] == "history")
