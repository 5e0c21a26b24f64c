"""What is said on one connection: welcome, authentication, subscriptions."""

import asyncio
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from conf.logs import get_logger
from producer.simulator.accounts import Accounts
from producer.simulator.client import Client
from producer.simulator.feed import Feed
from producer.simulator.protocol import ErrorCode, Refused, error, success

AUTH_TIMEOUT_S = 10

_log = get_logger("simulator.conversation")


class Conversation:
    """One client on one feed, from the welcome to the end of the connection.

    A refused authentication ends it; a refused request is answered and forgotten.
    """

    def __init__(
        self, connection: ServerConnection, client: Client, feed: Feed
    ) -> None:
        self._connection = connection
        self._client = client
        self._feed = feed

    async def hold(self, path: str, accounts: Accounts) -> None:
        """Talk until either side ends the connection."""
        self._client.control(success("connected"))
        try:
            async with asyncio.timeout(AUTH_TIMEOUT_S):
                key, secret = await self._credentials()
            with accounts.admitted(path, key, secret):
                await self._serve()
        except TimeoutError:
            self._client.control(error(ErrorCode.AUTH_TIMEOUT))
        except Refused as refused:
            self._client.control(error(refused.code))
        except ConnectionClosed as closed:
            _log.info("client gone", reason=str(closed))
        except Exception:
            self._client.control(error(ErrorCode.INTERNAL_ERROR))
            raise

    async def _credentials(self) -> tuple[str, str]:
        assert self._connection.request is not None  # noqa: S101 (it is open)
        headers = self._connection.request.headers
        if "APCA-API-KEY-ID" in headers:
            return headers["APCA-API-KEY-ID"], headers.get("APCA-API-SECRET-KEY", "")
        while True:
            try:
                return _authentication(
                    self._client.decode(await self._connection.recv())
                )
            except Refused as refused:
                self._client.control(error(refused.code))

    async def _serve(self) -> None:
        self._client.control(success("authenticated"))
        self._feed.clients.add(self._client)
        try:
            async for frame in self._connection:
                self._answer(frame)
        finally:
            self._feed.clients.discard(self._client)

    def _answer(self, frame: str | bytes) -> None:
        subscription = self._client.subscription
        try:
            subscription.change(_subscription(self._client.decode(frame)))
        except Refused as refused:
            self._client.control(error(refused.code))
            return
        self._client.control(subscription.state())
        if subscription:
            self._feed.start()


def _authentication(request: dict[str, Any]) -> tuple[str, str]:
    match request:
        case {"action": "auth", "key": str(key), "secret": str(secret)}:
            return key, secret
        case {"action": "subscribe" | "unsubscribe"}:
            raise Refused(ErrorCode.NOT_AUTHENTICATED)
    raise Refused(ErrorCode.INVALID_SYNTAX)


def _subscription(request: dict[str, Any]) -> dict[str, Any]:
    match request.get("action"):
        case "subscribe" | "unsubscribe":
            return request
        case "auth":
            raise Refused(ErrorCode.ALREADY_AUTHENTICATED)
    raise Refused(ErrorCode.INVALID_SYNTAX)
