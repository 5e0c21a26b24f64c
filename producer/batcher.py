"""Gathers lines of one header and partition key into Kinesis records."""

import zlib
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from conf.market.envelope import pack

MAX_SYMBOL_KEYS = 64
UNKNOWN_KEY = "unknown"
_MAX_KEY_CHARACTERS = 256  # Kinesis refuses the whole request beyond


class Record(NamedTuple):
    """One Kinesis record; retried, it is the same object with the same bytes."""

    partition_key: str
    data: bytes
    messages: int
    opened_ms: float
    """When its first message came, on the clock given to the batcher."""


class PartitionKeys:
    """Chooses the partition key of a symbol, which thereby never spans shards.

    Args:
        symbols: What is subscribed. Above 64 symbols, or with ``*``, keys are 64
            stable buckets, so that records stay well filled.
    """

    def __init__(self, symbols: Iterable[str]) -> None:
        subscribed = set(symbols)
        self._bucketed = "*" in subscribed or len(subscribed) > MAX_SYMBOL_KEYS

    def of(self, symbol: str | None) -> str:
        """Return the key; ``unknown`` when there is no usable symbol."""
        if not symbol or len(symbol) > _MAX_KEY_CHARACTERS:
            return UNKNOWN_KEY
        if self._bucketed:
            return f"bucket-{zlib.crc32(symbol.encode()) % MAX_SYMBOL_KEYS:02d}"
        return symbol


class _Open(msgspec.Struct):
    lines: list[bytes]
    size: int


class Batcher:
    """Closes a record when it is full, and all of them when the oldest is due.

    Closing together what waits together makes one PutRecords call of it. Lines of one
    header and key leave in the order they came; time is whatever clock the caller
    gives, in milliseconds, and never goes back.

    Args:
        linger_ms: Longest wait of a line.
        max_messages: Most lines of a record.
        max_bytes: Most bytes of a record, header included; a single larger line gets
            a record of its own.
    """

    def __init__(self, *, linger_ms: float, max_messages: int, max_bytes: int) -> None:
        self._linger_ms = linger_ms
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._open: dict[tuple[bytes, str], _Open] = {}
        self._opened_ms = 0.0

    def add(self, header: bytes, key: str, line: bytes, now_ms: float) -> list[Record]:
        """Take one line; return the records that it closed, oldest first."""
        closed = []
        size = len(line) + 1
        place = header, key
        record = self._open.get(place)
        if record is not None and record.size + size > self._max_bytes:
            closed.append(self._close(place))
            record = None
        if record is None:
            if not self._open:
                self._opened_ms = now_ms
            record = self._open[place] = _Open([], len(header))
        record.lines.append(line)
        record.size += size
        if len(record.lines) >= self._max_messages or record.size >= self._max_bytes:
            closed.append(self._close(place))
        return closed

    @property
    def is_empty(self) -> bool:
        """Whether every line that was added is in a record that was returned."""
        return not self._open

    def wait_ms(self, now_ms: float) -> float:
        """Return how long nothing can be due."""
        if not self._open:
            return self._linger_ms
        return max(0.0, self._opened_ms + self._linger_ms - now_ms)

    def close_due(self, now_ms: float) -> list[Record]:
        """Return the open records if the oldest has waited long enough."""
        return [] if self.wait_ms(now_ms) > 0 or not self._open else self.close_all()

    def close_all(self) -> list[Record]:
        """Return the open records, in the order they were opened."""
        return [self._close(place) for place in list(self._open)]

    def _close(self, place: tuple[bytes, str]) -> Record:
        record = self._open.pop(place)
        header, key = place
        data = pack(header, record.lines)
        return Record(key, data, len(record.lines), self._opened_ms)
