"""One connection: its encoding, its subscription and what it is sent."""

from collections.abc import Iterator
from typing import Any

import msgspec
from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from conf.logs import get_logger
from producer.simulator.batch import Batch
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


class Client:
    """Writes to one connection, never waiting for it.

    Frames go straight into the connection's write buffer. A client that lets more than
    ``buffer_bytes`` pile up there is disconnected.
    """

    def __init__(
        self,
        connection: ServerConnection,
        *,
        symbol_limit: int | None,
        buffer_bytes: int,
    ) -> None:
        assert connection.request is not None  # noqa: S101 (after the handshake it is)
        content_type = connection.request.headers.get("Content-Type", "")
        self.is_msgpack = "msgpack" in content_type
        self.subscription = Subscription(symbol_limit)
        self._connection = connection
        self._buffer_bytes = buffer_bytes
        self._dropped = False

    def decode(self, frame: str | bytes) -> dict[str, Any]:
        """Return a request of the client.

        Raises:
            Refused: 400, invalid syntax.
        """
        return decode_request(frame, is_msgpack=self.is_msgpack)

    def control(self, message: dict[str, object]) -> None:
        """Send one control message, alone in its frame."""
        encode = msgspec.msgpack.encode if self.is_msgpack else msgspec.json.encode
        self._write(encode([message]))

    def send(self, messages: Batch) -> list[bool]:
        """Send those messages that are subscribed; return which were sent."""
        if self._dropped or self._connection.state is not State.OPEN:
            return [False] * len(messages.texts)
        sent = [self.subscription.wanted[route] for route in messages.routes]
        for texts in _frames(messages.only(sent).texts):
            self._write(self._frame(texts))
        if self._connection.transport.get_write_buffer_size() > self._buffer_bytes:
            self._drop()
        return sent

    def _frame(self, texts: list[bytes]) -> bytes:
        if _is_object(texts[0]):
            return msgpack_frame(texts) if self.is_msgpack else json_frame(texts)
        return broken_msgpack(texts[0]) if self.is_msgpack else texts[0]

    def _write(self, payload: bytes) -> None:
        broadcast([self._connection], payload, text=not self.is_msgpack)

    def _drop(self) -> None:
        _log.warning(
            "slow client disconnected",
            client=self._connection.remote_address,
            unsent_bytes=self._connection.transport.get_write_buffer_size(),
        )
        self._dropped = True
        self.control(error(ErrorCode.SLOW_CLIENT))
        self._connection.transport.abort()


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
