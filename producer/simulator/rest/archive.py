"""What the market sent a short while ago, so that REST can tell it again.

Texts are kept by kind, symbol and minute of their event, compressed: a message costs
some twenty bytes. Repeated and malformed messages are left out: they are faults of
the stream. The archive's own thread does the work, and answers from it.
"""

import asyncio
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import msgspec

from conf.market.rfc3339 import format_ns, parse_ns
from producer.simulator.batch import Batch, Route
from producer.simulator.slots import MINUTE_NS

BLOCK_BYTES = 32_768
KEPT_KINDS = frozenset("tqbucx")

_MINUTE = re.compile(rb'"t":\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d)')
_KIND_OF = {"u": "b"}
Answer = TypeVar("Answer")


class Event(NamedTuple):
    """One message, its fields under Alpaca's keys without ``T`` and ``S``."""

    event_ns: int
    fields: dict[str, Any]


class _Shelf:
    """The texts of one kind, symbol and minute, in the order sent."""

    __slots__ = ("_blocks", "_loose", "_loose_bytes", "touched")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._loose: list[bytes] = []
        self._loose_bytes = 0
        self.touched = ""

    def add(self, text: bytes, now: str) -> None:
        self.touched = now
        self._loose.append(text)
        self._loose_bytes += len(text)
        if self._loose_bytes > BLOCK_BYTES:
            self.pack()

    def pack(self) -> None:
        if self._loose:
            self._blocks.append(zlib.compress(b"\n".join(self._loose), 1))
            self._loose, self._loose_bytes = [], 0

    def texts(self) -> Iterator[bytes]:
        for block in self._blocks:
            yield from zlib.decompress(block).split(b"\n")
        yield from self._loose


class Archive:
    """Keeps the messages of the last ``keep_minutes``.

    Args:
        keep_minutes: A message is forgotten so long after it was sent.
    """

    def __init__(self, keep_minutes: int) -> None:
        self._keep_ns = keep_minutes * MINUTE_NS
        self._waiting: list[Batch] = []
        self._shelves: dict[Route, dict[str, _Shelf]] = defaultdict(dict)
        self._amendments: dict[tuple[str, str, int], dict[str, Any]] = {}
        self._newest = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive")

    def add(self, part: Batch) -> None:
        """Keep what was due; the sorting is left to ``flush``."""
        self._waiting.append(part)

    async def flush(self) -> None:
        """Sort what was added since, off the event loop."""
        await self.asked(lambda: None)

    async def asked(self, question: Callable[[], Answer]) -> Answer:
        """Return a question's answer, found on the archive's thread."""
        waiting, self._waiting = self._waiting, []
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._answer, waiting, question)

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown()

    def events(self, kind: str, symbol: str) -> Callable[[int, int], Iterator[Event]]:
        """Return how to go through one symbol's events between two times, inclusive.

        They come by time; at one time in the order sent. To be used in a question.
        """
        shelves = self._shelves.get((kind, symbol), {})

        def between(start_ns: int, end_ns: int) -> Iterator[Event]:
            first, last = _minute(start_ns), _minute(end_ns)
            for minute in sorted(name for name in shelves if first <= name <= last):
                found = map(_event, shelves[minute].texts())
                kept = (each for each in found if start_ns <= each.event_ns <= end_ns)
                yield from sorted(kept, key=lambda event: event.event_ns)

        return between

    def amendment(self, symbol: str, exchange: str, trade_id: int) -> dict[str, Any]:
        """Return the correction or cancel of a trade, empty if there is none."""
        return self._amendments.get((symbol, exchange, trade_id), {})

    def _answer(self, waiting: list[Batch], question: Callable[[], Answer]) -> Answer:
        for part in waiting:
            self._sort(part)
        return question()

    def _sort(self, part: Batch) -> None:
        now = _minute(part.market_ns[-1])
        if now > self._newest:
            self._newest = now
            self._forget(part.market_ns[-1])
        for flag, route, text in zip(part.flags, part.routes, part.texts, strict=True):
            if flag in "rm" or route[0] not in KEPT_KINDS:
                continue
            if route[0] in "cx":
                self._amend(text)
                continue
            found = _MINUTE.search(text)
            if found is not None:
                self._shelve(route, found[1].decode(), text, now)

    def _shelve(self, route: Route, minute: str, text: bytes, now: str) -> None:
        kind, symbol = route
        shelves = self._shelves[_KIND_OF.get(kind, kind), symbol]
        shelf = shelves.get(minute)
        if shelf is None:
            shelf = shelves[minute] = _Shelf()
        shelf.add(text, now)

    def _amend(self, text: bytes) -> None:
        message = msgspec.json.decode(text)
        trade_id = message["oi" if message["T"] == "c" else "i"]
        self._amendments[message["S"], message["x"], trade_id] = message

    def _forget(self, now_ns: int) -> None:
        oldest = _minute(now_ns - self._keep_ns)
        for shelves in self._shelves.values():
            for shelf in shelves.values():
                shelf.pack()
            for minute in [m for m, shelf in shelves.items() if shelf.touched < oldest]:
                del shelves[minute]
        oldest_time = format_ns(now_ns - self._keep_ns)
        self._amendments = {
            key: message
            for key, message in self._amendments.items()
            if message["t"] >= oldest_time
        }


def _minute(time_ns: int) -> str:
    return format_ns(min(max(time_ns, 0), 2**62))[:16]


def _event(text: bytes) -> Event:
    fields = msgspec.json.decode(text)
    del fields["T"], fields["S"]
    return Event(parse_ns(fields["t"]), fields)
