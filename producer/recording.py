"""The replay format: a folder of ``*.jsonl.gz``, one Alpaca message a line.

Each file is in time order: a message at its ``t``, a minute bar when it was complete, a
minute later. Several files merge by that time; equal times keep file-name order, then
line order. Numbered files of a session thereby need no order among themselves.
"""

import gzip
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from conf.errors import BadRecord, FixSetup
from conf.market.rfc3339 import parse_ns
from conf.market.wire import Head

SUFFIX = ".jsonl.gz"
_MINUTE_NS = 60_000_000_000
_AT_MINUTE_END = frozenset({"b", "u"})
_DAY_BAR = "d"
_COMPRESSION = 6
_head = msgspec.json.Decoder(Head)


class Recorded(NamedTuple):
    """One line of a recording."""

    market_ns: int
    """When it was due in the market it was recorded from."""
    kind: str
    symbol: str
    text: bytes


def files_of(folder: Path) -> list[Path]:
    """Return the files of a recording by name; none if there is no such folder."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def merged(files: list[Path]) -> Iterator[Recorded]:
    """Yield the messages of several files in due order.

    Raises:
        FixSetup: A line is no message; it is named.
    """
    return heapq.merge(*map(_read, files), key=lambda message: message.market_ns)


def recorded(text: bytes) -> Recorded:
    """Return a message as a line of a recording.

    Raises:
        BadRecord: It has no type, symbol or time, or is no JSON object.
    """
    try:
        head = _head.decode(text)
        if head.type is None or head.symbol is None or head.event_time is None:
            raise BadRecord("T, S or t is missing")
        due_ns = parse_ns(head.event_time)
    except ValueError as error:  # msgspec's errors are among them
        raise BadRecord(str(error)) from error
    if head.type in _AT_MINUTE_END:
        due_ns += _MINUTE_NS
    return Recorded(due_ns, head.type, head.symbol, text)


class Recording:
    """Writes a session, file by file, each of them whole or not there.

    Args:
        folder: Is made if it is absent.

    Raises:
        FixSetup: There is a recording in it, or nobody may write there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: list[Recorded] = []
        self.files: list[Path] = []
        self.messages = 0
        """Kept, written or not."""
        self.left_out = 0
        """Messages that no replay can place: without T, S or t, and day bars, whose
        time is their day's."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FixSetup(str(folder), str(error), "Name another folder") from error
        if files_of(folder):
            raise FixSetup(
                str(folder), "there is a recording in it", "Name an empty folder"
            )

    @property
    def waiting(self) -> int:
        """Messages that are in no file yet."""
        return len(self._waiting)

    def add(self, text: bytes) -> None:
        """Take one message."""
        try:
            message = recorded(text)
        except BadRecord:
            message = None
        if message is None or message.kind == _DAY_BAR:
            self.left_out += 1
            return
        self._waiting.append(message)
        self.messages += 1

    def write(self) -> None:
        """Make a file of what waits, if anything does.

        Raises:
            FixSetup: The disk does not take it; it goes on waiting.
        """
        if not self._waiting:
            return
        messages = sorted(self._waiting, key=lambda message: message.market_ns)
        path = self._folder / f"session-{len(self.files) + 1:05d}{SUFFIX}"
        part = path.with_suffix(".part")
        try:
            with gzip.open(part, "wb", _COMPRESSION) as lines:
                lines.writelines(message.text + b"\n" for message in messages)
            part.rename(path)
        except OSError as error:
            raise FixSetup(str(part), str(error), "Make room on the disk") from error
        # what came meanwhile stays
        self._waiting = self._waiting[len(messages) :]
        self.files.append(path)


def _read(path: Path) -> Iterator[Recorded]:
    read = 0
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                read += 1
                yield recorded(line.rstrip(b"\r\n"))
    except (BadRecord, EOFError, gzip.BadGzipFile) as wrong:
        raise FixSetup(
            f"{path}, line {max(read, 1)}",
            f"this is no recorded message: {wrong}",
            "Each line must be one JSON object with T, S and t",
        ) from wrong
