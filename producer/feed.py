"""One market-data connection that comes back: connect, open, message, error, close.

The read loop only enqueues. What a frame holds is looked at elsewhere, except in the
hand-shake and in the first frame after it.

Over 300 lines: the life of a connection is one state, read from top to bottom.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Literal, Protocol

import websockets
from websockets.asyncio.client import ClientConnection

from conf.errors import FixSetup, RetryLater
from conf.kinesis import is_loopback
from conf.logs import get_logger
from conf.settings import AlpacaSettings
from producer.backoff import Backoff
from producer.endpoints import feed_url
from producer.patience import Patience
from producer.protocol import (
    CONTENT_TYPES,
    Control,
    auth_message,
    decode,
    subscribe_message,
)
from producer.reactions import Cause, ConnectionLost, reaction
from producer.relay import Frame
from producer.subscription import Channels, Mismatch, compare, delivered, requested

State = Literal["connecting", "live", "backoff", "held"]

_MAX_FRAME_BYTES = 32 * 1024 * 1024
_HANDSHAKE_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_PROBE_AFTER_S = 5.0
_PONG_WITHIN_S = 12.0
_PATIENCE_DOUBLINGS = 5
_log = get_logger(__name__)


class Listener(Protocol):
    """Who keeps account of what was received."""

    def confirmed(self, epoch: str, channels: Channels) -> None:
        """Take note: from now on these symbols of these channels come."""

    def lost(self, epoch: str, cause: Cause, last_frame_ns: int) -> None:
        """Take note: nothing came of this connection after its last frame."""


def new_epoch(now_ns: int) -> str:
    """Return a name for one connection; names sort by time."""
    return f"{now_ns // 1_000_000:011x}-{secrets.token_hex(3)}"


class Feed:
    """Reads frames of one connection at a time into a queue.

    Args:
        settings: Address, keys, symbols of each channel, time limits.
        frames: Where the frames go; reading waits while it is full.
        backoff: Waits between two connections; starts over after real data.
        listener: Told of every beginning and end.
        now_ns: Wall clock.
        is_open: Whether the market is open; a closed one is silent by right.
    """

    def __init__(
        self,
        settings: AlpacaSettings,
        frames: asyncio.Queue[Frame],
        backoff: Backoff,
        listener: Listener,
        *,
        now_ns: Callable[[], int] = time.time_ns,
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        self._settings, self._frames, self._listener = settings, frames, listener
        self._backoff, self._now_ns, self._is_open = backoff, now_ns, is_open
        self._channels = requested(settings)
        self._patience = Patience(settings.mute_timeout_s)
        self._socket: ClientConnection | None = None
        self._verdict: FixSetup | ConnectionLost | None = None
        self._closing: asyncio.Task[None] | None = None
        self._stopping = False
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._frame_number = 0
        self._mute_connections = 0
        self.epoch = ""
        self.state: State = "connecting"
        self.mismatch: Mismatch | None = None
        self.last_frame_time_ns: int | None = None
        self.live_since_s = 0.0
        """Monotonic seconds of the last subscription."""
        self.connections = 0
        self.slow_client_errors = 0

    async def run(self) -> None:
        """Read until ``close`` is called; come back after every other end.

        Raises:
            FixSetup: The server refused what only a person can change.
        """
        while not self._stopping:
            await self._allowed.wait()
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
                ping_interval=None,  # a link is only doubted when it is silent
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
        self._socket, self.state = socket, "live"
        self.connections += 1
        self.live_since_s = time.monotonic()
        self._patience.connected(self.live_since_s)
        self._compare(confirmed)
        _log.info("subscribed", url=feed_url(settings), epoch=self.epoch)

    async def on_message(self, payload: bytes) -> None:
        """Hand one frame over, with its number and the time it was read."""
        frame = self._frame(payload)
        self._patience.heard(time.monotonic())
        # an error or nothing at all after the hand-shake is no reason to come back soon
        if self._backoff.tries and decode(payload, self._settings.encoding).messages:
            self._backoff.reset()
            self._mute_connections = 0
        await self._frames.put(frame)

    def on_control(self, epoch: str, control: Control) -> None:
        """React to a control message that a frame held after the hand-shake."""
        if self._socket is None or epoch != self.epoch:
            return
        if control.type == "subscription":
            self._compare(control)
        elif control.type == "error":
            self._end(reaction(control, self._channels))

    def on_error(self, error: Exception) -> None:
        """Say why the connection ended."""
        _log.warning(
            "connection lost",
            url=feed_url(self._settings),
            reason=str(error) or type(error).__name__,
            tries=self._backoff.tries,
        )

    def on_close(self, cause: Cause) -> None:
        """Forget the socket."""
        if self._socket is not None and not self._stopping:
            self._listener.lost(self.epoch, cause, self.last_frame_time_ns or 0)
        self._socket = None

    async def close(self) -> None:
        """End ``run`` after the frames that are already here."""
        self._stopping = True
        self._allowed.set()
        if self._socket is not None:
            await self._socket.close()

    def hold(self, what: str) -> None:
        """Leave the server alone until ``release``: what it sends has no place."""
        if self._allowed.is_set():
            self._allowed.clear()
            self._end(ConnectionLost("spool_full", what))

    def release(self) -> None:
        """Connect again."""
        self._allowed.set()

    async def _read_connection(self) -> None:
        cause: Cause = "cut"
        socket = await self.connect()
        try:
            await self.on_open(socket)
            while True:
                await self.on_message(await self._receive(socket))
        except ConnectionLost as error:
            cause = error.cause
            raise
        except websockets.ConnectionClosed as error:
            if self._verdict is not None:
                cause = getattr(self._verdict, "cause", "refused")
                raise self._verdict from error
            if not self._stopping:
                raise
        finally:
            self.on_close(cause)
            await socket.close()

    async def _receive(self, socket: ClientConnection) -> bytes:
        """Return the next frame.

        Raises:
            ConnectionLost: The link is dead (no pong), or alive and mute for longer
                than can be expected of an open market.
        """
        silent_since_s = mute_since_s = time.monotonic()
        # a quiet market is mute too: the next connection gets twice the time
        doublings = min(self._mute_connections, _PATIENCE_DOUBLINGS)
        limit_s = self._patience.limit_s * 2**doublings
        pong: asyncio.Future[float] | None = None
        while True:
            left_s = limit_s - (time.monotonic() - mute_since_s)
            try:
                async with asyncio.timeout(max(0.0, min(left_s, _PROBE_AFTER_S))):
                    return await socket.recv(decode=False)
            except TimeoutError:
                now_s = time.monotonic()
            silent_s = now_s - silent_since_s
            if not self._is_open():
                mute_since_s = now_s
                self._patience.connected(now_s)
            if pong is not None and not pong.done() and silent_s > _PONG_WITHIN_S:
                raise ConnectionLost(
                    "half_open", f"no sign of life for {silent_s:.0f} s"
                )
            if now_s - mute_since_s >= limit_s:
                self._mute_connections += 1
                raise ConnectionLost("mute", f"nothing arrived for {silent_s:.3g} s")
            if pong is None or pong.done():
                pong = asyncio.ensure_future(await socket.ping())

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
                    raise self._judged(reaction(control, self._channels))
                if control.type == kind and text in {None, control.text}:
                    return control

    def _compare(self, confirmed: Control) -> None:
        self.mismatch = compare(self._channels, confirmed.channels)
        if self.mismatch:
            _log.warning(
                "subscription differs from the request",
                missing=self.mismatch.missing,
                extra=self.mismatch.extra,
            )
        asked = delivered(self._channels)
        given = {
            channel: [name for name in symbols if name in asked[channel]]
            for channel, symbols in delivered(confirmed.channels).items()
            if channel in asked
        }
        self._listener.confirmed(self.epoch, given)

    def _end(self, verdict: FixSetup | ConnectionLost) -> None:
        self._verdict = self._judged(verdict)
        if self._socket is not None:
            self._closing = asyncio.create_task(self._socket.close())

    def _judged(self, verdict: FixSetup | ConnectionLost) -> FixSetup | ConnectionLost:
        if isinstance(verdict, ConnectionLost):
            self.slow_client_errors += verdict.cause == "slow_client"
        return verdict

    def _frame(self, payload: bytes) -> Frame:
        self.last_frame_time_ns = self._now_ns()
        frame = Frame(self.epoch, self._frame_number, self.last_frame_time_ns, payload)
        self._frame_number += 1
        return frame

    async def _pause(self) -> None:
        self.state = "backoff" if self._allowed.is_set() else "held"
        await asyncio.sleep(self._backoff.next_s())
