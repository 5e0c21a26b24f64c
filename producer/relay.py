"""From frames to Kinesis records, in feed order: decode, number, encode, gather.

Nothing here waits or touches the world. What a spool on disk will keep are the
records this step returns: they name every message by (epoch, frame, index).
"""

from typing import NamedTuple

import msgspec

from conf.market.envelope import (
    HEARTBEAT_KEY,
    MAX_RAW_CHARACTERS,
    Kind,
    Line,
    encode_header,
    encode_line,
    pack,
)
from conf.market.rfc3339 import format_ns, parse_ns
from producer.batcher import Batcher, PartitionKeys, Record
from producer.heartbeat import encode_heartbeat
from producer.mark import Mark
from producer.market_clock import MarketClock
from producer.occurrence import Occurrences
from producer.protocol import Message
from producer.seen import RARE_TYPES, Seen

# Kinesis takes 10 MiB with the partition key; the header needs far less than the rest
MAX_LINE_BYTES = 10 * 1024 * 1024 - 1024
# corrections, cancels and price bands: silver stores them when it has time
_CAN_WAIT = frozenset("cxl")
# a wrong time far ahead must not pass for how far the feed is
_FUTURE_MAX_NS = 5_000_000_000


class Frame(NamedTuple):
    """One WebSocket message as it was read."""

    epoch: str
    number: int
    receive_time_ns: int
    payload: bytes


class _Flow(msgspec.Struct, gc=False):
    newest_ns: int = 0
    messages: int = 0


class Row(NamedTuple):
    """One message of REST history, and how many identical ones came before it."""

    message: Message
    occurrence: int


