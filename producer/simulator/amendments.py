"""Corrections and cancels of trades that were really sent a short while ago."""

from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from conf.market.rfc3339 import format_ns
from conf.market.wire import CancelError, Correction, Trade
from conf.settings import SimulatorSettings
from producer.simulator.listing import LOT
from producer.simulator.minutes import MinuteBook
from producer.simulator.slots import SECOND_NS

OLDEST_NS = 150 * SECOND_NS
"""No trade is amended later than that: its minute still knows its trades."""
SAMPLED_PER_AMENDMENT = 4
"""How many trades are remembered for each that will be amended."""
POOL = 20_000
CANCEL_ERROR_SHARE = 0.2
"""Cancels of a trade that was entered in error; the others are plain."""
SAME_SIZE_SHARE = 0.5
AGAIN_SHARE = 0.2
"""Corrected trades that may be amended again, by their new id."""


class TradeIds(Protocol):
    """Who numbers trades."""

    def next(self, symbol: int, exchange: str) -> int:
        """Use up the next trade id of a symbol on an exchange."""
        ...


class _Sold(NamedTuple):
    symbol: int
    event_ns: int
    trade: Trade


class Amendments:
    """Remembers some trades and amends each of them at most once.

    Its random numbers are its own, so that without amendments nothing else changes.

    Args:
        settings: The shares of corrections and cancels.
        trade_share: How many of the messages are trades.
    """

    def __init__(self, settings: SimulatorSettings, trade_share: float) -> None:
        wanted = settings.corrected_share + settings.canceled_share
        self._sampled = min(1.0, SAMPLED_PER_AMENDMENT * wanted / trade_share)
        self._rng = np.random.default_rng([settings.seed, 2])
        self._pool: list[_Sold] = []
        self._fresh: list[_Sold] = []

    @property
    def is_on(self) -> bool:
        """Whether any trade is amended at all."""
        return self._sampled > 0

    def offer(self, symbol: int, event_ns: int, trade: Trade) -> None:
        """Perhaps remember a trade; it can be amended from the next batch on."""
        if self._sampled and self._rng.random() < self._sampled:
            self._fresh.append(_Sold(symbol, event_ns, trade))

    def ready(self, now_ns: int) -> int:
        """Return how many trades could be amended in the batch that begins now."""
        oldest_ns = now_ns - OLDEST_NS
        known = [sold for sold in self._pool + self._fresh if sold.event_ns > oldest_ns]
        self._pool, self._fresh = known[-POOL:], []
        return len(self._pool)

    def correct(
        self, time_ns: int, trade_ids: TradeIds, book: MinuteBook
    ) -> Correction:
        """Correct a trade: another price, and sometimes another size."""
        sold = self._take()
        before = sold.trade
        after = msgspec.structs.replace(
            before,
            trade_id=trade_ids.next(sold.symbol, before.exchange),
            price=(round(before.price * 100) + int(self._rng.integers(1, 6))) / 100,
            size=self._other_size(before.size),
        )
        book.amend(sold.symbol, sold.event_ns, before, after)
        if self._rng.random() < AGAIN_SHARE:
            self._fresh.append(sold._replace(trade=after))
        return Correction(
            symbol=before.symbol,
            exchange=before.exchange,
            original_id=before.trade_id,
            original_price=before.price,
            original_size=before.size,
            original_conditions=before.conditions,
            corrected_id=after.trade_id,
            corrected_price=after.price,
            corrected_size=after.size,
            corrected_conditions=after.conditions,
            event_time=format_ns(time_ns),
            tape=before.tape,
        )

    def cancel(self, time_ns: int, book: MinuteBook) -> CancelError:
        """Cancel a trade."""
        sold = self._take()
        book.amend(sold.symbol, sold.event_ns, sold.trade, None)
        is_error = self._rng.random() < CANCEL_ERROR_SHARE
        return CancelError(
            symbol=sold.trade.symbol,
            trade_id=sold.trade.trade_id,
            exchange=sold.trade.exchange,
            price=sold.trade.price,
            size=sold.trade.size,
            action="E" if is_error else "C",
            event_time=format_ns(time_ns),
            tape=sold.trade.tape,
        )

    def _other_size(self, size: int) -> int:
        """Return a size on the same side of a round lot; half of the time the same."""
        if self._rng.random() < SAME_SIZE_SHARE:
            return size
        return int(self._rng.integers(1, LOT)) if size < LOT else size + LOT

    def _take(self) -> _Sold:
        place = int(self._rng.integers(len(self._pool)))
        self._pool[place], self._pool[-1] = self._pool[-1], self._pool[place]
        return self._pool.pop()
