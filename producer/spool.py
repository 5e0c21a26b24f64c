"""The spool: a record is on disk before it goes to Kinesis, and until Kinesis has it.

    append ─► group commit (write, fsync) ─► outbox ─► sender ─► acknowledged: trimmed

Appending never waits. All that came while the disk was busy is written by one call and
one fsync. With every commit goes a mark: up to where everything received is on disk,
which records Kinesis has, and what the gap ledger knows. A process that was killed
finds there what to send again, byte for byte, and what it has missed. What Kinesis has
can be kept for a while: it says what need not be told again. A record whose bytes
changed on disk is kept aside, in ``damaged``, and what it hid is a ``Loss``.
"""

import asyncio
import errno
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from conf.logs import get_logger
from producer.batcher import Record
from producer.damage import Loss, hidden, joined, unsent_damage
from producer.mark import Mark
from producer.outbox import Entry, Outbox
from producer.segments import MARK, RECORD, Place, Segments, Stored, encode

_ROOM_AGAIN = 0.8
_RETRY_S = 0.5
_MOST_MARKS = 256
_log = get_logger(__name__)


class _Marked(msgspec.Struct, frozen=True):
    """A mark as it is on disk: with the last record of which Kinesis has all before."""

    mark: Mark
    stored_until: int


class Spool:
    """Keeps records until they are acknowledged, over the end of this process.

    Args:
        folder: Where; this process alone may use it.
        max_bytes: More on disk than this is too much: ``is_full``.
        memory_bytes: What waits beyond is kept on disk alone.
        now_ms: The clock of ``Record.opened_ms``.

    Raises:
        FixSetup: Another process uses the folder, or nobody may.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int, memory_bytes: int, now_ms: float
    ) -> None:
        self._segments = Segments(folder)
        self._max_bytes = max_bytes
        self.outbox = Outbox(self._read, memory_bytes)
        self.mark: Mark | None = None
        """The newest; None on a new disk."""
        self._pending: list[Entry] = []
        self._in_segment: dict[int, deque[Entry]] = {}
        self._arrived, self._idle = asyncio.Event(), asyncio.Event()
        self.arrived = asyncio.Event()
        """Set when the outbox has something."""
        self._idle.set()
        self._last_number = 0
        self._marks: list[tuple[int, Mark]] = []
        self.stored_mark: Mark | None = None
        """The newest of which Kinesis has every record; None when unknown."""
        self.is_full = False
        """Whether nothing more should be read."""
        self.problem: str | None = None
        """Why the disk takes nothing; None when it does."""
        self.commit_ms = 0.0
        self._losses: list[Loss] = []
        self.damaged_total = 0
        """Records that were not sent, for their bytes had changed on disk."""
        self._recovered: list[tuple[int, int]] = []
        self.keep_from_s = math.inf
        """Files written since, epoch s, stay while less than half of the bound is."""
        self._recover(now_ms)

    @property
    def disk_bytes(self) -> int:
        """How much is on disk."""
        return self._segments.disk_bytes

    @property
    def depth(self) -> int:
        """Records that Kinesis has not acknowledged."""
        return len(self._pending) + self.outbox.depth

    def behind_ms(self, now_ms: float) -> float:
        """Return the age of the oldest record that is not acknowledged."""
        oldest = [self.outbox.oldest_ms, *(x.opened_ms for x in self._pending[:1])]
        return max(
            0.0, now_ms - min((x for x in oldest if x is not None), default=now_ms)
        )

    def append(self, records: Iterable[Record], mark: Mark | None = None) -> None:
        """Take records, which leave in this order, and what is known after them."""
        for record in records:
            self._last_number += 1
            self._pending.append(Entry(self._last_number, record.opened_ms, record))
        if mark is not None:
            self.mark = mark
            self._marks.append((self._last_number, mark))
            if len(self._marks) > _MOST_MARKS:  # Kinesis is away: fewer will do
                del self._marks[1::2]
        self._arrived.set()
        self._idle.clear()

    def payloads(self, since_s: float, until_s: float = math.inf) -> Iterator[bytes]:
        """Yield the records of files written in a time, epoch s; in any thread."""
        for entry in self._segments.read_all(since_s, until_s):
            if entry.kind == RECORD:
                yield entry.body

    def take_losses(self) -> list[Loss]:
        """Return what damage hid since the last call, each interval once."""
        losses, self._losses = self._losses, []
        return joined(losses)

    async def run(self) -> None:
        """Commit for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._commit()
            if not self._arrived.is_set():
                self._idle.set()

    async def flush(self) -> None:
        """Wait until everything appended has been given to the disk and the outbox."""
        await self._idle.wait()

    def close(self) -> None:
        """Let another process have the folder."""
        self._segments.close()

    async def _commit(self) -> None:
        # what is appended while the disk works belongs to the next commit
        entries, mark = list(self._pending), self._encoded_mark()
        content = [_encode(entry) for entry in entries] + [mark]
        started_s = time.perf_counter()
        try:
            places = await asyncio.to_thread(self._write, content)
        except OSError as error:
            self._tell(str(error))
        else:
            self._tell(None)
            for entry, place in zip(entries, places[: len(entries)], strict=True):
                entry.place = place
                self._in_segment.setdefault(place.segment, deque()).append(entry)
        self.commit_ms = (time.perf_counter() - started_s) * 1000
        # what the disk did not take is safe only when Kinesis has it
        self._pending = self._pending[len(entries) :]
        self.outbox.put(entries)
        if entries:
            self.arrived.set()
        self._measure()
        if self.problem is not None:
            await asyncio.sleep(_RETRY_S)

    def _measure(self) -> None:
        # room is told only well below the bound, so that the feed does not flap
        bound = self._max_bytes * (_ROOM_AGAIN if self.is_full else 1)
        self.is_full = self.problem is not None or self.disk_bytes > bound
        while self._marks and self._marks[0][0] <= self.outbox.stored_until:
            self.stored_mark = self._marks.pop(0)[1]

    def _write(self, content: list[bytes]) -> list[Place]:
        self._trim()
        return self._segments.write(content)

    def _trim(self) -> None:
        """Delete the files whose records are all stored: the newest has the mark."""
        for segment in self._segments.segments():
            entries = self._in_segment.get(segment)
            while entries and entries[0].is_stored:
                entries.popleft()
            # the active file has the newest mark
            is_done = self._segments.active not in (None, segment)
            if is_done and not entries and not self._is_kept(segment):
                self._in_segment.pop(segment, None)
                self._segments.drop(segment)

    def _is_kept(self, segment: int) -> bool:
        has_room = self.problem is None and self.disk_bytes < self._max_bytes / 2
        return has_room and self._segments.written_s(segment) >= self.keep_from_s

    def _encoded_mark(self) -> bytes:
        marked = _Marked(self.mark or Mark(), self.outbox.stored_until)
        return encode(MARK, self._last_number, 0, "", msgspec.json.encode(marked))

    def _recover(self, now_ms: float) -> None:
        found: list[Stored] = []
        newest: _Marked | None = None
        for entry in self._segments.read_all():
            self._last_number = max(self._last_number, entry.number)
            found.append(entry._replace(body=b""))
            if entry.kind == MARK:
                newest = msgspec.json.decode(entry.body, type=_Marked)
                until_ns = newest.mark.received_until_ns
                self._recovered.append((entry.number, until_ns))
        stored_until = newest.stored_until if newest else 0
        for place, numbers in unsent_damage(found, stored_until):
            self._lose(place, numbers)
        self.outbox.stored_until = stored_until
        unsent = [x for x in found if x.kind == RECORD and x.number > stored_until]
        entries = [Entry(x.number, now_ms, None, x.place) for x in unsent]
        for waiting, stored in zip(entries, unsent, strict=True):
            self._in_segment.setdefault(stored.place.segment, deque()).append(waiting)
        self.outbox.put(entries)
        if newest is not None:
            self.mark = newest.mark
            self._marks.append((self._last_number, newest.mark))
        if entries:
            self.arrived.set()
            _log.info("records of the last run go first", records=len(entries))

    def _read(self, place: Place, number: int) -> Record | None:
        try:
            entry = self._segments.read(place)
        except (OSError, ValueError) as error:
            # what is not the medium's fault may be gone at the next start
            if isinstance(error, OSError) and error.errno != errno.EIO:
                raise
            self._lose(place, range(number, number + 1))
            return None
        return Record(entry.key, entry.body, entry.messages, 0.0)

    def _lose(self, place: Place, numbers: range) -> None:
        """Go on without records that nobody can read; Kinesis has not got them."""
        if not numbers:
            return
        try:
            kept = str(self._segments.set_aside(place))
        except OSError as error:
            kept = f"not copied: {error}"
        self.damaged_total += len(numbers)
        times = list(self._recovered)
        if self.stored_mark is not None:
            times.append((0, self.stored_mark.received_until_ns))
        times += [(x, mark.received_until_ns) for x, mark in self._marks]
        loss = hidden([(x, time_ns) for x, time_ns in times if time_ns], numbers)
        if loss is not None:
            self._losses.append(loss)
        _log.error(
            "records in the spool are damaged: look at the copy; the rest is sent",
            records=len(numbers),
            segment=place.segment,
            offset=place.offset,
            copy=kept,
        )

    def _tell(self, problem: str | None) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem is None:
                _log.info("the spool's disk takes records again")
            else:
                _log.error("the spool's disk takes nothing", reason=problem)


def _encode(entry: Entry) -> bytes:
    record = entry.record
    if record is None:
        raise RuntimeError(f"record {entry.number} was written before")
    return encode(
        RECORD, entry.number, record.messages, record.partition_key, record.data
    )
