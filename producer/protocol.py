"""Alpaca's stream protocol without I/O: what to say, and what a frame holds.

A frame is an array of messages. Control messages steer the connection; everything
else is data and keeps its bytes. Nothing a server sends raises here: what is no
message becomes one with ``error`` and the text that caused it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgpack
import msgspec

from conf.market.envelope import MAX_RAW_CHARACTERS
from conf.market.rfc3339 import format_ns
from conf.market.wire import CONTROL_TYPES, Head

Encoding = Literal["json", "msgpack"]

CONTENT_TYPES: dict[Encoding, str] = {
    "json": "application/json",
    "msgpack": "application/msgpack",
}
"""The request header by which a client chooses its encoding."""


class Control(msgspec.Struct, frozen=True):
    """A message that steers the connection.

    ``type`` is ``success``, ``error`` or ``subscription``; the last one has the
    ``channels``: their symbols by channel.
    """

    type: str = msgspec.field(name="T")
    text: str | None = msgspec.field(name="msg", default=None)
    code: int | None = None
    channels: dict[str, list[str]] = {}


class Message(msgspec.Struct, frozen=True, gc=False):
    """One data message at its place in the frame.

    Either ``data`` is one JSON value without a raw newline, or ``error`` says why
    ``raw`` (at most 64 KiB of text) is none.
    """

    index: int
    head: Head
    data: msgspec.Raw | None = None
    error: str | None = None
    raw: str | None = None


class Decoded(msgspec.Struct, frozen=True):
    """What one frame holds, each list in the frame's order."""

    controls: list[Control]
    messages: list[Message]


_NO_HEAD = Head()
_decode_values = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_value = msgspec.json.Decoder(msgspec.Raw).decode
_decode_head = msgspec.json.Decoder(Head).decode
_decode_control = msgspec.json.Decoder(Control).decode
_decode_channels = msgspec.json.Decoder(dict[str, str | list[str]]).decode
_scan_value = json.JSONDecoder().raw_decode
_BETWEEN_VALUES = re.compile(r"[\s,]*")
_END_OF_ARRAY = re.compile(r"\]\s*\Z")


def auth_message(key: str, secret: str, encoding: Encoding) -> str | bytes:
    """Return the message that presents the credentials."""
    return _encode({"action": "auth", "key": key, "secret": secret}, encoding)


def subscribe_message(
    channels: Mapping[str, list[str]], encoding: Encoding
) -> str | bytes:
    """Return the message that asks for each channel's own list of symbols."""
    return _encode({"action": "subscribe", **channels}, encoding)


def _encode(message: dict[str, Any], encoding: Encoding) -> str | bytes:
    if encoding == "msgpack":
        return msgpack.packb(message)  # type: ignore[no-any-return]  # untyped library
    return msgspec.json.encode(message).decode()


def decode(frame: bytes, encoding: Encoding) -> Decoded:
    """Return the messages of one frame; never raises for what the frame holds."""
    messages = _from_msgpack(frame) if encoding == "msgpack" else _from_json(frame)
    controls: list[Control] = []
    if any(message.head.type in CONTROL_TYPES for message in messages):
        controls = [
            _control(message)
            for message in messages
            if message.head.type in CONTROL_TYPES
        ]
        messages = [x for x in messages if x.head.type not in CONTROL_TYPES]
    return Decoded(controls, messages)


def _control(message: Message) -> Control:
    try:
        control = _decode_control(message.data or b"")
        if control.type != "subscription":
            return control
        channels = _decode_channels(message.data or b"")
    except msgspec.DecodeError as error:
        return Control(message.head.type or "error", f"unreadable: {error}")
    listed = {name: x for name, x in channels.items() if isinstance(x, list)}
    return msgspec.structs.replace(control, channels=listed)


def _head(value: msgspec.Raw | bytes) -> Head:
    try:
        return _decode_head(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _NO_HEAD  # no object or wrong types: data all the same, without symbol


def _failed(index: int, error: object, raw: str) -> Message:
    return Message(index, _NO_HEAD, error=str(error), raw=raw[:MAX_RAW_CHARACTERS])


def _readable(payload: bytes) -> str:
    return payload[: 4 * MAX_RAW_CHARACTERS].decode(errors="backslashreplace")


# --- JSON -----------------------------------------------------------------------------


def _from_json(frame: bytes) -> list[Message]:
    try:
        values = _decode_values(frame)
        if not frame.isascii():
            frame.decode()  # msgspec skips over a value without reading its text
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return list(_salvage(frame, error))
    if b"\n" in frame:
        values = [_on_one_line(bytes(value)) for value in values]
    return [Message(index, _head(value), value) for index, value in enumerate(values)]


def _on_one_line(value: bytes) -> msgspec.Raw:
    # a newline separates the lines of a wire record; within a string JSON has none
    return msgspec.Raw(
        msgspec.json.format(value, indent=-1) if b"\n" in value else value
    )


def _salvage(frame: bytes, frame_error: Exception) -> Iterator[Message]:
    """Keep the good messages of a frame that is not JSON as a whole."""
    text = frame.decode(errors="surrogateescape")
    for index, value in enumerate(_split(text)):
        try:
            data = _on_one_line(bytes(_decode_value(value.encode())))
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            reason = frame_error if value == text else error
            raw = value.encode(errors="surrogateescape")
            yield _failed(index, reason, _readable(raw))
        else:
            yield Message(index, _head(data), data)


def _split(text: str) -> Iterator[str]:
    """Yield the texts of an array's values, then what is left when one cannot be read.

    The standard library's scanner takes NaN and Infinity, which msgspec refuses: it
    finds where such a message ends.
    """
    if not text.lstrip().startswith("["):
        yield text
        return
    start = first = _next_value(text, text.index("[") + 1)
    while not _END_OF_ARRAY.match(text, start):
        try:
            _, end = _scan_value(text, start)
        except (ValueError, RecursionError):
            yield text if start == first else text[start:]
            return
        yield text[start:end]
        start = _next_value(text, end)


def _next_value(text: str, position: int) -> int:
    between = _BETWEEN_VALUES.match(text, position)
    return between.end() if between else position


# --- msgpack --------------------------------------------------------------------------


def _from_msgpack(frame: bytes) -> list[Message]:
    try:
        values = msgpack.unpackb(
            frame, strict_map_key=False, ext_hook=_refuse_extension
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        return [_failed(0, f"no msgpack: {error}", _readable(frame))]
    if not isinstance(values, list):
        values = [values]
    return [_transcode(index, value) for index, value in enumerate(values)]


def _refuse_extension(code: int, _: bytes) -> object:
    raise ValueError(f"unknown extension type {code}")


def _transcode(index: int, value: object) -> Message:
    try:
        data = _msgpack_as_json(value)
        if b"null" in data and _has_no_json(value):
            return _failed(index, "NaN or Infinity is no JSON", repr(value))
    except (TypeError, ValueError, RecursionError) as error:
        return _failed(index, f"no JSON: {error}", repr(value))
    return Message(index, _head(data), msgspec.Raw(data))


def _has_no_json(value: object) -> bool:
    """Tell whether a value holds a number that the encoder would write as null."""
    match value:
        case float():
            return not math.isfinite(value)
        case dict():
            return any(map(_has_no_json, value.values()))
        case list():
            return any(map(_has_no_json, value))
    return False


def _json_of(value: object) -> str:
    if isinstance(value, msgpack.Timestamp):
        return format_ns(value.to_unix_nano())
    raise TypeError(f"{type(value).__name__} has no JSON")


_msgpack_as_json = msgspec.json.Encoder(enc_hook=_json_of).encode
