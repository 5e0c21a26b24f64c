"""The parts of one run, wired: from frames to what Kinesis has acknowledged.

feed ─► frames ─► relay ─► batcher ─► spool ─► sender ─► Kinesis
       (queue)   (pure)   (pure)     (disk)
account stream ─► order updates ────────┘

Over 300 lines: whoever wants to know what happens when finds all of it here.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from conf.logs import get_logger
from conf.market.gaps import GapTransition
from conf.settings import Settings
from producer.alert_targets import targets
from producer.alerts import Alerts
from producer.announcer import Announcer
from producer.backfill import Backfill
from producer.backoff import Backoff
from producer.batcher import Batcher, PartitionKeys, Record
from producer.endpoints import is_always_open, source, subscribed_symbols
from producer.feed import Feed, new_epoch
from producer.history import History
from producer.history_process import HistoryProcess
from producer.kinesis import PutRecords
from producer.mark import Mark
from producer.market_clock import MarketClock
from producer.metrics import Metrics
from producer.order_flow import OrderFlow
from producer.order_updates import Order
from producer.protocol import decode
from producer.rates import Rates
from producer.reactions import RunCause
from producer.reception import Reception
from producer.relay import Frame, Relay, Row
from producer.sender import Sender
from producer.spool import Spool
from producer.status import State, Status, write_status
from producer.subscription import delivered, requested
from producer.trading_hours import TradingHours

DRAIN_DEADLINE_S = 20.0
_CLOSE_DEADLINE_S = 5.0
_FRAMES = 256
_BACKFILL_DEPTH, _BACKFILL_WAIT_S = 1_000, 0.1
_EAGER_FIRST_WAIT_S, _EAGER_TRIES = 0.4, 40
_SEND_FIRST_WAIT_S, _SEND_MAX_WAIT_S = 0.1, 2.0
_log = get_logger(__name__)


def _now_ms() -> float:
    return time.monotonic() * 1000


class Producer:
    """Reads the feed and stores it, until told to stop.

    Args:
        settings: What to read and where to put it.
        put: One PutRecords call.
        live: Whether market time is the wall clock.
        successor: Whether another producer may be about to leave the feed to this one.
            Then it tries to connect often, and says nothing of how far it is before
            ``resume``: the other's last word must not be hidden.
        drain_s: Longest drain.

    Raises:
        FixSetup: Another producer uses the same spool, or nobody can.
    """

    def __init__(
        self,
        settings: Settings,
        put: PutRecords,
        *,
        live: bool,
        successor: bool = False,
        drain_s: float = DRAIN_DEADLINE_S,
    ) -> None:
        alpaca, kinesis = settings.alpaca, settings.kinesis
        self._settings = settings
        self._draining, self._drain_s = False, drain_s
        self._is_successor, self._has_resumed = successor, not successor
        self._counted, self._counted_ms = 0, _now_ms()
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(_FRAMES)
        reconnect = Backoff(1.0, alpaca.reconnect_max_s)
        if successor:
            reconnect = Backoff(
                _EAGER_FIRST_WAIT_S, alpaca.reconnect_max_s, eager_tries=_EAGER_TRIES
            )
        keys = PartitionKeys(subscribed_symbols(alpaca))
        self._batcher = Batcher(
            linger_ms=kinesis.linger_ms,
            max_messages=kinesis.record_max_messages,
            max_bytes=kinesis.record_max_bytes,
        )
        self._relay = Relay(
            source(alpaca),
            MarketClock(live=live),
            keys,
            self._batcher,
            late_after_s=settings.lake.late_after_s,
        )
        self._spool = Spool(
            settings.var / "spool",
            max_bytes=settings.spool.max_mb * 1024 * 1024,
            memory_bytes=kinesis.queue_max_bytes,
            now_ms=_now_ms(),
        )
        self._spool.keep_from_s = 0.0  # until the gaps of an earlier run are known
        self._sender = Sender(
            put,
            Backoff(_SEND_FIRST_WAIT_S, _SEND_MAX_WAIT_S),
            self._spool.outbox,
            self._spool.arrived,
        )
        self._announcer = Announcer(f"run-{new_epoch(time.time_ns())}", source(alpaca))
        asked = delivered(requested(alpaca))
        self._reception = Reception(asked, self.announce, self.market_ns, live=live)
        self._hours: TradingHours | None = None
        if live and not is_always_open(settings):
            self._hours = TradingHours(HistoryProcess(settings))
        self._feed = Feed(
            alpaca, self._frames, reconnect, self._reception, is_open=self._is_open
        )
        ledger = self._reception.ledger
        self._orders: OrderFlow | None = None
        if alpaca.trade_updates:
            self._orders = OrderFlow(alpaca, keys, ledger, self, _now_ms, live=live)
        watch = settings.watch
        self._alerts = Alerts(watch.disconnected_s, targets(watch))
        self._metrics = Metrics(watch.metrics_port) if watch.metrics_port else None
        self._history = HistoryProcess(settings)
        self._rates = Rates()
        self._backfill = Backfill(
            settings, ledger, self._history, self, self._relay.seen, self._rates
        )

    async def run(self, stop: asyncio.Event, history: History | None = None) -> int:
        """Produce until ``stop`` is set; return how many records were not sent.

        They are in the spool and go first at the next start.

        Args:
            stop: Set when it is time to drain.
            history: Sessions to publish before the first frame.

        Raises:
            FixSetup: A person must act; what was gathered is sent first if it can be.
        """
        if history is not None:
            self._publish(history)
        self._write_status()
        stopping = asyncio.create_task(stop.wait())
        feeding = asyncio.create_task(self._feed.run())
        flow = [asyncio.create_task(step()) for step in self._steps()]
        tasks: list[asyncio.Task[Any]] = [stopping, feeding, *flow]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if done.isdisjoint(flow):
                await self._drain(feeding)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._write_status()
            self._spool.close()
            await self._history.close()
        unsent = self._spool.depth + self._frames.qsize()
        _log.info("stopped", messages=self._relay.messages_total, unsent=unsent)
        return unsent

    def _steps(self) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        yield self._spool.run
        yield self._sender.run
        yield self._relay_frames
        yield self._close_due_records
        yield self._report
        yield self._backfill.run
        if self._orders is not None:
            yield self._orders.stream.run
        if self._hours is not None:
            yield self._hours.run

    @property
    def is_on_new_disk(self) -> bool:
        """Whether the spool knows nothing of an earlier run."""
        return self._spool.mark is None

    @property
    def has_connected(self) -> bool:
        """Whether the feed was ever received in this run."""
        return self._feed.connections > 0

    def resume(self, last: Mark | None, cause: RunCause = "new_disk") -> None:
        """Go on after an earlier run: what it did not keep is a gap.

        Args:
            last: What the stream tells of it, when the spool tells nothing.
            cause: Why this is another run than that.
        """
        self._has_resumed = True
        if self._spool.mark is not None:
            last, cause = self._spool.mark, "restart"
        if last is None:
            return
        self._relay.seen.restore(last.bars)
        self._reception.resume(last, cause)
        if self._orders is not None:
            self._orders.resume(last, cause)
        self._reception.damaged(self._spool.take_losses())

    async def publish(self, page: Frame, rows: list[Row]) -> None:
        """Take rows of history for the stream, when it keeps up."""
        while self._spool.is_full or self._spool.depth > _BACKFILL_DEPTH:
            await asyncio.sleep(_BACKFILL_WAIT_S)
        self.store(self._relay.add_backfill(page, rows, _now_ms()))
        await asyncio.sleep(0)  # the feed goes first

    async def publish_orders(
        self, page: Frame, orders: list[Order], gap: tuple[int, int]
    ) -> int:
        """Take what orders tell of an interval; return how many updates that is."""
        if self._orders is None:
            return 0
        records = self._orders.add_orders(page, orders, gap)
        self.store(records)
        return len(records)

    def payloads(self, since_ns: int, until_ns: int) -> Iterator[bytes]:
        """Yield the spooled records received in a market time, and some others."""
        return self._spool.payloads(self._wall_s(since_ns), self._wall_s(until_ns))

    def announce(self, transitions: list[GapTransition]) -> None:
        """Take transitions of gaps for the stream, after all that was received."""
        now = time.time_ns(), self.market_ns(), _now_ms()
        records = self._batcher.close_all()
        self.store(records + self._announcer.records(transitions, *now))

    def market_ns(self) -> int:
        """Return the market time now; in a replay, that of the newest event."""
        return self._relay.market_ns(time.time_ns())

    def symbols(self) -> list[str]:
        """Return every symbol that the feed told of."""
        return list(self._relay.counts())

    def _publish(self, history: History) -> None:
        now = time.time_ns(), _now_ms()
        self.store(self._relay.add_history(history.epoch, history.bars, *now))
        _log.info("history queued", epoch=history.epoch, bars=len(history.bars))

    def store(self, records: list[Record]) -> None:
        """Spool records; when no line is left behind, everything received is there."""
        mark = None
        if self._batcher.is_empty and self._has_resumed:
            mark = self._mark(self._received_until_ns())
        self._spool.append(records, mark)

    def _mark(self, until_ns: int) -> Mark:
        mark = self._reception.mark(until_ns, self._relay.seen.bars(until_ns))
        return mark if self._orders is None else self._orders.mark(mark)

    def _received_until_ns(self) -> int:
        received_ns = self._relay.received_until_ns
        if self._frames.empty():
            received_ns = max(received_ns, self._reception.confirmed_ns)
        before = self._spool.mark
        return received_ns or (before.received_until_ns if before else 0)

    async def _relay_frames(self) -> None:
        encoding = self._settings.alpaca.encoding
        while True:
            frame = await self._frames.get()
            decoded = decode(frame.payload, encoding)
            records = self._relay.add(frame, decoded.messages, _now_ms())
            if decoded.messages:
                self._reception.heard(frame.epoch, self._relay.received_until_ns)
            if records:
                self.store(records)
            for control in decoded.controls:
                self._feed.on_control(frame.epoch, control)
            self._frames.task_done()

    async def _close_due_records(self) -> None:
        while True:
            if records := self._batcher.close_due(_now_ms()):
                self.store(records)
            await asyncio.sleep(self._batcher.wait_ms(_now_ms()) / 1000)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._mind_the_disk()
            self._reception.damaged(self._spool.take_losses())
            self._spool.keep_from_s = self._wall_s(self._backfill.since_ns)
            if self._feed.state == "live":
                live_s = min(1.0, time.monotonic() - self._feed.live_since_s)
                self._rates.update(self._relay.counts(), live_s)
            if not self._draining:
                self.store(self._batcher.close_all() + self._heartbeat())
            self._write_status()

    def _wall_s(self, market_ns: int) -> float:
        return time.time() - (self.market_ns() - market_ns) / 1e9

    def _heartbeat(self) -> list[Record]:
        # what is on this disk alone, and what became of gaps by it, goes down with it
        mark = self._spool.stored_mark
        if mark is None:
            if self._is_successor:
                return []
            mark = self._mark(0)
        return self._relay.heartbeat(time.time_ns(), _now_ms(), mark)

    def _is_open(self) -> bool:
        return self._hours is None or self._hours.is_open(time.time_ns())

    def _mind_the_disk(self) -> None:
        if self._spool.is_full:
            problem = self._spool.problem or f"{self._spool.disk_bytes >> 20} MB wait"
            self._feed.hold(f"no room in the spool: {problem}")
        else:
            self._feed.release()

    def _write_status(self) -> None:
        path = self._settings.var / "run" / "producer.json"
        status, budget = self.status(), self._history.budget
        self._alerts.check(status, budget, time.time())
        if self._metrics is not None:
            self._metrics.show(status, budget)
        try:
            write_status(path, status)
        except OSError as error:  # a full disk is no reason to stop the stream
            _log.warning("status not written", path=str(path), reason=str(error))

    def status(self) -> Status:
        """Return the state of this moment."""
        now_ms, feed, spool = _now_ms(), self._feed, self._spool
        total = self._relay.messages_total
        elapsed_s = max(0.001, (now_ms - self._counted_ms) / 1000)
        rate_per_s = (total - self._counted) / elapsed_s
        self._counted, self._counted_ms = total, now_ms
        state: State = "draining" if self._draining else feed.state
        read_ns = feed.last_frame_time_ns
        return Status(
            state=state,
            epoch=feed.epoch,
            messages_per_s=round(rate_per_s, 1),
            messages_total=total,
            records_total=self._sender.records_total,
            retried_entries=self._sender.retried_entries,
            queue_depth=spool.depth,
            last_frame_age_s=read_ns and round((time.time_ns() - read_ns) / 1e9, 3),
            behind_ms=round(spool.behind_ms(now_ms), 1),
            subscription_mismatch=feed.mismatch,
            spool_bytes=spool.disk_bytes,
            spool_full=spool.is_full,
            spool_problem=spool.problem,
            spool_commit_ms=round(spool.commit_ms, 1),
            gaps_open=self._reception.ledger.open_gaps,
            gaps_unsettled=self._reception.ledger.unsettled,
            gaps_lost=self._backfill.lost_total,
            backfilled_rows=self._backfill.rows_total,
            spool_unreadable=self._backfill.unreadable_total,
            spool_damaged=spool.damaged_total,
            rest_throttled=self._history.throttled,
            connections=feed.connections,
            slow_client_errors=feed.slow_client_errors,
            account_state=self._orders.stream.state if self._orders else None,
            account_connections=self._orders.stream.connections if self._orders else 0,
            market_open=self._is_open(),
        )

    async def _drain(self, feeding: asyncio.Task[None]) -> None:
        """Close the socket, then send what was read; give up at the deadline."""
        self._draining = True
        try:
            async with asyncio.timeout(self._drain_s):
                if self._feed.state == "live":
                    await self._feed.close()
                    await asyncio.wait({feeding}, timeout=_CLOSE_DEADLINE_S)
                feeding.cancel()
                await self._frames.join()
                self.store(self._batcher.close_all())
                await self._spool.flush()
                await self._sender.drain()
                # the last word: a successor elsewhere goes on from here
                self.store([])
                await self._spool.flush()
                self.store(self._heartbeat())
                await self._spool.flush()
                await self._sender.drain()
        except TimeoutError:
            _log.error("not everything was sent", records=self._spool.depth)
