"""Sends records until Kinesis has them: only what failed goes again."""

import asyncio
import time
from collections.abc import Callable

from conf.errors import RetryLater
from conf.logs import get_logger
from producer.backoff import Backoff
from producer.batcher import Record
from producer.kinesis import MAX_CALL_BYTES, MAX_ENTRIES, PutRecords
from producer.outbox import Entry, Outbox

_LOG_EVERY_S = 5.0
_log = get_logger(__name__)


class Sender:
    """The one loop that empties the outbox.

    A call runs in a thread, so the event loop never waits for the network; one call
    at a time. A failed record goes to the front of the queue unchanged.

    Args:
        put: One PutRecords call.
        backoff: Waits after a failure.
        outbox: What to send.
        arrived: Set when the outbox got something.
        clock_s: Monotonic seconds.
    """

    def __init__(
        self,
        put: PutRecords,
        backoff: Backoff,
        outbox: Outbox,
        arrived: asyncio.Event,
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._put, self._backoff = put, backoff
        self._outbox, self._arrived, self._clock_s = outbox, arrived, clock_s
        self._settled = asyncio.Event()
        self._next_log_s = float("-inf")
        self.records_total = 0
        self.retried_entries = 0

    async def drain(self) -> None:
        """Wait until everything queued is acknowledged."""
        while self._outbox.depth:
            self._settled.clear()
            await self._settled.wait()

    async def run(self) -> None:
        """Send for ever.

        Raises:
            FixSetup: No call will work until a person acts; nothing is forgotten.
        """
        while True:
            await self._arrived.wait()
            batch = self._outbox.take(MAX_ENTRIES, MAX_CALL_BYTES)
            if self._outbox.is_empty:
                self._arrived.clear()
            self._settled.set()  # what is damaged on disk is done with, unsent
            if batch and self._settle(batch, await self._attempt(batch)):
                await asyncio.sleep(self._backoff.next_s())

    async def _attempt(self, batch: list[tuple[Entry, Record]]) -> list[str | None]:
        try:
            return await asyncio.to_thread(self._put, [record for _, record in batch])
        except RetryLater as error:
            return [str(error)] * len(batch)
        except BaseException:
            entries = [entry for entry, _ in batch]
            self._outbox.settle(entries, entries)
            raise

    def _settle(
        self, batch: list[tuple[Entry, Record]], codes: list[str | None]
    ) -> bool:
        """Forget what is stored, queue the rest again; return whether any failed."""
        entries = [entry for entry, _ in batch]
        failed = [x for x, code in zip(entries, codes, strict=True) if code is not None]
        self._outbox.settle(entries, failed)
        stored = len(entries) - len(failed)
        self.records_total += stored
        self.retried_entries += len(failed)
        if stored:
            self._backoff.reset()
        if failed:
            self._arrived.set()
            self._log_failure(len(failed), next(filter(None, codes)))
        self._settled.set()
        return bool(failed)

    def _log_failure(self, entries: int, reason: str) -> None:
        now_s = self._clock_s()
        if now_s >= self._next_log_s:
            self._next_log_s = now_s + _LOG_EVERY_S
            _log.warning(
                "records not stored yet, sending them again",
                entries=entries,
                waiting=self._outbox.depth,
                reason=reason,
            )
