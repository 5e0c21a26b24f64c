"""Sends records until Kinesis has them: only what failed goes again."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

from conf.errors import RetryLater
from conf.logs import get_logger
from producer.backoff import Backoff
from producer.batcher import Record
from producer.kinesis import MAX_CALL_BYTES, MAX_ENTRIES, PutRecords

_LOG_EVERY_S = 5.0
_log = get_logger(__name__)


class Sender:
    """A bounded queue in memory, and the one loop that empties it.

    A call runs in a thread, so the event loop never waits for the network; one call
    at a time. A failed record goes to the front of the queue unchanged.

    Args:
        put: One PutRecords call.
        backoff: Waits after a failure.
        max_bytes: Above so many bytes ``room`` waits.
        clock_s: Monotonic seconds.
    """

    def __init__(
        self,
        put: PutRecords,
        backoff: Backoff,
        *,
        max_bytes: int,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._put, self._backoff = put, backoff
        self._max_bytes, self._clock_s = max_bytes, clock_s
        self._waiting: deque[Record] = deque()
        self._bytes = 0
        self._arrived, self._room, self._empty = (asyncio.Event() for _ in range(3))
        self._room.set()
        self._empty.set()
        self._in_flight: list[Record] = []
        self._next_log_s = float("-inf")
        self.records_total = 0
        self.retried_entries = 0

    @property
    def queue_depth(self) -> int:
        """Records that Kinesis has not acknowledged."""
        return len(self._waiting) + len(self._in_flight)

    def behind_ms(self, now_ms: float) -> float:
        """Return the age of the oldest record that is not acknowledged."""
        oldest = min((x[0].opened_ms for x in self._unsent()), default=now_ms)
        return max(0.0, now_ms - oldest)

    def put(self, records: Iterable[Record]) -> None:
        """Queue records; they leave in this order. Wait for ``room`` afterwards."""
        for record in records:
            self._waiting.append(record)
            self._bytes += len(record.data)
        if self._waiting:
            self._arrived.set()
            self._empty.clear()
        if self._bytes > self._max_bytes and self._room.is_set():
            self._room.clear()
            _log.warning("queue is full: reading waits", records=self.queue_depth)

    async def room(self) -> None:
        """Wait until the queue is below its bound."""
        await self._room.wait()

    async def drain(self) -> None:
        """Wait until everything queued is acknowledged."""
        await self._empty.wait()

    async def run(self) -> None:
        """Send for ever.

        Raises:
            FixSetup: No call will work until a person acts; nothing is forgotten.
        """
        while True:
            await self._arrived.wait()
            self._in_flight = self._take()
            codes = await self._attempt(self._in_flight)
            failed = self._settle(codes)
            if failed:
                await asyncio.sleep(self._backoff.next_s())

    def _unsent(self) -> Iterable[deque[Record] | list[Record]]:
        return (queue for queue in (self._in_flight, self._waiting) if queue)

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        size = 0
        while self._waiting and len(batch) < MAX_ENTRIES:
            size += len(self._waiting[0].data) + len(self._waiting[0].partition_key)
            if batch and size > MAX_CALL_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _attempt(self, batch: list[Record]) -> list[str | None]:
        try:
            return await asyncio.to_thread(self._put, batch)
        except RetryLater as error:
            return [str(error)] * len(batch)

    def _settle(self, codes: list[str | None]) -> int:
        """Forget what is stored, queue the rest again; return how many failed."""
        failed = [
            record
            for record, code in zip(self._in_flight, codes, strict=True)
            if code is not None
        ]
        stored = len(codes) - len(failed)
        self._bytes -= sum(len(x.data) for x in self._in_flight)
        self._bytes += sum(len(x.data) for x in failed)
        self._waiting.extendleft(reversed(failed))
        self._in_flight = []
        self.records_total += stored
        self.retried_entries += len(failed)
        if stored:
            self._backoff.reset()
        if failed:
            self._log_failure(len(failed), next(filter(None, codes)))
        self._signal()
        return len(failed)

    def _signal(self) -> None:
        if self._bytes <= self._max_bytes:
            self._room.set()
        if not self._waiting:
            self._arrived.clear()
            self._empty.set()

    def _log_failure(self, entries: int, reason: str) -> None:
        now_s = self._clock_s()
        if now_s >= self._next_log_s:
            self._next_log_s = now_s + _LOG_EVERY_S
            _log.warning(
                "records not stored yet, sending them again",
                entries=entries,
                waiting=self.queue_depth,
                reason=reason,
            )
