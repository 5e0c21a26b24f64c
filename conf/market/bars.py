"""Bars of effective trades: exact, and mergeable in any cut and order.

Prices are integers of 1e-6 USD and sums are Python's integers, so a bar built at once,
batch by batch, or folded from minutes has the same digits. Trades of one nanosecond are
ordered by id, then venue: ids ascend with the feed, and a tie must not depend on which
batch came first. What a print does follows from its sale conditions (``conditions``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from conf.market.conditions import effect_of
from conf.market.effective_trades import Trade

Records = NDArray[np.void]

MINUTE_S = 60
_SECOND_NS = 1_000_000_000
_MINUTE_NS = MINUTE_S * _SECOND_NS


class Print(NamedTuple):
    """One price where it stands in the order of a bar's prices."""

    event_time_ns: int
    trade_id: int
    exchange: str
    price_e6: int


@dataclass(frozen=True, slots=True)
class Prices:
    """The prints that set a bar's prices; volume and notional are theirs alone."""

    first: Print
    last: Print
    high_e6: int
    low_e6: int
    volume: int
    notional_e6: int

    def merge(self, other: Self) -> Self:
        """Return the prices of both."""
        return type(self)(
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            high_e6=max(self.high_e6, other.high_e6),
            low_e6=min(self.low_e6, other.low_e6),
            volume=self.volume + other.volume,
            notional_e6=self.notional_e6 + other.notional_e6,
        )


@dataclass(frozen=True, slots=True)
class Bar:
    """One symbol and window ``[window_start, window_start + length)``.

    Attributes:
        symbol: Ticker.
        window_start_ns: Venue's clock, UTC.
        length_s: Seconds, counted from midnight UTC.
        trade_count: Prints that count as volume.
        volume: Their shares.
        prices: None if no print sets a price: the window has volume, but is no bar.
    """

    symbol: str
    window_start_ns: int
    length_s: int
    trade_count: int
    volume: int
    prices: Prices | None

    @property
    def key(self) -> tuple[str, int, int]:
        """Symbol, start and length: bars of one key can be merged."""
        return self.symbol, self.window_start_ns, self.length_s

    @property
    def ohlc(self) -> tuple[float, float, float, float] | None:
        """Open, high, low and close in USD."""
        if self.prices is None:
            return None
        first, last = self.prices.first.price_e6, self.prices.last.price_e6
        high, low = self.prices.high_e6, self.prices.low_e6
        return first / 10**6, high / 10**6, low / 10**6, last / 10**6

    @property
    def vwap(self) -> float | None:
        """Mean price by volume, of the prints that set prices, in USD."""
        if self.prices is None or not self.prices.volume:
            return None
        return self.prices.notional_e6 / (self.prices.volume * 10**6)

    def merge(self, other: Self) -> Self:
        """Return the bar of both parts of one window."""
        both = self.prices and other.prices and self.prices.merge(other.prices)
        return type(self)(
            *self.key,
            trade_count=self.trade_count + other.trade_count,
            volume=self.volume + other.volume,
            prices=both or self.prices or other.prices,
        )


TRADE = np.dtype(
    [
        ("symbol", "i8"),  # index
        ("event_time_ns", "i8"),
        ("trade_id", "i8"),
        ("exchange", "U4"),
        ("price", "f8"),  # USD
        ("size", "i8"),  # shares
        ("counts", "?"),  # as volume; ``effects``
        ("sets_price", "?"),
    ]
)
"""One effective trade, as ``minute_bars`` takes it."""


def effects(
    conditions: Iterable[Sequence[str] | None], tapes: Iterable[str | None]
) -> Records:
    """Return the fields ``counts`` and ``sets_price`` of trades with these conditions.

    By the rules of minute bars, where a print that sets one price sets them all.
    """
    found = (effect_of(*each) for each in zip(conditions, tapes, strict=True))
    rows = [(effect.volume, effect.high_low) for effect in found]
    return np.array(rows, [("counts", "?"), ("sets_price", "?")])


