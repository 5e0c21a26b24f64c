"""``python -m producer.main``: the market-data feed into Kinesis, until told to stop.

    feed ─► frames ─► relay ─► batcher ─► sender ─► Kinesis
           (queue)   (pure)   (pure)    (queue)

Exit codes: 0 stopped after everything was sent, 1 stopped with messages unsent, 2 the
keys were refused, 3 something else a person must change.
"""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from conf import logs
from conf.errors import FixSetup, RetryLater
from conf.kinesis import is_loopback, open_client
from conf.settings import Settings, load
from producer.backoff import Backoff
from producer.batcher import Batcher, PartitionKeys
from producer.endpoints import source, subscribed_symbols
from producer.feed import Feed
from producer.history import History, fetch_history, fetch_live
from producer.kinesis import PutRecords, ensure_stream, put_records
from producer.market_clock import MarketClock
from producer.protocol import decode
from producer.reactions import AuthFailed, Cause
from producer.relay import Frame, Relay
from producer.sender import Sender
from producer.status import State, Status, write_status
from producer.subscription import Channels, check_plan, describe

DRAIN_DEADLINE_S = 20.0
START_DEADLINE_S = 15.0
_CLOSE_DEADLINE_S = 5.0
_FRAMES = 256
_SEND_FIRST_WAIT_S, _SEND_MAX_WAIT_S = 0.1, 2.0
_log = logs.get_logger("producer.main")
_T = TypeVar("_T")


def _now_ms() -> float:
    return time.monotonic() * 1000


class Producer:
    """All parts of one run, wired.

    Args:
        settings: What to read and where to put it.
        put: One PutRecords call.
        live: Whether market time is the wall clock.
    """

    def __init__(self, settings: Settings, put: PutRecords, *, live: bool) -> None:
        alpaca, kinesis = settings.alpaca, settings.kinesis
        self._settings = settings
        self._draining = False
        self._counted, self._counted_ms = 0, _now_ms()
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(_FRAMES)
        self._feed = Feed(
            alpaca, self._frames, Backoff(1.0, alpaca.reconnect_max_s), self
        )
        self._batcher = Batcher(
            linger_ms=kinesis.linger_ms,
            max_messages=kinesis.record_max_messages,
            max_bytes=kinesis.record_max_bytes,
        )
        self._relay = Relay(
            source(alpaca),
            MarketClock(live=live),
            PartitionKeys(subscribed_symbols(alpaca)),
            self._batcher,
            late_after_s=settings.lake.late_after_s,
        )
        self._sender = Sender(
            put,
            Backoff(_SEND_FIRST_WAIT_S, _SEND_MAX_WAIT_S),
            max_bytes=kinesis.queue_max_bytes,
        )

    async def run(self, stop: asyncio.Event, history: History | None = None) -> int:
        """Produce until ``stop`` is set; return how much was not sent.

        Args:
            stop: Set when it is time to drain.
            history: A session to publish before the first frame.

        Raises:
            FixSetup: A person must act; what was gathered is sent first if it can be.
        """
        if history is not None:
            self._publish(history)
        self._write_status()
        stopping = asyncio.create_task(stop.wait())
        feeding = asyncio.create_task(self._feed.run())
        flow = [
            asyncio.create_task(step())
            for step in (
                self._sender.run,
                self._relay_frames,
                self._close_due_records,
                self._report,
            )
        ]
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
        unsent = self._sender.queue_depth + self._frames.qsize()
        _log.info("stopped", messages=self._relay.messages_total, unsent=unsent)
        return unsent

    def confirmed(self, epoch: str, channels: Channels) -> None:
        """Tell what comes from now on."""
        _log.info("receiving", epoch=epoch, channels=describe(channels))

    def lost(self, epoch: str, cause: Cause) -> None:
        """Tell that nothing comes any more."""
        _log.warning("not receiving", epoch=epoch, cause=cause)

    def _publish(self, history: History) -> None:
        records = self._relay.add_history(
            history.epoch, history.bars, time.time_ns(), _now_ms()
        )
        self._sender.put(records)
        _log.info("history queued", epoch=history.epoch, bars=len(history.bars))

    async def _relay_frames(self) -> None:
        encoding = self._settings.alpaca.encoding
        while True:
            frame = await self._frames.get()
            decoded = decode(frame.payload, encoding)
            self._sender.put(self._relay.add(frame, decoded.messages, _now_ms()))
            for control in decoded.controls:
                self._feed.on_control(frame.epoch, control)
            self._frames.task_done()
            await self._sender.room()

    async def _close_due_records(self) -> None:
        while True:
            self._sender.put(self._batcher.close_due(_now_ms()))
            await asyncio.sleep(self._batcher.wait_ms(_now_ms()) / 1000)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(1)
            if not self._draining:
                self._sender.put(self._relay.heartbeat(time.time_ns(), _now_ms()))
            self._write_status()

    def _write_status(self) -> None:
        path = self._settings.var / "run" / "producer.json"
        try:
            write_status(path, self._status())
        except OSError as error:  # a full disk is no reason to stop the stream
            _log.warning("status not written", path=str(path), reason=str(error))

    def _status(self) -> Status:
        now_ms, feed = _now_ms(), self._feed
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
            queue_depth=self._sender.queue_depth,
            last_frame_age_s=read_ns and round((time.time_ns() - read_ns) / 1e9, 3),
            behind_ms=round(self._sender.behind_ms(now_ms), 1),
            subscription_mismatch=feed.mismatch,
        )

    async def _drain(self, feeding: asyncio.Task[None]) -> None:
        """Close the socket, then send what was read; give up at the deadline."""
        self._draining = True
        try:
            async with asyncio.timeout(DRAIN_DEADLINE_S):
                if self._feed.state == "live":
                    await self._feed.close()
                    await asyncio.wait({feeding}, timeout=_CLOSE_DEADLINE_S)
                feeding.cancel()
                await self._frames.join()
                self._sender.put(self._batcher.close_all())
                await self._sender.drain()
        except TimeoutError:
            _log.error("not everything was sent", records=self._sender.queue_depth)