class Relay:
    """Turns the messages of frames into records, and tells how far the feed is.

    Args:
        source: Where the messages come from, as ``alpaca/iex``.
        clock: Market time of each frame.
        keys: Partition key of each symbol.
        batcher: Gathers the lines; its clock is monotonic milliseconds.
        late_after_s: Messages older than this by the market clock travel in records
            of their own, marked late, and so do the types that can wait.
    """

    def __init__(
        self,
        source: str,
        clock: MarketClock,
        keys: PartitionKeys,
        batcher: Batcher,
        *,
        late_after_s: int,
    ) -> None:
        self._source, self._clock = source, clock
        self._late_after_ns = late_after_s * 1_000_000_000
        self._keys, self._batcher = keys, batcher
        self._occurrences = Occurrences()
        self._epoch: str | None = None
        self._headers = _headers("data", "", source)
        self._heartbeats = 0
        self.received_until_ns = 0
        """Market time of the newest frame, 0 before the first."""
        self._flow: dict[str, dict[str, _Flow]] = {}
        self.seen = Seen()
        self.messages_total = 0

    def add(self, frame: Frame, messages: list[Message], now_ms: float) -> list[Record]:
        """Take one frame's data messages; return the records that they closed."""
        closed: list[Record] = []
        if frame.epoch != self._epoch:
            closed += self._batcher.close_all()
            self._start_epoch(frame.epoch)
        event_times_ns = [_event_time_ns(message) for message in messages]
        market_time_ns = self._clock.at(
            frame.receive_time_ns, max(event_times_ns, default=0)
        )
        for message, event_time_ns in zip(messages, event_times_ns, strict=True):
            if event_time_ns <= market_time_ns + _FUTURE_MAX_NS:
                self._remember(message, event_time_ns, market_time_ns)
            line = self._line(frame, message, market_time_ns, now_ms)
            can_wait = self._can_wait(message, event_time_ns, market_time_ns)
            header = self._headers[can_wait]
            key = self._keys.of(message.head.symbol)
            closed += self._batcher.add(header, key, line, now_ms)
        self.messages_total += len(messages)
        self.received_until_ns = market_time_ns
        return closed

    def add_history(
        self, epoch: str, bars: list[Message], receive_time_ns: int, now_ms: float
    ) -> list[Record]:
        """Return the records of a session before the feed's first frame.

        Args:
            epoch: Names the session, so that a repeated call repeats its messages'
                names.
            bars: As if all had come in one frame.
            receive_time_ns: Wall clock.
            now_ms: The batcher's clock.
        """
        frame = Frame(epoch, 0, receive_time_ns, b"")
        rows = [Row(bar, 0) for bar in bars]
        closed = self._add_rows("history", frame, rows, now_ms)
        return closed + self._batcher.close_all()

    def add_backfill(self, page: Frame, rows: list[Row], now_ms: float) -> list[Record]:
        """Return the records that part of a page of REST history closed.

        Args:
            page: Its epoch names the outage and what was asked for, its number the
                page.
            rows: Already numbered: quotes as the feed would have, by ``occurrence``.
            now_ms: The batcher's clock.
        """
        return self._add_rows("backfill", page, rows, now_ms)

    def _add_rows(
        self, kind: Kind, frame: Frame, rows: list[Row], now_ms: float
    ) -> list[Record]:
        headers = _headers(kind, frame.epoch, self._source)
        market_time_ns = self._clock.at(frame.receive_time_ns)
        closed: list[Record] = []
        for message, occurrence in rows:
            place = (frame.number, message.index, frame.receive_time_ns, market_time_ns)
            data = message.data or msgspec.UNSET
            line = encode_line(Line(*place, occurrence, data))
            event_time_ns = _event_time_ns(message)
            header = headers[self._can_wait(message, event_time_ns, market_time_ns)]
            key = self._keys.of(message.head.symbol)
            closed += self._batcher.add(header, key, line, now_ms)
        return closed

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the messages so far by symbol, then by message type."""
        return {
            symbol: {type_: flow.messages for type_, flow in types.items()}
            for symbol, types in self._flow.items()
        }

    def market_ns(self, wall_ns: int) -> int:
        """Return the market time at a moment of the wall clock."""
        return self._clock.at(wall_ns)

    def heartbeat(
        self, receive_time_ns: int, now_ms: float, mark: Mark | None = None
    ) -> list[Record]:
        """Return the record that says how far each symbol and channel is.

        Heartbeats count their own frames, from 0 in each epoch. Before the first
        frame there is nothing to say.

        Args:
            receive_time_ns: Wall clock.
            now_ms: The batcher's clock.
            mark: What a producer on another disk must know; everything received until
                then is in the stream.
        """
        if self._epoch is None:
            return []
        last_event_time = {
            symbol: {type_: format_ns(flow.newest_ns) for type_, flow in types.items()}
            for symbol, types in self._flow.items()
        }
        message = encode_heartbeat(last_event_time, mark)
        line = Line(
            self._heartbeats,
            0,
            receive_time_ns,
            self._clock.at(receive_time_ns),
            message=message,
        )
        self._heartbeats += 1
        header = encode_header("heartbeat", self._epoch, self._source)
        return [Record(HEARTBEAT_KEY, pack(header, [encode_line(line)]), 1, now_ms)]

    def _start_epoch(self, epoch: str) -> None:
        self._epoch = epoch
        self._headers = _headers("data", epoch, self._source)
        self._heartbeats = 0
        self._occurrences.forget()

    def _can_wait(
        self, message: Message, event_time_ns: int, market_time_ns: int
    ) -> bool:
        is_late = 0 < event_time_ns < market_time_ns - self._late_after_ns
        return is_late or message.head.type in _CAN_WAIT

    def _remember(
        self, message: Message, event_time_ns: int, market_time_ns: int
    ) -> None:
        head = message.head
        if head.symbol is None or head.type is None or event_time_ns == 0:
            return
        if head.type in RARE_TYPES:
            self.seen.note(message, market_time_ns)
        elif head.type == "t":
            self.seen.traded(head.symbol, event_time_ns)
        types = self._flow.setdefault(head.symbol, {})
        flow = types.get(head.type)
        if flow is None:
            flow = types[head.type] = _Flow()
        flow.messages += 1
        flow.newest_ns = max(flow.newest_ns, event_time_ns)

    def _line(
        self, frame: Frame, message: Message, market_time_ns: int, now_ms: float
    ) -> bytes:
        place = (frame.number, message.index, frame.receive_time_ns, market_time_ns)
        if message.data is None:
            return encode_line(Line(*place, error=message.error, raw=message.raw))
        occurrence = 0
        if message.head.type == "q":
            occurrence = self._occurrences.number(bytes(message.data), now_ms / 1000)
        line = encode_line(Line(*place, occurrence, message.data))
        if len(line) > MAX_LINE_BYTES:
            error = f"message of {len(line)} bytes is more than Kinesis takes"
            raw = bytes(message.data).decode()[:MAX_RAW_CHARACTERS]
            line = encode_line(Line(*place, error=error, raw=raw))
        return line


def _headers(kind: Kind, epoch: str, source: str) -> tuple[bytes, bytes]:
    """Return the header of records that are not late, and of those that are."""
    hot = encode_header(kind, epoch, source)
    return hot, encode_header(kind, epoch, source, late=True)


def _event_time_ns(message: Message) -> int:
    """Return the message's event time, 0 if it has none that can be read."""
    try:
        return parse_ns(message.head.event_time or "")
    except ValueError:
        return 0  # silver rejects the message with its reason