def to_records(trades: Sequence[Trade], symbols: Sequence[str]) -> Records:
    """Return effective trades as rows of ``TRADE``; ``symbols`` gives the indexes."""
    index = {symbol: place for place, symbol in enumerate(symbols)}
    does = effects((t.conditions for t in trades), (t.tape for t in trades))
    return np.array(
        [
            (index[t.symbol], t.event_time_ns, t.trade_id, t.exchange, t.price, t.size,
             *does[place].item())
            for place, t in enumerate(trades)
        ],
        TRADE,
    )  # fmt: skip


def minute_bars(trades: Records, symbols: Sequence[str]) -> list[Bar]:
    """Build the minute bars of effective trades.

    Args:
        trades: Rows of ``TRADE``, in any order.
        symbols: Tickers by index.

    Returns:
        One bar per symbol and minute with a trade that counts, in that order. If it is
        not all of the minute's trades, merge it with the others'.
    """
    counted = trades[trades["counts"]]
    if not len(counted):
        return []
    order = ("symbol", "event_time_ns", "trade_id", "exchange")
    counted = counted[np.lexsort([counted[name] for name in reversed(order)])]
    minute_ns = counted["event_time_ns"] // _MINUTE_NS * _MINUTE_NS
    is_new = np.ones(len(counted), bool)
    is_new[1:] = np.diff(minute_ns) != 0
    is_new[1:] |= np.diff(counted["symbol"]) != 0
    starts = np.flatnonzero(is_new)
    prices = _prices(counted, np.cumsum(is_new) - 1)
    trade_counts = np.diff(starts, append=len(counted)).tolist()
    volumes = np.add.reduceat(counted["size"], starts).tolist()
    return [
        Bar(
            symbol=symbols[counted["symbol"][start]],
            window_start_ns=int(minute_ns[start]),
            length_s=MINUTE_S,
            trade_count=trade_counts[window],
            volume=volumes[window],
            prices=prices.get(window),
        )
        for window, start in enumerate(starts)
    ]


def _prices(counted: Records, windows: NDArray[np.int64]) -> dict[int, Prices]:
    """Return the prices by window, of trades in order, each of the window beside it."""
    priced, windows = counted[counted["sets_price"]], windows[counted["sets_price"]]
    if not len(priced):
        return {}
    numbers, starts = np.unique(windows, return_index=True)
    ends = np.append(starts[1:], len(priced)) - 1
    price_e6 = np.rint(priced["price"] * 1_000_000).astype(np.int64)
    # A sum of products leaves 64 bits: those of Python's integers cannot.
    notional_e6 = np.add.reduceat(price_e6.astype(object) * priced["size"], starts)
    columns = (
        numbers,
        starts,
        ends,
        np.maximum.reduceat(price_e6, starts),
        np.minimum.reduceat(price_e6, starts),
        np.add.reduceat(priced["size"], starts),
        notional_e6,
    )
    return {
        window: Prices(
            _print(priced[first], price_e6[first]),
            _print(priced[last], price_e6[last]),
            *sums,
        )
        for window, first, last, *sums in zip(
            *(c.tolist() for c in columns), strict=True
        )
    }


def _print(trade: np.record, price_e6: np.int64) -> Print:
    return Print(
        int(trade["event_time_ns"]),
        int(trade["trade_id"]),
        str(trade["exchange"]),
        int(price_e6),
    )


def merge(bars: Iterable[Bar]) -> list[Bar]:
    """Return one bar per key, of all its parts."""
    merged: dict[tuple[str, int, int], Bar] = {}
    for bar in bars:
        known = merged.get(bar.key)
        merged[bar.key] = bar if known is None else known.merge(bar)
    return list(merged.values())


def fold(minutes: Iterable[Bar], length_s: int) -> list[Bar]:
    """Build longer bars of minute bars; their windows count from midnight UTC."""
    length_ns = length_s * _SECOND_NS
    return merge(
        replace(
            bar,
            window_start_ns=bar.window_start_ns // length_ns * length_ns,
            length_s=length_s,
        )
        for bar in minutes
    )
