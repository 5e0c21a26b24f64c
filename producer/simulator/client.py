"""One market-data connection: its encoding, its subscription and what it is sent."""

from collections.abc import Iterator
from typing import Any

import msgspec

from conf.logs import get_logger
from producer.simulator.batch import Batch, Route
from producer.simulator.connection import Connection
from producer.simulator.peer import Peer
from producer.simulator.protocol import (
    ErrorCode,
    Subscription,
    broken_msgpack,
    decode_request,
    error,
    json_frame,
    msgpack_frame,
)

FRAME_MESSAGES = 100
"""Most messages in one frame."""

_log = get_logger("simulator.client")


class Client(Peer):
    """Sends what is subscribed.

    A client that lets more than ``buffer_bytes`` pile up is disconnected.
    """

    def __init__(
        self, connection: Connection, *, symbol_limit: int | None, buffer_bytes: int
    ) -> None:
        content_type = connection.request.headers.get("Content-Type", "")
        self.is_msgpack = "msgpack" in content_type
        super().__init__(connection, text=not self.is_msgpack)
        self.subscription = Subscription(symbol_limit)
        self.muted: set[str] | None = None
        """Symbols that it is not sent, though subscribed; ``*`` for all."""
        self._buffer_bytes = buffer_bytes

    def decode(self, frame: str | bytes) -> dict[str, Any]:
        """Return a request of the client.

        Raises:
            Refused: 400, invalid syntax.
        """
        return decode_request(frame, is_msgpack=self.is_msgpack)

    def control(self, message: dict[str, object]) -> None:
        """Send one control message, alone in its frame."""
        encode = msgspec.msgpack.encode if self.is_msgpack else msgspec.json.encode
        self.say(encode([message]))

    def fail(self, code: ErrorCode) -> None:
        """Send an error and end the connection, as Alpaca does."""
        self.control(error(code))
        self.hang_up(f"error {int(code)}")

    def send(self, messages: Batch) -> list[bool]:
        """Send those messages that are subscribed; return which were sent."""
        if not self.is_reachable:
            return [False] * len(messages.texts)
        sent = [self.subscription.wanted[route] for route in messages.routes]
        if self.muted is not None:
            sent = [
                wanted and not self._is_muted(route)
                for wanted, route in zip(sent, messages.routes, strict=True)
            ]
        chosen = messages.only(sent)
        self.release()
        for texts in _frames(chosen.texts):
            self.write(self._frame(texts), chosen.due_ns[0])
        if self.unsent_bytes > self._buffer_bytes:
            self._drop()
        return sent

    def _is_muted(self, route: Route) -> bool:
        return self.muted is not None and ("*" in self.muted or route[1] in self.muted)

    def _frame(self, texts: list[bytes]) -> bytes:
        if _is_object(texts[0]):
            return msgpack_frame(texts) if self.is_msgpack else json_frame(texts)
        return broken_msgpack(texts[0]) if self.is_msgpack else texts[0]

    def _drop(self) -> None:
        _log.warning(
            "slow client disconnected",
            client=self.connection.remote_address,
            unsent_bytes=self.unsent_bytes,
        )
        self.control(error(ErrorCode.SLOW_CLIENT))
        self.cut("slow_client")


def _frames(texts: list[bytes]) -> Iterator[list[bytes]]:
    """Cut messages into frames; one that is no object is a frame by itself."""
    frame: list[bytes] = []
    for text in texts:
        if frame and (len(frame) == FRAME_MESSAGES or not _is_object(text)):
            yield frame
            frame = []
        if _is_object(text):
            frame.append(text)
        else:
            yield [text]
    if frame:
        yield frame


def _is_object(text: bytes) -> bool:
    return text.startswith(b"{")
