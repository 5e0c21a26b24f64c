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

LINES_PER_FILE = 500_000
_FILES = "messages-*.tsv"


class Record:
    """Counts what was sent and, given a folder, keeps it.

    A worker thread writes, so that a busy disk never holds up the schedule. Files of
    an earlier run in the same folder stay; numbers go on after theirs.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._flags: Counter[str] = Counter()
        self._unwritten: list[Batch] = []
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="truth")
        self._file: Path | None = None
        self._lines = 0
        self.first_due_ns: int | None = None
        self.last_due_ns: int | None = None
        self.max_behind_ns = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def emitted(self) -> int:
        """Messages handed to a client's socket."""
        return self._flags.total()

    @property
    def injected(self) -> dict[str, int]:
        """Of these, the injected ones by kind."""
        return {name: self._flags[flag] for flag, name in FAULT_NAMES.items()}

    def add(self, sent: Batch, behind_ns: int) -> None:
        """Count messages as sent, the first of them ``behind_ns`` after it was due."""
        self._flags.update(sent.flags)
        self.first_due_ns = self.first_due_ns or sent.due_ns[0]
        self.last_due_ns = sent.due_ns[-1]
        self.max_behind_ns = max(self.max_behind_ns, behind_ns)
        if self._folder is not None:
            self._unwritten.append(sent)

    def summary(self) -> dict[str, int | float | None]:
        """Return the totals as in ``summary.json``."""
        return {
            "emitted": self.emitted,
            **self.injected,
            "first_due_ns": self.first_due_ns,
            "last_due_ns": self.last_due_ns,
            "max_behind_ms": round(self.max_behind_ns / 1e6, 3),
        }

    async def flush(self) -> None:
        """Write what was sent since the last flush, off the event loop."""
        if written := self._start_writing():
            await asyncio.wrap_future(written)

    def finish(self) -> None:
        """Write everything and the summary; may be called again after more."""
        if written := self._start_writing():
            written.result()
        if self._folder is not None:
            summary = msgspec.json.encode(self.summary())
            (self._folder / "summary.json").write_bytes(summary + b"\n")

    def close(self) -> None:
        """Finish and stop the writing thread."""
        self.finish()
        self._writer.shutdown()

    def _start_writing(self) -> Future[None] | None:
        batches, self._unwritten = self._unwritten, []
        if self._folder is None or not batches:
            return None
        return self._writer.submit(self._write, self._folder, batches)

    def _write(self, folder: Path, batches: list[Batch]) -> None:
        lines = [
            b"%d\t%c\t%b\n" % line
            for batch in batches
            for line in zip(
                batch.due_ns, batch.flags.encode(), batch.texts, strict=True
            )
        ]
        if self._file is None or self._lines >= LINES_PER_FILE:
            self._file, self._lines = _next_file(folder), 0
        with self._file.open("ab") as file:
            file.writelines(lines)
        self._lines += len(lines)


def _next_file(folder: Path) -> Path:
    numbers = [int(path.stem.rpartition("-")[2]) for path in folder.glob(_FILES)]
    return folder / f"messages-{max(numbers, default=0) + 1:05d}.tsv"
