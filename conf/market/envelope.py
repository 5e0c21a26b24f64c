r"""The wire record: what the producer puts on Kinesis and bronze stores untouched.

One Kinesis record is UTF-8 text of newline-separated JSON objects. The first line is
a header, every further line one message with its place in the feed:

    {"schema_version":1,"kind":"data","epoch":"01K…","source":"simulator/iex"}
    {"f":812,"i":0,"r":1795398600000000000,"m":1795398600000000000,"d":{"T":"t",…}}
    {"f":812,"i":3,"r":1795398600000000000,"m":1795398600000000000,"o":1,"d":{"T":"q",…}}
    {"f":813,"i":0,"r":1795398600100000000,"m":1795398600100000000,"e":"…","x":"{\"T\""}

| key | name | meaning |
| --- | --- | --- |
| f | frame | number of the WebSocket frame within the epoch, from 0 |
| i | index | place of the message within its frame, from 0 |
| r | receive_time_ns | wall clock when the producer read the frame, UTC |
| m | market_time_ns | market clock at that moment (equal to `r` when live) |
| o | occurrence | how many identical quotes came before this one; left out when 0 |
| d | message | Alpaca's message, byte for byte (msgpack re-encoded as JSON) |
| e | error | why the text in `x` is no message; then there is no `d` |
| x | raw | the first 64 KiB of a frame that is not JSON, as text |

(epoch, frame, index) names one message for ever: a retried entry carries the same.
An epoch is one connection of one producer process. A record whose header says
``"late":true`` holds messages that can wait: older than two minutes by the market clock
when they were packed, or a correction, cancel or price band. Silver merges those at
leisure, apart from the hot ones. It is a hint: such a message in another record is
merged just as well. The short keys keep 4,096 messages a second under the 1 MB/s of one
shard. `tests/contracts/golden/` pins it all.
"""

from typing import Literal

import msgspec

SCHEMA_VERSION = 1
MAX_RAW_CHARACTERS = 65_536
HEARTBEAT_KEY = "heartbeat"
"""Partition key of heartbeats; symbols are in capitals."""

Kind = Literal["data", "heartbeat", "gap", "backfill", "history"]


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """First line of a wire record: what all its messages share."""

    schema_version: int
    kind: Kind
    epoch: str
    source: str
    late: bool = False


class Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One message of a wire record; see the table in the module's docstring."""

    frame: int = msgspec.field(name="f")
    index: int = msgspec.field(name="i")
    receive_time_ns: int = msgspec.field(name="r")
    market_time_ns: int = msgspec.field(name="m")
    occurrence: int = msgspec.field(name="o", default=0)
    message: msgspec.Raw | msgspec.UnsetType = msgspec.field(
        name="d", default=msgspec.UNSET
    )
    error: str | None = msgspec.field(name="e", default=None)
    raw: str | None = msgspec.field(name="x", default=None)


_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(Header)
_line_decoder = msgspec.json.Decoder(Line)


def encode_header(kind: Kind, epoch: str, source: str, *, late: bool = False) -> bytes:
    """Return the first line of a wire record, without its newline."""
    return _encoder.encode(Header(SCHEMA_VERSION, kind, epoch, source, late))


def encode_line(line: Line) -> bytes:
    """Return one message line without its newline.

    ``line.message`` must be one JSON value without a raw newline: the newline
    separates lines.
    """
    return _encoder.encode(line)


def pack(header: bytes, lines: list[bytes]) -> bytes:
    """Return the payload of one Kinesis record."""
    return b"\n".join([header, *lines])


def split(payload: bytes) -> tuple[Header, list[bytes]]:
    """Return a record's header and its lines, each for ``decode_line``.

    Raises:
        msgspec.DecodeError: The first line is no header (also when a field has the
            wrong type: ``msgspec.ValidationError`` is a subclass).
    """
    first, *lines = payload.split(b"\n")
    return _header_decoder.decode(first), lines


def decode_line(text: bytes) -> Line:
    """Return one line of a record.

    Raises:
        msgspec.DecodeError: The text is no line of a wire record.
    """
    return _line_decoder.decode(text)


def unpack(payload: bytes) -> tuple[Header, list[Line]]:
    """Return a record's header and its lines.

    Raises:
        msgspec.DecodeError: The header or any line is none.
    """
    header, lines = split(payload)
    return header, [decode_line(line) for line in lines]
