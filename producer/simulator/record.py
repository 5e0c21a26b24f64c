r"""What was sent: its counts, and the truth that the oracle compares with.

``messages-<NNNNN>.tsv`` holds one line per message handed to a client's socket, in the
order sent::

    <due_ns>\t<flag>\t<message>\n

due_ns is when the schedule wanted it sent (wall clock, UTC); flag is n normal,
r repeated, o out of order, l late, m malformed; message is the JSON as sent (for a
msgpack client what it was packed from). A malformed message may be no JSON at all: then
it is the text of its whole frame. No message holds a tab or a newline.
"""

import asyncio
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec

from producer.simulator.batch import Batch
from producer.simulator.faults import FAULT_NAMES
from producer.simulator.missed import Interval

LINES_PER_FILE = 500_000


class _Lines:
    """Appends messages to the numbered files of one name.

    Files of an earlier run in the same folder stay; numbers go on after theirs.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._file: Path | None = None
        self._lines = 0
        self.unwritten: list[Batch] = []

    def write(self, batches: list[Batch]) -> None:
        lines = [
            b"%d\t%c\t%b\n" % line
            for batch in batches
            for line in zip(
                batch.due_ns, batch.flags.encode(), batch.texts, strict=True
            )
        ]
        if self._file is None or self._lines >= LINES_PER_FILE:
            self._file, self._lines = self._next_file(), 0
        with self._file.open("ab") as file:
            file.writelines(lines)
        self._lines += len(lines)

    def _next_file(self) -> Path:
        files = self._folder.glob(f"{self._name}-*.tsv")
        numbers = [int(path.stem.rpartition("-")[2]) for path in files]
        return self._folder / f"{self._name}-{max(numbers, default=0) + 1:05d}.tsv"


class Record:
    """Counts what was sent and, given a folder, keeps it.

    A worker thread writes, so that a busy disk never holds up the schedule.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._flags: Counter[str] = Counter()
        self._intervals: list[list[Interval]] = []
        self._intervals_state = 0, 0, 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="truth")
        self._writing: Future[None] | None = None
        self.missed = 0
        """Messages that nobody was handed although somebody had subscribed to them."""
        self.first_due_ns: int | None = None
        self.last_due_ns: int | None = None
        self.max_behind_ns = 0
        self._files: list[_Lines] = []
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._files = [_Lines(folder, name) for name in ("messages", "missed")]

    @property
    def emitted(self) -> int:
        """Messages handed to a client's socket."""
        return self._flags.total()

    @property
    def injected(self) -> dict[str, int]:
        """Of these, the injected ones by kind."""
        return {name: self._flags[flag] for flag, name in FAULT_NAMES.items()}

    def keep(self, intervals: list[Interval]) -> None:
        """Write these intervals too, as they are when the record is written."""
        self._intervals.append(intervals)

    def add(self, sent: Batch, behind_ns: int) -> None:
        """Count messages as sent, the first of them ``behind_ns`` after it was due."""
        self._flags.update(sent.flags)
        self.first_due_ns = self.first_due_ns or sent.due_ns[0]
        self.last_due_ns = sent.due_ns[-1]
        self.max_behind_ns = max(self.max_behind_ns, behind_ns)
        if self._files:
            self._files[0].unwritten.append(sent)

    def add_missed(self, missed: Batch) -> None:
        """Count messages that were owed and not sent."""
        self.missed += len(missed.texts)
        if self._files:
            self._files[1].unwritten.append(missed)

    def add_update(self, key: str, message: bytes, *, heard: int) -> None:
        """Keep one message of the account stream and how many connections got it."""
        if self._folder is not None:
            line = {"key": key, "heard": heard, "message": msgspec.Raw(message)}
            with (self._folder / "trade_updates.jsonl").open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")

    def summary(self) -> dict[str, int | float | None]:
        """Return the totals as in ``summary.json``."""
        return {
            "emitted": self.emitted,
            **self.injected,
            "missed": self.missed,
            "first_due_ns": self.first_due_ns,
            "last_due_ns": self.last_due_ns,
            "max_behind_ms": round(self.max_behind_ns / 1e6, 3),
        }

    async def flush(self) -> None:
        """Write what was sent since the last flush, off the event loop."""
        if written := self._start_writing():
            # whoever is cancelled here must not take the writing with him
            await asyncio.shield(asyncio.wrap_future(written))

    def finish(self) -> None:
        """Write everything and the summary; may be called again after more."""
        if written := self._start_writing() or self._writing:
            written.result()
        if self._folder is not None:
            summary = msgspec.json.encode(self.summary())
            (self._folder / "summary.json").write_bytes(summary + b"\n")

    def close(self) -> None:
        """Finish and stop the writing thread."""
        self.finish()
        self._writer.shutdown()

    def _start_writing(self) -> Future[None] | None:
        waiting = [(lines, lines.unwritten) for lines in self._files if lines.unwritten]
        for lines, _ in waiting:
            lines.unwritten = []
        intervals = self._changed_intervals()
        if not waiting and not intervals:
            return None
        self._writing = self._writer.submit(self._write, waiting, intervals)
        return self._writing

    def _changed_intervals(self) -> bytes:
        known = [interval for of_market in self._intervals for interval in of_market]
        still_open = sum(interval.to_ns is None for interval in known)
        state = len(known), still_open, self.missed
        if self._folder is None or state == self._intervals_state:
            return b""
        self._intervals_state = state
        return b"".join(msgspec.json.encode(interval) + b"\n" for interval in known)

    def _write(
        self, waiting: list[tuple[_Lines, list[Batch]]], intervals: bytes
    ) -> None:
        for lines, batches in waiting:
            lines.write(batches)
        if intervals and self._folder is not None:
            (self._folder / "missed.jsonl").write_bytes(intervals)
