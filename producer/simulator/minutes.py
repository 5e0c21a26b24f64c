"""Minute and day bars of the trades that were sent, as Alpaca builds and restates them.

A correction or a cancel changes the minute of its trade; the bar that was already
reported is then restated, as after a late trade. Day bars are rolled up from minutes.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import TypeVar

from conf.market.conditions import effect_of
from conf.market.rfc3339 import format_ns
from conf.market.wire import Bar, DailyBar, Trade, UpdatedBar
from producer.simulator.listing import Listing
from producer.simulator.sessions import Day
from producer.simulator.slots import MINUTE_NS
from producer.simulator.totals import Totals

AnyBar = TypeVar("AnyBar", Bar, UpdatedBar, DailyBar)

KEEP_MINUTES = 6 * 60 + 5
"""A trade older than this cannot arrive any more: the minute is forgotten."""
AMENDABLE_MINUTES = 4
"""So long the trades of a minute are kept, for their corrections and cancels."""


class MinuteBook:
    """One session's minutes, each from the trades sent until it is reported.

    ``bars`` closes a minute; ``updated_bars`` reports again what later trades changed.
    A minute that began before the session did is never reported: it is not whole.

    Args:
        listings: The symbols; trades name them by index.
        day: The session.
        amendable: Trades may be amended, so they are kept for a while.
    """

    def __init__(
        self, listings: list[Listing], day: Day, *, amendable: bool = False
    ) -> None:
        self._listings = listings
        self._day = day
        self._amendable = amendable
        self._first = -(-day.open_ns // MINUTE_NS)
        self._open = self._first
        self._minutes: dict[tuple[int, int], Totals] = {}
        self._restated: set[tuple[int, int]] = set()
        self._date_ns = day.date_ns(day.open_ns)
        self._forgotten: defaultdict[int, Totals] = defaultdict(Totals)

    def add(self, symbol: int, event_ns: int, trade: Trade) -> None:
        """Count one trade, as far as its conditions let it; ``symbol`` is an index."""
        number = event_ns // MINUTE_NS
        effect = effect_of(trade.conditions, trade.tape)
        if number < self._first or not effect.volume:
            return
        key = number, symbol
        minute = self._minutes.get(key)
        if minute is None:
            keeps = self._amendable and number > self._open - AMENDABLE_MINUTES
            minute = self._minutes[key] = Totals(keeps_trades=keeps)
        cents = round(trade.price * 100) if effect.high_low else None
        minute.add(event_ns, trade.trade_id, trade.exchange, cents, trade.size)
        if number < self._open:
            self._restated.add(key)

    def amend(
        self, symbol: int, event_ns: int, before: Trade, after: Trade | None
    ) -> None:
        """Put another trade in the place of one that was counted, or none."""
        key = event_ns // MINUTE_NS, symbol
        minute = self._minutes.get(key)
        if minute is None or not minute.remove(before.trade_id, before.exchange):
            return
        if after is not None:
            self.add(symbol, event_ns, after)
        if key[0] < self._open:
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
                yield _report(Bar, minute, listing, number * MINUTE_NS)

    def updated_bars(self) -> Iterator[UpdatedBar]:
        """Yield the closed minutes that changed since they were last reported.

        A minute whose last price was cancelled has no bar any more, and no news of it.
        """
        restated, self._restated = sorted(self._restated), set()
        for number, symbol in restated:
            minute = self._minutes[number, symbol]
            if minute.has_price:
                start_ns = number * MINUTE_NS
                yield _report(UpdatedBar, minute, self._listings[symbol], start_ns)

    def daily_bars(self) -> Iterator[DailyBar]:
        """Yield the day so far, up to the last closed minute; its date is ``date_ns``.

        Minutes outside the regular hours count as volume only.
        """
        days: defaultdict[int, Totals] = defaultdict(Totals)
        for symbol, totals in self._forgotten.items():
            days[symbol].merge(totals)
        for key, minute in sorted(self._minutes.items()):
            if self._date_ns <= key[0] * MINUTE_NS < self._open * MINUTE_NS:
                self._merge(days, key, minute)
        for symbol, day in sorted(days.items()):
            if day.has_price:
                yield _report(DailyBar, day, self._listings[symbol], self._date_ns)

    def _merge(
        self, days: defaultdict[int, Totals], key: tuple[int, int], minute: Totals
    ) -> None:
        number, symbol = key
        days[symbol].merge(minute, prices=self._day.is_regular(number * MINUTE_NS))

    def _forget(self) -> None:
        date_ns = self._day.date_ns((self._open - 1) * MINUTE_NS)
        if date_ns > self._date_ns:
            self._date_ns = date_ns
            self._forgotten.clear()
        for key in [key for key in self._minutes if key[0] < self._open - KEEP_MINUTES]:
            minute = self._minutes.pop(key)
            self._restated.discard(key)
            if key[0] * MINUTE_NS >= self._date_ns:
                self._merge(self._forgotten, key, minute)
        if self._amendable:
            for symbol in range(len(self._listings)):
                old = self._minutes.get((self._open - AMENDABLE_MINUTES, symbol))
                if old is not None:
                    old.keep_no_trades()


def _report(
    kind: type[AnyBar], totals: Totals, listing: Listing, start_ns: int
) -> AnyBar:
    return kind(
        symbol=listing.symbol,
        open=totals.open / 100,
        high=totals.high / 100,
        low=totals.low / 100,
        close=totals.close / 100,
        volume=totals.volume,
        event_time=format_ns(start_ns),
        trade_count=totals.trades,
        vwap=round(totals.notional / totals.priced_volume / 100, 6),
    )
