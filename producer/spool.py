"""The spool: a record is on disk before it goes to Kinesis, and until Kinesis has it.

    append ─► group commit (write, fsync) ─► outbox ─► sender ─► acknowledged: trimmed

Appending never waits. All that came while the disk was busy is written by one call and
one fsync. With every commit goes a mark: up to where everything received is on disk,
which records Kinesis has, and what the gap ledger knows. A process that was killed
finds there what to send again, byte for byte, and what it has missed. What Kinesis has
can be kept for a while: it says what need not be told again. A record whose bytes
changed on disk is kept aside, in ``damaged``, and what it hid is a ``Loss``. Until a
mark knows of it, nothing behind counts as stored: who is killed finds it again.
"""

import asyncio
import errno
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from conf.errors import FixSetup
from conf.logs import get_logger
from producer.batcher import Record
from producer.damage import Damage, Loss, missing
from producer.mark import Mark
from producer.outbox import Entry, Outbox
from producer.segments import MARK, RECORD, Place, Segments, Stored, encode

_ROOM_AGAIN = 0.8
_RETRY_S = 0.5
_MOST_MARKS = 256
_log = get_logger(__name__)


class _Marked(msgspec.Struct, frozen=True):
    """A mark as it is on disk: with the last record of which Kinesis has all before.

    What was received before ``stored_ns`` (market time, 0 = unknown) is among those, or
    from before the first mark on this disk.
    """

    mark: Mark
    stored_until: int
    stored_ns: int = 0


class _Awaited(NamedTuple):
    """A mark until Kinesis has its records; None if it does not know of a loss."""

    number: int
    received_until_ns: int
    mark: Mark | None


