"""Minute bars of the trades that were sent, as Alpaca builds and restates them."""

from collections.abc import Iterator
from typing import TypeVar

from conf.market.conditions import effect_of
from conf.market.rfc3339 import format_ns
from conf.market.wire import Bar, Trade, UpdatedBar
from producer.simulator.listing import Listing
from producer.simulator.slots import MINUTE_NS

AnyBar = TypeVar("AnyBar", Bar, UpdatedBar)

KEEP_MINUTES = 6 * 60 + 5
"""A trade older than this cannot arrive any more: the minute is forgotten."""


class MinuteBook:
    """One session's minutes, each from the trades sent until it is reported.

    ``bars`` closes a minute; ``updated_bars`` reports again what later trades changed.
    A minute that began before the session did is never reported: it is not whole.
    """

    def __init__(self, listings: list[Listing], open_ns: int) -> None:
        self._listings = listings
        self._first = -(-open_ns // MINUTE_NS)
        self._open = self._first
        self._minutes: dict[tuple[int, int], _Minute] = {}
        self._restated: set[tuple[int, int]] = set()

    def add(self, symbol: int, event_ns: int, trade: Trade) -> None:
        """Count one trade, as far as its conditions let it; ``symbol`` is an index."""
        number = event_ns // MINUTE_NS
        effect = effect_of(trade.conditions, trade.tape)
        if number < self._first or not effect.volume:
            return
        key = number, symbol
        minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = _Minute()
        minute.add_volume(trade.size)
        if effect.high_low:
            minute.add_price(event_ns, round(trade.price * 100), trade.size)
        if number < self._open:
            self._restated.add(key)

    def bars(self, end_ns: int) -> Iterator[Bar]:
        """Close the minute that ends at ``end_ns`` and yield its bars.

        A symbol without a trade that sets the price has none.
        """
        number = end_ns // MINUTE_NS - 1
        self._open = number + 1
        self._forget()
        for symbol, listing in enumerate(self._listings):
            minute = self._minutes.get((number, symbol))
            if minute is not None and minute.has_price:
                yield minute.report(Bar, listing, number)

    def updated_bars(self) -> Iterator[UpdatedBar]:
        """Yield the closed minutes that changed since they were last reported."""
        restated, self._restated = sorted(self._restated), set()
        for number, symbol in restated:
            minute = self._minutes[number, symbol]
            if minute.has_price:
                yield minute.report(UpdatedBar, self._listings[symbol], number)

    def _forget(self) -> None:
        oldest = self._open - KEEP_MINUTES
        for key in [key for key in self._minutes if key[0] < oldest]:
            del self._minutes[key]
            self._restated.discard(key)


class _Minute:
    """Sums of one symbol's minute; prices in cents, so they are exact."""

    __slots__ = (
        "close", "close_ns", "high", "low", "notional", "open", "open_ns",
        "priced_volume", "trades", "volume",
    )  # fmt: skip

    def __init__(self) -> None:
        self.open_ns = self.close_ns = self.open = self.close = self.high = 0
        self.low = self.volume = self.trades = self.notional = self.priced_volume = 0

    @property
    def has_price(self) -> bool:
        return self.open_ns > 0

    def add_volume(self, size: int) -> None:
        self.volume += size
        self.trades += 1

    def add_price(self, event_ns: int, cents: int, size: int) -> None:
        self.notional += size * cents
        self.priced_volume += size
        if not self.open_ns:
            self.high = self.low = cents
        self.high = max(self.high, cents)
        self.low = min(self.low, cents)
        if not self.open_ns or event_ns < self.open_ns:
            self.open_ns, self.open = event_ns, cents
        if event_ns >= self.close_ns:
            self.close_ns, self.close = event_ns, cents

    def report(self, kind: type[AnyBar], listing: Listing, number: int) -> AnyBar:
        return kind(
            symbol=listing.symbol,
            open=self.open / 100,
            high=self.high / 100,
            low=self.low / 100,
            close=self.close / 100,
            volume=self.volume,
            event_time=format_ns(number * MINUTE_NS),
            trade_count=self.trades,
            vwap=round(self.notional / self.priced_volume / 100, 6),
        )
