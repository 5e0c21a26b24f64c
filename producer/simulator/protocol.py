"""Alpaca's streaming protocol: control messages, subscriptions, the two encodings.

Source: docs.alpaca.markets, "WebSocket Stream" and "Real-time Stock Data".
"""

import json
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgpack
import msgspec

from conf.market.rfc3339 import parse_ns
from conf.market.wire import CHANNEL_OF_TYPE, CHANNELS_WITH_TRADES, COUNTED_CHANNELS
from producer.simulator.batch import EVERYONE, Route
from producer.simulator.slots import SECOND_NS

CHANNELS = {**CHANNEL_OF_TYPE, "i": "imbalances"}
"""Channel of each message type."""


class ErrorCode(IntEnum):
    """Alpaca's errors by code."""

    INVALID_SYNTAX = 400
    NOT_AUTHENTICATED = 401
    AUTH_FAILED = 402
    ALREADY_AUTHENTICATED = 403
    AUTH_TIMEOUT = 404
    SYMBOL_LIMIT_EXCEEDED = 405
    CONNECTION_LIMIT_EXCEEDED = 406
    SLOW_CLIENT = 407
    INSUFFICIENT_SUBSCRIPTION = 409
    INVALID_SUBSCRIBE_ACTION = 410
    INTERNAL_ERROR = 500


_TEXTS = {ErrorCode.INVALID_SUBSCRIBE_ACTION: "invalid subscribe action for this feed"}


class Refused(Exception):
    """The client asked for something that Alpaca answers with an error."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code)
        self.code = code


def success(text: str) -> dict[str, object]:
    """Return the control message of a step that went well."""
    return {"T": "success", "msg": text}


def error(code: ErrorCode) -> dict[str, object]:
    """Return the control message of an error."""
    text = _TEXTS.get(code, code.name.replace("_", " ").lower())
    return {"T": "error", "code": int(code), "msg": text}


def decode_request(frame: str | bytes, *, is_msgpack: bool) -> dict[str, Any]:
    """Return what a client sent.

    Raises:
        Refused: 400, it is no object in the connection's encoding.
    """
    decode = msgspec.msgpack.decode if is_msgpack else msgspec.json.decode
    try:
        return decode(frame, type=dict[str, Any])  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise Refused(ErrorCode.INVALID_SYNTAX) from broken


class Subscription:
    """What one connection wants, by channel.

    Args:
        symbol_limit: Most symbols over trades and quotes; None for no limit.
    """

    def __init__(self, symbol_limit: int | None) -> None:
        self._limit = symbol_limit
        self._symbols: dict[str, list[str]] = {name: [] for name in CHANNELS.values()}
        self.wanted = _Wanted(self._symbols)

    def change(self, request: dict[str, Any]) -> None:
        """Add or take away the symbols of one request; all of it or nothing.

        Raises:
            Refused: 400, 405 or 410.
        """
        action, asked = request.get("action"), _asked(request)
        symbols = {name: list(held) for name, held in self._symbols.items()}
        for channel, names in asked.items():
            kept = [held for held in symbols[channel] if held not in names]
            symbols[channel] = kept + (names if action == "subscribe" else [])
        for channel in CHANNELS_WITH_TRADES:
            symbols[channel] = list(symbols["trades"])
        counted = {
            name for channel in COUNTED_CHANNELS for name in symbols[channel]
        } - {"*"}
        if self._limit is not None and len(counted) > self._limit:
            raise Refused(ErrorCode.SYMBOL_LIMIT_EXCEEDED)
        self._symbols = symbols
        self.wanted = _Wanted(symbols)

    def symbols(self, channel: str) -> list[str]:
        """Return what is subscribed on a channel; ``*`` stands for everything."""
        return self._symbols[channel]

    def leave_out(self, symbols: set[str]) -> None:
        """Drop symbols from every channel without having been asked."""
        self._symbols = {
            channel: [name for name in held if name not in symbols]
            for channel, held in self._symbols.items()
        }
        self.wanted = _Wanted(self._symbols)

    def state(self) -> dict[str, object]:
        """Return the confirmation: everything subscribed now.

        Imbalances are shown only when there are any, as in Alpaca's examples.
        """
        shown = {
            channel: names
            for channel, names in self._symbols.items()
            if names or channel != "imbalances"
        }
        return {"T": "subscription", **shown}

    def __bool__(self) -> bool:
        return any(self._symbols.values())


class _Wanted(dict[Route, bool]):
    """Whether a message is wanted, by its route; each route is decided once."""

    def __init__(self, symbols: dict[str, list[str]]) -> None:
        super().__init__({EVERYONE: any(symbols.values())})
        self._symbols = symbols

    def __missing__(self, route: Route) -> bool:
        kind, symbol = route
        names = self._symbols.get(CHANNELS.get(kind, ""), ())
        self[route] = symbol in names or "*" in names
        return self[route]


def _asked(request: dict[str, Any]) -> dict[str, list[str]]:
    asked = {key: names for key, names in request.items() if key != "action"}
    if not asked.keys() <= set(CHANNELS.values()):
        raise Refused(ErrorCode.INVALID_SUBSCRIBE_ACTION)
    try:
        named = msgspec.convert(asked, dict[str, list[str]])
    except msgspec.ValidationError as wrong:
        raise Refused(ErrorCode.INVALID_SYNTAX) from wrong
    if not named or not all(name for names in named.values() for name in names):
        raise Refused(ErrorCode.INVALID_SYNTAX)
    return {channel: list(dict.fromkeys(names)) for channel, names in named.items()}


def json_frame(texts: Sequence[bytes]) -> bytes:
    """Return one frame of JSON messages."""
    return b"[" + b",".join(texts) + b"]"


def msgpack_frame(texts: Sequence[bytes]) -> bytes:
    """Return the same messages as msgpack, ``t`` as its timestamp extension."""
    packed: bytes = msgpack.packb([_with_timestamp(text) for text in texts])
    return packed


def broken_msgpack(text: bytes) -> bytes:
    """Return a frame that ends too early, for one that does so in JSON."""
    packed: bytes = msgpack.packb([text.decode()])
    return packed[: len(packed) // 2]


def _with_timestamp(text: bytes) -> dict[str, Any]:
    message = _object(text)
    if isinstance(event_time := message.get("t"), str):
        try:
            time_ns = parse_ns(event_time)
        except ValueError:
            return message  # a malformed time stays what it is: text
        message["t"] = msgpack.Timestamp(*divmod(time_ns, SECOND_NS))
    return message


def _object(text: bytes) -> dict[str, Any]:
    try:
        message: dict[str, Any] = msgspec.json.decode(text)
    except msgspec.DecodeError:
        message = json.loads(text)  # it reads NaN
    return message
