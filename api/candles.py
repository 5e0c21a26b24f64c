"""Minute candles from trades, by the sale-condition rules.

Trades may come repeated and in any order: each counts once, the open is the earliest
by event time and the close the latest. Alpaca's own bar of a minute replaces it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from api.payloads import Candle
from api.ticks import Tick
from api.time_text import time_text
from conf.market.conditions import Effect, Update, effect_of
from conf.market.wire import Bar, Trade, UpdatedBar

MINUTE_NS = 60_000_000_000
GRACE_NS = 1_500_000_000
"""A candle is final when the market clock has passed its end by so much."""

Order = tuple[int, int, int, int]
_LAST: Order = (2**63, 0, 0, 0)
_FIRST: Order = (-(2**63), 0, 0, 0)


@dataclass(slots=True)
class Minute:
    """One symbol's minute as it grows; ``revision`` counts its changes."""

    symbol: str
    start_ns: int
    touched_ns: int = 0
    revision: int = 0
    is_final: bool = False
    bar: Bar | None = None
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: int = 0
    trade_count: int = 0
    opened: Order = _LAST
    closed: Order = _FIRST
    # one hash per trade: a full key of each would take five times the memory
    counted: set[int] = field(default_factory=set)

    @property
    def has_price(self) -> bool:
        """A minute of odd lots alone has volume and no price: it is no candle."""
        return self.bar is not None or self.closed != _FIRST

    def add(self, trade: Trade, order: Order, effect: Effect) -> None:
        """Count one trade that was not counted before."""
        if effect.volume:
            self.volume += trade.size
            self.trade_count += 1
        if effect.high_low:
            is_first = self.low == 0.0
            self.high = max(self.high, trade.price)
            self.low = trade.price if is_first else min(self.low, trade.price)
        if effect.opens and order < self.opened:
            self.opened, self.open = order, trade.price
        if effect.last is Update.ALWAYS and order > self.closed:
            self.closed, self.close = order, trade.price

    def candle(self) -> Candle:
        """Return it as it is now."""
        prices: Bar | Minute = self.bar or self
        return Candle(
            symbol=self.symbol,
            window_start=time_text(self.start_ns),
            window_end=time_text(self.start_ns + MINUTE_NS),
            open=prices.open,
            high=prices.high,
            low=prices.low,
            close=prices.close,
            volume=prices.volume,
            trade_count=prices.trade_count,
            is_final=self.is_final,
            source="alpaca" if self.bar else "trades",
        )


class CandleBook:
    """The minutes that can still change.

    Args:
        keep_s: A minute is kept until so long after its end: older trades are late.
    """

    def __init__(self, keep_s: int) -> None:
        self._keep_ns = keep_s * 1_000_000_000
        self._minutes: dict[tuple[str, int], Minute] = {}

    def __len__(self) -> int:
        return len(self._minutes)

    def add_trade(
        self, tick: Tick, trade: Trade, market_ns: int, revision: int
    ) -> None:
        """Count one trade, as far as its conditions let it, unless it was counted."""
        start_ns = tick.event_time_ns - tick.event_time_ns % MINUTE_NS
        if start_ns + MINUTE_NS + self._keep_ns < market_ns:
            return
        effect = effect_of(trade.conditions, trade.tape)
        if not effect.volume and not effect.high_low:
            return
        minute = self._minute(trade.symbol, start_ns)
        key = hash((trade.exchange, trade.trade_id, tick.event_time_ns))
        if key in minute.counted:
            return
        minute.counted.add(key)
        minute.add(trade, tick.order, effect)
        if minute.bar is None:
            minute.touched_ns, minute.revision = market_ns, revision

    def add_bar(self, tick: Tick, bar: Bar, market_ns: int, revision: int) -> None:
        """Let Alpaca's bar stand for its minute; one with more trades is newer."""
        minute = self._minute(bar.symbol, tick.event_time_ns)
        if minute.bar is not None and _restated(bar) <= _restated(minute.bar):
            return
        minute.bar, minute.is_final = bar, True
        minute.touched_ns, minute.revision = market_ns, revision

    def close_due(self, market_ns: int, revision: int) -> None:
        """Make the minutes final whose end the market clock has passed."""
        for minute in self._minutes.values():
            end_ns = minute.start_ns + MINUTE_NS + GRACE_NS
            if not minute.is_final and end_ns <= market_ns:
                minute.is_final, minute.revision = True, revision

    def forget_old(self, market_ns: int) -> list[tuple[str, int]]:
        """Drop the minutes that have not changed for long; return their keys."""
        oldest_ns = market_ns - self._keep_ns
        forgotten = [
            key
            for key, minute in self._minutes.items()
            if max(minute.start_ns + MINUTE_NS, minute.touched_ns) < oldest_ns
        ]
        for key in forgotten:
            del self._minutes[key]
        return forgotten

    def minutes(self) -> Iterable[Minute]:
        """Return the minutes that have a price, in the order they began to matter."""
        return (minute for minute in self._minutes.values() if minute.has_price)

    def _minute(self, symbol: str, start_ns: int) -> Minute:
        key = symbol, start_ns
        minute = self._minutes.get(key)
        if minute is None:
            minute = self._minutes[key] = Minute(symbol, start_ns)
        return minute


def _restated(bar: Bar) -> int:
    """Number a bar's restatements as ``silver.bars`` does."""
    if not isinstance(bar, UpdatedBar):
        return 0
    return 1 if bar.trade_count is None else bar.trade_count
