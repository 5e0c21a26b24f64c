"""The account's part of a run: its stream, its gaps, its records."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from conf.market.gaps import GapTransition
from conf.settings import AlpacaSettings
from producer.account import AccountStream
from producer.backoff import Backoff
from producer.batcher import PartitionKeys, Record
from producer.endpoints import account_source
from producer.gaps import Ledger
from producer.mark import Mark
from producer.order_updates import CHANNELS, Order, OrderUpdates
from producer.reactions import RunCause
from producer.reception import Reception
from producer.relay import Frame


class Run(Protocol):
    """What the account shares with the market's feed."""

    def store(self, records: list[Record]) -> None:
        """Take records for the stream."""

    def announce(self, transitions: list[GapTransition]) -> None:
        """Take transitions of gaps for the stream."""

    def market_ns(self) -> int:
        """Return the market time now."""


class OrderFlow:
    """Order updates on their way into the stream.

    Args:
        settings: Address and keys.
        keys: Partition key of each symbol.
        ledger: Has the gaps of this stream too.
        run: Takes the records.
        now_ms: The batcher's clock.
        live: Whether market time is wall-clock time.
    """

    def __init__(
        self,
        settings: AlpacaSettings,
        keys: PartitionKeys,
        ledger: Ledger,
        run: Run,
        now_ms: Callable[[], float],
        *,
        live: bool,
    ) -> None:
        self._run, self._now_ms = run, now_ms
        self._updates = OrderUpdates(account_source(settings), keys, live=live)
        # unlike the feed's, this market time goes on: pongs tell until when it is known
        self._reception = Reception(
            CHANNELS, run.announce, run.market_ns, live=True, ledger=ledger
        )
        backoff = Backoff(1.0, settings.reconnect_max_s)
        self.stream = AccountStream(
            settings, backoff, self._reception, self._take, run.market_ns
        )

    def resume(self, mark: Mark, cause: RunCause) -> None:
        """Go on where another producer ended."""
        self._reception.resume(mark, cause)

    def mark(self, mark: Mark) -> Mark:
        """Return what the next producer must know, with this stream in it."""
        return msgspec.structs.replace(mark, channels={**mark.channels, **CHANNELS})

    def add_orders(
        self, page: Frame, orders: list[Order], gap: tuple[int, int]
    ) -> list[Record]:
        """Return the records of what orders tell of an interval."""
        return self._updates.add_orders(
            page, orders, gap, self._run.market_ns(), self._now_ms()
        )

    def _take(self, frame: Frame) -> None:
        records = self._updates.add(frame, self._run.market_ns(), self._now_ms())
        self._run.store(records)
