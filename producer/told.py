"""What the stream was told of late, out of the spool: history need not tell it again.

A record on disk is in the stream or will be, and stays on disk for as long as backfill
may ask for its time. So this holds after ``kill -9`` as well. Of what is no longer
there, or never was, the rows are told again: silver drops the copies.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from conf.market.envelope import Line, unpack
from conf.market.wire import Head
from producer.protocol import Message
from producer.relay import Row

_TICKS, _AMENDMENTS = frozenset("tq"), frozenset("cx")
_KINDS = frozenset({"data", "backfill"})

_decode_head = msgspec.json.Decoder(Head).decode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Told:
    """The trades and quotes of some records, as fingerprints, and the amendments."""

    def __init__(self) -> None:
        self._ticks: set[int] = set()
        self.amendments: list[Message] = []
        """Corrections and cancels."""

    @classmethod
    def of(cls, payloads: Iterable[bytes], since_ns: int) -> "Told":
        """Return what records tell that was received at a market time or later."""
        told = cls()
        for payload in payloads:
            header, lines = unpack(payload)
            if header.kind in _KINDS:
                for line in lines:
                    if line.market_time_ns >= since_ns:
                        told._note(line)
        return told

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
            if head.type in _TICKS:
                self._ticks.add(_fingerprint(line.message, line.occurrence))
            elif head.type in _AMENDMENTS:
                self.amendments.append(Message(line.index, head, line.message))
        except msgspec.DecodeError:
            return  # silver rejects the message with its reason


def _fingerprint(data: msgspec.Raw, occurrence: int) -> int:
    """Return what is equal for equal fields: history has them in another order."""
    return hash((_encode(_decode(data)), occurrence))