class Spool:
    """Keeps records until they are acknowledged, over the end of this process.

    Args:
        folder: Where; this process alone may use it.
        max_bytes: More on disk than this is too much: ``is_full``.
        memory_bytes: What waits beyond is kept on disk alone.
        now_ms: The clock of ``Record.opened_ms``.

    Raises:
        FixSetup: Another process uses the folder, nobody may, or its disk fails.
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
        self._marks: list[_Awaited] = []
        self.stored_mark: Mark | None = None
        """The newest of which Kinesis has every record; None when unknown."""
        self.is_full = False
        """Whether nothing more should be read."""
        self.problem: str | None = None
        """Why the disk takes nothing; None when it does."""
        self.commit_ms = 0.0
        self._damage = Damage(self._segments.set_aside)
        self._recovered: list[tuple[int, int]] = []
        self._stored_ns = self._marked_until = 0
        self.keep_from_s = math.inf
        """Files written since, epoch s, stay while less than half of the bound is."""
        try:
            self._recover(now_ms)
        except OSError as error:
            self._segments.close()
            raise FixSetup(
                str(folder),
                f"cannot be read: {error}",
                "Make it readable. If its disk fails, put what can be copied on a good"
                " one, or move the folder away: then all since the last heartbeat in"
                " the stream is a gap",
            ) from error

    @property
    def damaged_total(self) -> int:
        """Records that were not sent, for their bytes changed on disk or are gone."""
        return self._damage.records_total

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
            self._stored_ns = self._stored_ns or mark.received_until_ns
            if (lost := self._damage.marked()) is not None:
                self._marks = [_doubted(x, lost) for x in self._marks]
            self._note(self._last_number, mark)
            if len(self._marks) > _MOST_MARKS:  # Kinesis is away: fewer will do
                del self._marks[1::2]
        self._arrived.set()
        self._idle.clear()

    def payloads(self, since_s: float, until_s: float = math.inf) -> Iterator[bytes]:
        """Yield the records of files written in a time, epoch s; in any thread."""
        for entry in self._segments.read_all(since_s, until_s):
            if entry.kind == RECORD and not self._damage.has(entry.number):
                yield entry.body

    def take_losses(self) -> list[Loss]:
        """Return what damage hid since the last call, each interval once.

        The next mark must know of it: when that is on disk, nobody tells it again.
        """
        return self._damage.take()

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
        entries, stored_until = list(self._pending), self._stored_until()
        content = [_encode(entry) for entry in entries]
        content.append(self._encoded_mark(stored_until))
        started_s = time.perf_counter()
        try:
            places = await asyncio.to_thread(self._write, content)
        except OSError as error:
            self._tell(str(error))
        else:
            self._tell(None)
            self._marked_until = stored_until
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
        while self._marks and self._marks[0].number <= self._stored_until():
            mark = self._marks.pop(0).mark
            if mark is not None:
                self.stored_mark = mark
                self._stored_ns = mark.received_until_ns or self._stored_ns

    def _stored_until(self) -> int:
        return self._damage.known_until(self.outbox.stored_until)

    def _write(self, content: list[bytes]) -> list[Place]:
        self._trim()
        return self._segments.write(content)

    def _trim(self) -> None:
        """Delete the oldest files, of which a mark on disk calls all records stored."""
        is_oldest = True  # a hole between files is a loss
        for segment in self._segments.segments():
            entries = self._in_segment.get(segment)
            while entries and entries[0].number <= self._marked_until:
                entries.popleft()
            # the active file has the newest mark
            is_done = self._segments.active not in (None, segment) and not entries
            is_oldest = is_oldest and is_done and not self._is_kept(segment)
            if is_oldest:
                self._in_segment.pop(segment, None)
                self._segments.drop(segment)

    def _is_kept(self, segment: int) -> bool:
        has_room = self.problem is None and self.disk_bytes < self._max_bytes / 2
        return has_room and self._segments.written_s(segment) >= self.keep_from_s

    def _encoded_mark(self, stored_until: int) -> bytes:
        marked = _Marked(self.mark or Mark(), stored_until, self._stored_ns)
        return encode(MARK, self._last_number, 0, "", msgspec.json.encode(marked))

    def _note(self, number: int, mark: Mark) -> None:
        self._marks.append(_Awaited(number, mark.received_until_ns, mark))

    def _recover(self, now_ms: float) -> None:
        found, newest = self._found()
        if newest is not None:
            self.mark = newest.mark
            self._note(self._last_number, newest.mark)
            self._marked_until = self.outbox.stored_until = newest.stored_until
            self._stored_ns = newest.stored_ns or self._first_ns()
        for numbers, places in missing(found, self._marked_until):
            self._damage.add(numbers, places, self._times())
        entries = []
        for stored in found:
            if stored.kind == RECORD and stored.number > self._marked_until:
                entries.append(Entry(stored.number, now_ms, None, stored.place))
                segment = stored.place.segment
                self._in_segment.setdefault(segment, deque()).append(entries[-1])
        self.outbox.put(entries)
        if entries:
            self.arrived.set()
            _log.info("records of the last run go first", records=len(entries))

    def _first_ns(self) -> int:
        return min((time_ns for _, time_ns in self._recovered if time_ns), default=0)

    def _found(self) -> tuple[list[Stored], _Marked | None]:
        """Return what is on disk, without the bodies, and the newest mark."""
        found: list[Stored] = []
        newest: _Marked | None = None
        for entry in self._segments.read_all():
            self._last_number = max(self._last_number, entry.number)
            found.append(entry._replace(body=b""))
            if entry.kind == MARK:
                newest = msgspec.json.decode(entry.body, type=_Marked)
                until_ns = newest.mark.received_until_ns
                self._recovered.append((entry.number, until_ns))
        return found, newest

    def _read(self, place: Place, number: int) -> Record | None:
        try:
            entry = self._segments.read(place)
        except (OSError, ValueError) as error:
            # what is not the medium's fault may be gone at the next start
            if isinstance(error, OSError) and error.errno != errno.EIO:
                raise
            self._damage.add(range(number, number + 1), [place], self._times())
            return None
        return Record(entry.key, entry.body, entry.messages, 0.0)

    def _times(self) -> list[tuple[int, int]]:
        """Return until when everything received is in records up to a number."""
        times = [(0, self._stored_ns), *self._recovered]
        times += [(x.number, x.received_until_ns) for x in self._marks]
        return [(number, time_ns) for number, time_ns in times if time_ns]

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


def _doubted(awaited: _Awaited, lost: int) -> _Awaited:
    """Return a mark that no heartbeat may tell if it hides what was lost."""
    return awaited._replace(mark=None) if awaited.number >= lost else awaited
