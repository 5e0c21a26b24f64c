"""Records on their way to Kinesis: what waits, what is under way, what is stored."""

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from producer.batcher import Record
from producer.segments import Place


class Entry(msgspec.Struct, eq=False):
    """One record; ``number`` is its place among all, from 1.

    Either ``record`` is in memory, or ``place`` says where it is on disk; or both.
    """

    number: int
    opened_ms: float
    record: Record | None
    place: Place | None = None
    is_stored: bool = False

    @property
    def size(self) -> int:
        """Bytes that it needs in memory."""
        return 0 if self.record is None else len(self.record.data)


class Outbox:
    """A queue in order; what failed goes first again.

    Args:
        read: Fetches a record from disk, by place and number; None if it is damaged.
        memory_bytes: What waits beyond is kept on disk alone, if it is there.
    """

    def __init__(
        self, read: Callable[[Place, int], Record | None], memory_bytes: int
    ) -> None:
        self._read, self._most_bytes = read, memory_bytes
        self._waiting: deque[Entry] = deque()
        self._unsettled: deque[Entry] = deque()
        self._in_flight = 0
        self.memory_bytes = 0
        """Bytes of the records in memory."""
        self.stored_until = 0
        """Every record up to this number is stored."""

    @property
    def depth(self) -> int:
        """Records that Kinesis has not acknowledged."""
        return len(self._waiting) + self._in_flight

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits; something may be under way."""
        return not self._waiting

    @property
    def oldest_ms(self) -> float | None:
        """When the oldest record that is not acknowledged was opened."""
        return self._unsettled[0].opened_ms if self._unsettled else None

    def put(self, entries: Iterable[Entry]) -> None:
        """Queue entries; their numbers rise from call to call."""
        for entry in entries:
            self.memory_bytes += entry.size
            if self.memory_bytes > self._most_bytes and entry.place is not None:
                self.memory_bytes -= entry.size
                entry.record = None
            self._waiting.append(entry)
            self._unsettled.append(entry)

    def take(self, max_entries: int, max_bytes: int) -> list[tuple[Entry, Record]]:
        """Return what goes next: it is under way until ``settle``.

        At least one, unless all are damaged on disk: those are done with.
        """
        batch: list[tuple[Entry, Record]] = []
        size = 0
        while self._waiting and len(batch) < max_entries:
            record = self._load(self._waiting[0])
            if record is None:
                self._waiting.popleft().is_stored = True
                self._advance()
                continue
            size += len(record.data) + len(record.partition_key)
            if batch and size > max_bytes:
                break
            batch.append((self._waiting.popleft(), record))
        self._in_flight += len(batch)
        return batch

    def settle(self, batch: Iterable[Entry], failed: Iterable[Entry]) -> None:
        """Forget what of a batch is stored, queue the rest again in front."""
        again = list(failed)
        left = {entry.number for entry in again}
        for entry in batch:
            self._in_flight -= 1
            if entry.number not in left:
                entry.is_stored = True
                self.memory_bytes -= entry.size
                entry.record = None
        self._waiting.extendleft(reversed(again))
        self._advance()

    def _advance(self) -> None:
        while self._unsettled and self._unsettled[0].is_stored:
            self.stored_until = self._unsettled.popleft().number

    def _load(self, entry: Entry) -> Record | None:
        if entry.record is None:
            if entry.place is None:
                raise RuntimeError(f"record {entry.number} is nowhere")
            record = self._read(entry.place, entry.number)
            if record is None:
                return None
            entry.record = record._replace(opened_ms=entry.opened_ms)
            self.memory_bytes += entry.size
        return entry.record