async def _once_up(call: Callable[[], _T], where: str) -> _T:
    """Return the call's answer once the other side is up.

    Raises:
        FixSetup: It did not answer in time.
    """
    backoff = Backoff(0.5, 2.0)
    deadline_s = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            return await asyncio.to_thread(call)
        except RetryLater as error:
            if time.monotonic() > deadline_s:
                raise FixSetup(
                    where, str(error), "Start what it names, or correct the address"
                ) from error
            _log.info("waiting", reason=str(error))
            await asyncio.sleep(backoff.next_s())


async def _start(settings: Settings) -> tuple[Producer, History | None]:
    """Wait for the stream and the simulator; return what is ready to run."""
    kinesis, alpaca = settings.kinesis, settings.alpaca
    check_plan(alpaca)
    client = open_client(kinesis)
    await _once_up(lambda: ensure_stream(client, kinesis), "kinesis.endpoint_url")
    live, history = True, None
    if is_loopback(alpaca.url):
        live = await _once_up(lambda: fetch_live(alpaca), "alpaca.url")
        if live and settings.simulator.history:
            history = await _once_up(lambda: fetch_history(alpaca), "alpaca.url")
    put = put_records(client, kinesis)
    return Producer(settings, put, live=live), history


async def produce(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; return the exit code, 0 or 1.

    Raises:
        FixSetup: A person must act.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    starting = asyncio.create_task(_start(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return 0
    producer, history = starting.result()
    gc.freeze()  # what start-up made stays: no collection looks at it again
    unsent = await producer.run(stop, history)
    return 1 if unsent else 0


def main() -> int:
    """Run the producer; return its exit code."""
    try:
        settings = load()
        logs.configure("producer", level=settings.log_level)
        return asyncio.run(produce(settings))
    except FixSetup as error:
        sys.stderr.write(f"producer: {error}\n")
        return 2 if isinstance(error, AuthFailed) else 3


if __name__ == "__main__":
    sys.exit(main())
