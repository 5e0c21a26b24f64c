"""One market-data connection that comes back: connect, open, message, error, close.

The read loop only enqueues. What a frame holds is looked at elsewhere, except in the
hand-shake and in the first frame after it.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Literal

import websockets
from websockets.asyncio.client import ClientConnection

from conf.errors import FixSetup, RetryLater
from conf.kinesis import is_loopback
from conf.logs import get_logger
from conf.settings import AlpacaSettings
from producer.backoff import Backoff
from producer.endpoints import feed_url
from producer.protocol import (
    CONTENT_TYPES,
    Channels,
    Control,
    Mismatch,
    auth_message,
    compare,
    decode,
    reaction,
    subscribe_message,
)
from producer.relay import Frame

State = Literal["connecting", "live", "backoff"]

_MAX_FRAME_BYTES = 32 * 1024 * 1024
_HANDSHAKE_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 3.0
_PATIENCE_DOUBLINGS = 5
_log = get_logger(__name__)


def new_epoch(now_ns: int) -> str:
    """Return a name for one connection; names sort by time."""
    return f"{now_ns // 1_000_000:011x}-{secrets.token_hex(3)}"


class Feed:
    """Reads frames of one connection at a time into a queue.

    Args:
        settings: Address, keys, symbols of each channel, time limits.
        frames: Where the frames go; reading waits while it is full.
        backoff: Waits between two connections; starts over after real data.
        now_ns: Wall clock.
    """

    def __init__(
        self,
        settings: AlpacaSettings,
        frames: asyncio.Queue[Frame],
        backoff: Backoff,
        *,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._settings, self._frames = settings, frames
        self._backoff, self._now_ns = backoff, now_ns
        self._channels: Channels = {
            "trades": settings.trades,
            "quotes": settings.quotes,
            "bars": settings.bars,
        }
        self._socket: ClientConnection | None = None
        self._verdict: FixSetup | RetryLater | None = None
        self._closing: asyncio.Task[None] | None = None
        self._stopping = False
        self._frame_number = 0
        self._mute_connections = 0
        self.epoch = ""
        self.state: State = "connecting"
        self.mismatch: Mismatch | None = None
        self.last_frame_time_ns: int | None = None

    async def run(self) -> None:
        """Read until ``close`` is called; come back after every other end.

        Raises:
            FixSetup: The server refused what only a person can change.
        """
        while not self._stopping:
            try:
                await self._read_connection()
            except (OSError, RetryLater, websockets.WebSocketException) as error:
                self.on_error(error)
            if not self._stopping:
                await self._pause()

    async def connect(self) -> ClientConnection:
        """Open the socket; a server on this machine needs no proxy, no compression."""
        self.state = "connecting"
        local = is_loopback(self._settings.url)
        try:
            return await websockets.connect(
                feed_url(self._settings),
                additional_headers={
                    "Content-Type": CONTENT_TYPES[self._settings.encoding]
                },
                compression=None if local else "deflate",
                proxy=None if local else True,
                max_size=_MAX_FRAME_BYTES,
                close_timeout=_CLOSE_TIMEOUT_S,
            )
        except websockets.InvalidURI as error:
            raise FixSetup(
                "alpaca.url", str(error), "Set ws://host:port or wss://host"
            ) from error

    async def on_open(self, socket: ClientConnection) -> None:
        """Authenticate, then subscribe; compare the confirmation with the request."""
        self.epoch, self._frame_number = new_epoch(self._now_ns()), 0
        self._verdict = None
        settings = self._settings
        async with asyncio.timeout(_HANDSHAKE_TIMEOUT_S):
            await self._expect(socket, "success", "connected")
            key = settings.api_key.get_secret_value()
            secret = settings.secret_key.get_secret_value()
            await socket.send(auth_message(key, secret, settings.encoding))
            await self._expect(socket, "success", "authenticated")
            await socket.send(subscribe_message(self._channels, settings.encoding))
            confirmed = await self._expect(socket, "subscription")
        self.mismatch = compare(self._channels, confirmed)
        if self.mismatch:
            _log.warning(
                "subscription differs from the request",
                missing=self.mismatch.missing,
                extra=self.mismatch.extra,
            )
        self._socket, self.state = socket, "live"
        _log.info("subscribed", url=feed_url(settings), epoch=self.epoch)

    async def on_message(self, payload: bytes) -> None:
        """Hand one frame over, with its number and the time it was read."""
        frame = self._frame(payload)
        # an error or nothing at all after the hand-shake is no reason to come back soon
        if self._backoff.tries and decode(payload, self._settings.encoding).messages:
            self._backoff.reset()
            self._mute_connections = 0
        await self._frames.put(frame)

    def on_control(self, epoch: str, control: Control) -> None:
        """React to a control message that a frame held after the hand-shake."""
        if self._socket is None or epoch != self.epoch:
            return
        if control.type == "error":
            self._verdict = reaction(control)
            self._closing = asyncio.create_task(self._socket.close())

    def on_error(self, error: Exception) -> None:
        """Say why the connection ended."""
        _log.warning(
            "connection lost",
            url=feed_url(self._settings),
            reason=str(error) or type(error).__name__,
            tries=self._backoff.tries,
        )

    def on_close(self) -> None:
        """Forget the socket."""
        self._socket = None

    async def close(self) -> None:
        """End ``run`` after the frames that are already here."""
        self._stopping = True
        if self._socket is not None:
            await self._socket.close()

    async def _read_connection(self) -> None:
        socket = await self.connect()
        try:
            await self.on_open(socket)
            while True:
                await self.on_message(await self._receive(socket))
        except websockets.ConnectionClosed as error:
            if self._verdict is not None:
                raise self._verdict from error
            if not self._stopping:
                raise
        finally:
            self.on_close()
            await socket.close()

    async def _receive(self, socket: ClientConnection) -> bytes:
        # A market that is closed is mute too: the next connection gets twice the time.
        patience_s = self._settings.mute_timeout_s * 2 ** min(
            self._mute_connections, _PATIENCE_DOUBLINGS
        )
        try:
            async with asyncio.timeout(patience_s):
                return await socket.recv(decode=False)
        except TimeoutError:
            self._mute_connections += 1
            raise RetryLater(f"nothing arrived for {patience_s:g} s") from None

    async def _expect(
        self, socket: ClientConnection, kind: str, text: str | None = None
    ) -> Control:
        """Return the control message that the hand-shake needs next."""
        while True:
            payload = await socket.recv(decode=False)
            frame = self._frame(payload)
            decoded = decode(payload, self._settings.encoding)
            if decoded.messages:
                await self._frames.put(frame)
            for control in decoded.controls:
                if control.type == "error":
                    raise reaction(control)
                if control.type == kind and text in {None, control.text}:
                    return control

    def _frame(self, payload: bytes) -> Frame:
        self.last_frame_time_ns = self._now_ns()
        frame = Frame(self.epoch, self._frame_number, self.last_frame_time_ns, payload)
        self._frame_number += 1
        return frame

    async def _pause(self) -> None:
        self.state = "backoff"
        await asyncio.sleep(self._backoff.next_s())
