"""The account stream, ``/stream``: log in, listen, and hear of one's orders.

Alpaca's paper account sends binary frames, with JSON in them.

Source: docs.alpaca.markets, "Websocket Streaming".
"""

import asyncio
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed

from conf.logs import get_logger
from producer.simulator.accounts import is_valid
from producer.simulator.connection import Connection
from producer.simulator.disturbances import Disturbances
from producer.simulator.paper.broker import STREAM, Broker
from producer.simulator.peer import Peer, Who

PATH = "/stream"
AUTH_TIMEOUT_S = 10

_log = get_logger("simulator.account_stream")


class AccountStream:
    """One connection, from its login to its end."""

    def __init__(
        self, connection: Connection, broker: Broker, disturbances: Disturbances
    ) -> None:
        self._connection = connection
        self._broker = broker
        self._disturbances = disturbances
        self._peer = Peer(connection, text=False)

    async def hold(self) -> None:
        """Talk until either side ends the connection; a refused login ends it."""
        try:
            async with asyncio.timeout(AUTH_TIMEOUT_S):
                key = await self._log_in()
            if key is not None:
                await self._serve(key)
        except TimeoutError:
            self._say("authorization", {"status": "unauthorized", "action": "timeout"})
        except ConnectionClosed as closed:
            _log.info("client gone", reason=str(closed))

    async def _log_in(self) -> str | None:
        while True:
            request = _decoded(await self._connection.recv())
            keys = _keys(request)
            if keys is not None:
                break
            self._say("error", {"error": "required to authenticate first"})
        status = "authorized" if is_valid(*keys) else "unauthorized"
        self._say("authorization", {"status": status, "action": "authenticate"})
        return keys[0] if status == "authorized" else None

    async def _serve(self, key: str) -> None:
        who = Who(PATH, key)
        try:
            with self._disturbances.present(self._peer, who, None):
                async for frame in self._connection:
                    self._answer(key, _decoded(frame))
        finally:
            self._broker.listen(key, self._peer, on=False)

    def _answer(self, key: str, request: dict[str, Any]) -> None:
        match request:
            case {"action": "listen", "data": {"streams": list(streams)}}:
                heard = [name for name in streams if name == STREAM]
                self._broker.listen(key, self._peer, on=bool(heard))
                self._say("listening", {"streams": heard})
            case _:
                self._say("error", {"error": "invalid request"})

    def _say(self, stream: str, data: dict[str, Any]) -> None:
        self._peer.say(msgspec.json.encode({"stream": stream, "data": data}))


def _decoded(frame: str | bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(frame, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _keys(request: dict[str, Any]) -> tuple[str, str] | None:
    match request:
        case {"action": "authenticate", "data": {"key_id": key, "secret_key": secret}}:
            return str(key), str(secret)
        case {"action": "auth", "key": key, "secret": secret}:
            return str(key), str(secret)
    return None
