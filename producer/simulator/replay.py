"""Recorded messages as a schedule, byte for byte as they were recorded.

A folder of ``*.jsonl.gz``, one Alpaca message a line, each file in time order. A
message is due at its ``t``, a bar a minute later, when it was complete; equal times
keep file-name order, then line order. Files are read as they are needed.
"""

import gzip
import heapq
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from conf.errors import FixSetup
from conf.market.rfc3339 import parse_ns
from conf.market.wire import Head
from producer.simulator.batch import Batch, LinearClock
from producer.simulator.faults import FLAGS, NORMAL
from producer.simulator.slots import MINUTE_NS, SECOND_NS

BATCH_MESSAGES = 512
_AT_MINUTE_END = frozenset({"b", "u"})
_head = msgspec.json.Decoder(Head)


class Recorded(NamedTuple):
    """One line of a recording."""

    market_ns: int
    """When it was due in the market it was recorded from."""
    kind: str
    symbol: str
    text: bytes


class Replay:
    """A recording as a source of batches.

    Args:
        folder: Where the files are.
        speed: Times real time; None paces by ``rate_per_s`` instead.
        rate_per_s: Messages a second when there is no speed.

    Raises:
        FixSetup: No such folder, no recording in it, or a first line that is none.
    """

    live = False

    def __init__(self, folder: Path, *, speed: float | None, rate_per_s: int) -> None:
        self._files = sorted(folder.glob("*.jsonl.gz"))
        if not self._files:
            raise FixSetup(
                "simulator.replay",
                f"there is no *.jsonl.gz in {folder}",
                "Name a folder with recorded messages, one JSON object a line",
            )
        self._speed = speed
        self._rate_per_s = rate_per_s
        self._first_ns = next(merged(self._files)).market_ns

    def clock(self, start_ns: int) -> LinearClock | None:
        """Return the recording's clock; paced by rate it has none but the messages."""
        if self._speed is None:
            return None
        return LinearClock(start_ns, self._first_ns, self._speed)

    def batches(self, start_ns: int) -> Iterator[Batch]:
        """Yield the recording from its first message to its last.

        Raises:
            FixSetup: A line is no Alpaca message; it is named.
        """
        messages = enumerate(merged(self._files))
        while chunk := list(itertools.islice(messages, BATCH_MESSAGES)):
            market_ns = [message.market_ns for _, message in chunk]
            yield Batch(
                due_ns=[self._due_ns(start_ns, place, m) for place, m in chunk],
                market_ns=market_ns,
                flags=FLAGS[NORMAL] * len(chunk),
                routes=[(message.kind, message.symbol) for _, message in chunk],
                texts=[message.text for _, message in chunk],
            )

    def _due_ns(self, start_ns: int, place: int, message: Recorded) -> int:
        if self._speed is None:
            return start_ns + place * SECOND_NS // self._rate_per_s
        return start_ns + int((message.market_ns - self._first_ns) / self._speed)


def merged(files: list[Path]) -> Iterator[Recorded]:
    """Yield the messages of several files in due order."""
    return heapq.merge(*map(_read, files), key=lambda message: message.market_ns)


def _read(path: Path) -> Iterator[Recorded]:
    read = 0
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                read += 1
                yield _recorded(line.rstrip(b"\r\n"))
    except (msgspec.DecodeError, ValueError, EOFError, gzip.BadGzipFile) as wrong:
        raise FixSetup(
            f"{path}, line {max(read, 1)}",
            f"this is no recorded message: {wrong}",
            "Each line must be one JSON object with T, S and t",
        ) from wrong


def _recorded(text: bytes) -> Recorded:
    head = _head.decode(text)
    if head.type is None or head.symbol is None or head.event_time is None:
        raise ValueError("T, S or t is missing")
    due_ns = parse_ns(head.event_time)
    if head.type in _AT_MINUTE_END:
        due_ns += MINUTE_NS
    return Recorded(due_ns, head.type, head.symbol, text)
