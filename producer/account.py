"""The account stream: a connection of its own that comes back, apart from the feed.

Losing it never touches market data. A refused login is tried again like any other
loss: somebody may correct the account's keys while the market goes on.

Source: docs.alpaca.markets, "Websocket Streaming".
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec
import websockets
from websockets.asyncio.client import ClientConnection

from conf.errors import FixSetup, RetryLater
from conf.kinesis import is_loopback
from conf.logs import get_logger
from conf.settings import AlpacaSettings
from producer.backoff import Backoff
from producer.endpoints import account_url
from producer.feed import Listener, new_epoch
from producer.order_updates import CHANNEL, CHANNELS
from producer.reactions import Cause, ConnectionLost
from producer.relay import Frame

State = Literal["connecting", "live", "backoff"]

_HANDSHAKE_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_PROBE_AFTER_S = 5.0
_PONG_WITHIN_S = 7.0
_log = get_logger(__name__)
_T = TypeVar("_T")


class _Head(msgspec.Struct, frozen=True):
    """What steers the connection; ``data`` of anything else is not looked at."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Authorization(msgspec.Struct, frozen=True):
    status: str = ""


class _Listening(msgspec.Struct, frozen=True):
    streams: list[str] = []


class AccountStream:
    """Hears of the account's orders, one connection at a time.

    Args:
        settings: Address and keys.
        backoff: Waits between two connections; starts over when one is confirmed.
        listener: Told of every beginning and end.
        take: Keeps a frame before the next one is read.
        market_ns: Market time.
    """

    def __init__(
        self,
        settings: AlpacaSettings,
        backoff: Backoff,
        listener: Listener,
        take: Callable[[Frame], None],
        market_ns: Callable[[], int],
    ) -> None:
        self._settings, self._backoff, self._listener = settings, backoff, listener
        self._take, self._market_ns = take, market_ns
        self._epoch, self._frame_number = "", 0
        self._heard_until_ns = 0
        self.state: State = "connecting"
        self.connections = 0

    async def run(self) -> None:
        """Hear for ever; come back after every end.

        Raises:
            FixSetup: The address is none.
        """
        while True:
            self.state = "connecting"
            try:
                await self._hold()
            except (
                OSError,
                RetryLater,
                websockets.WebSocketException,
                msgspec.DecodeError,
            ) as error:
                reason = str(error) or type(error).__name__
                _log.warning("account stream lost", reason=reason)
            self.state = "backoff"
            await asyncio.sleep(self._backoff.next_s())

    async def _hold(self) -> None:
        async with await self._connect() as socket:
            async with asyncio.timeout(_HANDSHAKE_TIMEOUT_S):
                await self._log_in(socket)
            self._begin()
            try:
                await self._read(socket)
            except ConnectionLost as error:
                self._end(error.cause)
                raise
            except (OSError, websockets.WebSocketException):
                self._end("cut")
                raise

    async def _connect(self) -> ClientConnection:
        url = account_url(self._settings)
        try:
            return await websockets.connect(
                url,
                proxy=None if is_loopback(url) else True,
                close_timeout=_CLOSE_TIMEOUT_S,
                ping_interval=None,  # ours tell until when nothing was missed
            )
        except websockets.InvalidURI as error:
            raise FixSetup(
                "alpaca.account_url", str(error), "Set wss://host/stream"
            ) from error

    async def _log_in(self, socket: ClientConnection) -> None:
        self._epoch, self._frame_number = new_epoch(time.time_ns()), 0
        keys = {
            "key_id": self._settings.api_key.get_secret_value(),
            "secret_key": self._settings.secret_key.get_secret_value(),
        }
        await socket.send(msgspec.json.encode({"action": "authenticate", "data": keys}))
        answer = await self._expect(socket, "authorization", _Authorization)
        if answer.status != "authorized":
            raise ConnectionLost("refused", f"the account's login: {answer.status}")
        streams = {"streams": [CHANNEL]}
        await socket.send(msgspec.json.encode({"action": "listen", "data": streams}))
        listening = await self._expect(socket, "listening", _Listening)
        if CHANNEL not in listening.streams:
            raise ConnectionLost("refused", f"listening to {listening.streams} only")

    async def _expect(
        self, socket: ClientConnection, stream: str, kind: type[_T]
    ) -> _T:
        """Return the answer that the hand-shake needs next."""
        while True:
            frame = self._frame(await socket.recv(decode=False))
            head = _head(frame)
            if head.stream == stream:
                return msgspec.json.decode(head.data, type=kind)
            if head.stream == CHANNEL:
                self._take(frame)

    def _begin(self) -> None:
        self.state = "live"
        self.connections += 1
        self._backoff.reset()
        self._heard_until_ns = self._market_ns()
        self._listener.confirmed(self._epoch, CHANNELS)

    def _end(self, cause: Cause) -> None:
        self._listener.lost(self._epoch, cause, self._heard_until_ns)

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            try:
                async with asyncio.timeout(_PROBE_AFTER_S):
                    payload = await socket.recv(decode=False)
            except TimeoutError:
                await self._probe(socket)
                continue
            self._heard_until_ns = self._market_ns()
            frame = self._frame(payload)
            if _head(frame).stream not in ("authorization", "listening"):
                self._take(frame)

    async def _probe(self, socket: ClientConnection) -> None:
        """Ask for a sign of life: what was sent before it has been read then.

        Raises:
            ConnectionLost: There is none.
        """
        asked_ns = self._market_ns()
        try:
            async with asyncio.timeout(_PONG_WITHIN_S):
                await (await socket.ping())
        except TimeoutError as error:
            what = f"no sign of life for {_PONG_WITHIN_S:.0f} s"
            raise ConnectionLost("half_open", what) from error
        self._heard_until_ns = asked_ns

    def _frame(self, payload: bytes) -> Frame:
        frame = Frame(self._epoch, self._frame_number, time.time_ns(), payload)
        self._frame_number += 1
        return frame


def _head(frame: Frame) -> _Head:
    try:
        return msgspec.json.decode(frame.payload, type=_Head)
    except msgspec.DecodeError:
        return _Head()
