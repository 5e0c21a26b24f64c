"""What is said on one connection: welcome, authentication, subscriptions."""

import asyncio
from typing import Any

from websockets.exceptions import ConnectionClosed

from conf.logs import get_logger
from producer.simulator.accounts import Accounts
from producer.simulator.client import Client
from producer.simulator.disturbances import AT_LOGIN, AT_REQUEST, Disturbances
from producer.simulator.feed import Feed
from producer.simulator.peer import Who
from producer.simulator.protocol import (
    ErrorCode,
    Refused,
    error,
    success,
)

AUTH_TIMEOUT_S = 10

_log = get_logger("simulator.conversation")


class Conversation:
    """One client on one feed, from the welcome to the end of the connection.

    A refused authentication ends it; a refused request is answered and forgotten.
    """

    def __init__(
        self, client: Client, path: str, feed: Feed, disturbances: Disturbances
    ) -> None:
        self._connection = client.connection
        self._client = client
        self._path = path
        self._feed = feed
        self._disturbances = disturbances

    async def hold(self, accounts: Accounts) -> None:
        """Talk until either side ends the connection."""
        self._client.control(success("connected"))
        try:
            async with asyncio.timeout(AUTH_TIMEOUT_S):
                key, secret = await self._credentials()
            who = Who(self._path, key)
            self._refuse_by_fault(AT_LOGIN, who)
            with accounts.admitted(self._client, who, secret):
                await self._serve(who)
        except TimeoutError:
            self._client.control(error(ErrorCode.AUTH_TIMEOUT))
        except Refused as refused:
            self._client.control(error(refused.code))
        except ConnectionClosed as closed:
            _log.info("client gone", reason=str(closed))
        except Exception:
            self._client.control(error(ErrorCode.INTERNAL_ERROR))
            raise

    def _refuse_by_fault(self, codes: frozenset[int], who: Who) -> None:
        code = self._disturbances.refusal(codes, who)
        if code is not None:
            raise Refused(code)

    async def _credentials(self) -> tuple[str, str]:
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

    async def _serve(self, who: Who) -> None:
        client, missed = self._client, self._feed.missed
        client.control(success("authenticated"))
        self._feed.clients.add(client)
        try:
            with self._disturbances.present(client, who, missed):
                async for frame in self._connection:
                    self._answer(frame, who)
        finally:
            self._feed.leave(client)

    def _answer(self, frame: str | bytes, who: Who) -> None:
        subscription = self._client.subscription
        try:
            request = _subscription(self._client.decode(frame))
            self._refuse_by_fault(AT_REQUEST, who)
            subscription.change(request)
        except Refused as refused:
            self._client.control(error(refused.code))
            return
        self._leave_out(who)
        self._client.control(subscription.state())
        self._feed.missed.end(who, subscription)
        if subscription:
            self._feed.start()

    def _leave_out(self, who: Who) -> None:
        omitted = self._disturbances.omitted(who)
        if omitted:
            subscription = self._client.subscription
            self._feed.missed.begin(who, subscription, "omitted", symbols=omitted)
            subscription.leave_out(omitted)


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
