"""The last quote of each symbol and minute, whatever order they come in.

A bar's spread is that of the last quote within its minute: an older one is stale, and
so a late quote concerns one bar. Of two quotes of one nanosecond the greater hash is
the last: a tie must not depend on which came first.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from conf.lake.changes import Changes
from conf.market.bar_book import MINUTE_NS, NEVER_NS, Window
from silver.built_bars import within

QUOTE_COLUMNS = (
    "symbol",
    "event_time_ns",
    "quote_hash",
    "bid_price",
    "ask_price",
    "market_time",
)


class Quote(NamedTuple):
    """The last of a minute; the greatest counts."""

    event_time_ns: int
    quote_hash: int
    bid_price: float
    ask_price: float


class LastQuotes:
    """The last quotes of some minutes.

    Args:
        quotes: All quotes; at rest at the version up to which ``add`` has seen them.
        complete_from_ns: As for ``BarBook``.
    """

    def __init__(self, quotes: Changes, complete_from_ns: int = NEVER_NS) -> None:
        self._quotes = quotes
        self.complete_from_ns = complete_from_ns
        self._last: dict[Window, Quote | None] = {}

    def add(self, rows: pa.Table) -> list[Window]:
        """Take quotes in and return the windows whose last quote may be another."""
        touched = []
        for window, quote in _last_of(rows):
            held = self._last.get(window)
            if not self._is_known(window):
                touched.append(window)
            elif held is None or held < quote:
                self._last[window] = quote
                touched.append(window)
        return touched

    def find(self, windows: Collection[Window]) -> Mapping[Window, Quote | None]:
        """Return the last quote of each window, if it has one."""
        unknown = {window for window in windows if not self._is_known(window)}
        if unknown:
            self._last |= dict.fromkeys(unknown)
            for window, quote in _last_of(self._quotes.find(*within(unknown))):
                if window in unknown:
                    self._last[window] = quote
        return {window: self._last.get(window) for window in windows}

    def forget(self, before_ns: int) -> None:
        """Drop the minutes before; they can be found again."""
        for window in [window for window in self._last if window[1] < before_ns]:
            del self._last[window]
        self.complete_from_ns = max(self.complete_from_ns, before_ns)

    def _is_known(self, window: Window) -> bool:
        return window in self._last or window[1] >= self.complete_from_ns


def _last_of(rows: pa.Table) -> Iterator[tuple[Window, Quote]]:
    """Yield the last quote of each symbol and minute."""
    if not rows.num_rows:
        return
    symbols = rows["symbol"].combine_chunks().dictionary_encode()
    names = symbols.dictionary.to_pylist()
    symbol, time_ns = symbols.indices.to_numpy(), rows["event_time_ns"].to_numpy()
    order = np.lexsort([rows["quote_hash"].to_numpy(), time_ns, symbol])
    minute = time_ns[order] // MINUTE_NS
    is_last = np.ones(len(order), bool)
    is_last[:-1] = (np.diff(minute) != 0) | (np.diff(symbol[order]) != 0)
    places = order[is_last]
    quotes = rows.select(QUOTE_COLUMNS[1:5]).take(pa.array(places))
    columns = (quotes[name].to_pylist() for name in quotes.column_names)
    starts_ns = (minute[is_last] * MINUTE_NS).tolist()
    for place, start_ns, *quote in zip(
        places.tolist(), starts_ns, *columns, strict=True
    ):
        yield (names[symbol[place]], start_ns), Quote(*quote)
