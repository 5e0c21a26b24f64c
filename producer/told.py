"""What the stream was told of late, out of the spool: history need not tell it again.

A record on disk is in the stream or will be, and stays on disk for as long as backfill
may ask for its time. So this holds after ``kill -9`` as well. Of what is no longer
there, never was, or cannot be read, the rows are told again: silver drops the copies.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from conf.market.envelope import Line, unpack
from conf.market.wire import Head
from producer.protocol import Message
from producer.relay import Row

_TICKS, _AMENDMENTS = frozenset("tq"), frozenset("cx")
MOST_TICKS = 500_000
"""Of an interval; more would be memory without end. The rest is told again."""
_KINDS = frozenset({"data", "backfill"})

_decode_head = msgspec.json.Decoder(Head).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Told:
    """The trades and quotes of one interval, as fingerprints, and the amendments."""

    def __init__(self) -> None:
        self._ticks: set[int] = set()
        self.amendments: list[Message] = []
        """Corrections and cancels."""
        self.is_read = False
        """Whether the spool was asked."""
        self.unreadable = 0
        """Records that no producer can have written."""

    def read(self, payloads: Iterable[bytes], since_ns: int, until_ns: int) -> None:
        """Note what records tell that was received from one market time to another.

        Raises:
            OSError: The disk cannot be read; what was read before that is noted.
        """
        self.is_read = True
        for payload in payloads:
            try:
                header, lines = unpack(payload)
            except msgspec.DecodeError:
                self.unreadable += 1
                continue
            if header.kind in _KINDS:
                for line in lines:
                    if since_ns <= line.market_time_ns < until_ns:
                        self._note(line)

    def add(self, rows: Iterable[Row]) -> None:
        """Note rows that were published."""
        for message, occurrence in rows:
            if message.data is not None:
                self._remember(message, message.data, occurrence)

    def has(self, row: Row) -> bool:
        """Tell whether a trade or quote was told with every field the same."""
        message, occurrence = row
        return (
            message.data is not None
            and message.head.type in _TICKS
            and _fingerprint(message.data, occurrence) in self._ticks
        )

    def _note(self, line: Line) -> None:
        if not isinstance(line.message, msgspec.Raw):
            return
        try:
            head = _decode_head(line.message)
            message = Message(line.index, head, line.message)
            self._remember(message, line.message, line.occurrence)
        except msgspec.DecodeError:
            return  # silver rejects the message with its reason

    def _remember(self, message: Message, data: msgspec.Raw, occurrence: int) -> None:
        if message.head.type in _TICKS:
            if len(self._ticks) < MOST_TICKS:
                self._ticks.add(_fingerprint(data, occurrence))
        elif message.head.type in _AMENDMENTS:
            self.amendments.append(message)


def _fingerprint(data: msgspec.Raw, occurrence: int) -> int:
    """Return what is equal for equal fields: history has them in another order."""
    return hash((_encode(_decode(data)), occurrence))
