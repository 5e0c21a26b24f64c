"""The accounts of all keys: who listens to them, and their part of the HTTP API."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec

from conf.market import wire
from conf.market.rfc3339 import parse_ns
from producer.simulator.batch import Batch, Route
from producer.simulator.disturbances import Disturbances
from producer.simulator.listing import TEST_SYMBOL
from producer.simulator.paper.account import PaperAccount, Quote, quote_from
from producer.simulator.paper.orders import (
    PaperOrder,
    RefusedRequest,
    Wanted,
    asset_id,
    parse_order,
)
from producer.simulator.peer import Peer
from producer.simulator.record import Record

STREAM = "trade_updates"
Answer = tuple[HTTPStatus, Any]


class Broker:
    """Keeps one account per key; each comes into being with its first request.

    Args:
        symbols: What can be traded, beside what a recording quotes.
        latest: The newest message of each route of the market.
        clock: Market time, epoch ns.
        record: Keeps every order update.
        disturbances: May reject an order.
        start: Begins the market: an order needs quotes.
    """

    def __init__(
        self,
        symbols: list[str],
        latest: dict[Route, bytes],
        clock: Callable[[], int],
        record: Record,
        disturbances: Disturbances,
        start: Callable[[], None],
    ) -> None:
        self._symbols = set(symbols)
        self._latest = latest
        self._clock = clock
        self._record = record
        self._disturbances = disturbances
        self._start = start
        self._accounts: dict[str, PaperAccount] = {}
        self._listeners: defaultdict[str, set[Peer]] = defaultdict(set)

    def listen(self, key: str, peer: Peer, *, on: bool) -> None:
        """Let a connection hear of a key's orders from now on, or no more."""
        if on:
            self._listeners[key].add(peer)
        else:
            self._listeners[key].discard(peer)

    def match(self, _part: Batch) -> None:
        """Hold every order against the newest quotes."""
        for account in self._accounts.values():
            account.match()

    def answer(
        self, key: str, method: str, path: list[str], query: dict[str, str], body: bytes
    ) -> Answer:
        """Answer one request below ``/v2``.

        Raises:
            RefusedRequest: With the status and the body of the answer.
        """
        account = self._account(key)
        match method, path:
            case "GET", ["account"]:
                return HTTPStatus.OK, account.as_wire()
            case _, [resource, *_] if resource.startswith("orders"):
                return self._orders(account, method, path, query, body)
            case "GET", ["positions"]:
                return HTTPStatus.OK, account.positions()
            case "GET", ["positions", symbol]:
                return HTTPStatus.OK, account.position(symbol)
            case "DELETE", ["positions", symbol]:
                return HTTPStatus.OK, self._close(account, symbol).as_wire()
            case "GET", ["assets", symbol] if self._lists(symbol):
                return HTTPStatus.OK, _asset(symbol)
        raise RefusedRequest(HTTPStatus.NOT_FOUND, 40410000, "endpoint not found")

    def _orders(
        self,
        account: PaperAccount,
        method: str,
        path: list[str],
        query: dict[str, str],
        body: bytes,
    ) -> Answer:
        match method, path:
            case "POST", ["orders"]:
                wanted = parse_order(body, self._lists)
                return HTTPStatus.OK, self._submit(account, wanted).as_wire()
            case "GET", ["orders"]:
                return HTTPStatus.OK, _listed(account, query)
            case "GET", ["orders:by_client_order_id"]:
                wanted_id = query.get("client_order_id", "")
                return HTTPStatus.OK, _by_client_id(account, wanted_id).as_wire()
            case "GET", ["orders", order_id]:
                return HTTPStatus.OK, _order(account, order_id).as_wire()
            case "DELETE", ["orders", order_id]:
                account.cancel(_order(account, order_id))
                return HTTPStatus.NO_CONTENT, None
            case "DELETE", ["orders"]:
                return HTTPStatus.MULTI_STATUS, _cancel_all(account)
        raise RefusedRequest(HTTPStatus.NOT_FOUND, 40410000, "endpoint not found")

    def _lists(self, symbol: str) -> bool:
        """Tell whether a symbol can be traded; a recording names its own by quotes."""
        is_quoted = ("q", symbol) in self._latest and symbol != TEST_SYMBOL
        return is_quoted or symbol in self._symbols

    def _account(self, key: str) -> PaperAccount:
        if key not in self._accounts:
            self._accounts[key] = PaperAccount(
                key, self._quote, self._clock, lambda update: self._tell(key, update)
            )
        return self._accounts[key]

    def _submit(self, account: PaperAccount, wanted: Wanted) -> PaperOrder:
        self._start()
        order = account.submit(wanted)
        is_rejected = self._disturbances.rejects_order()
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: account.announce(order, rejected=is_rejected))
        return order

    def _close(self, account: PaperAccount, symbol: str) -> PaperOrder:
        account.position(symbol)
        shares = account.holdings[symbol].shares
        wanted = Wanted(
            symbol=symbol,
            side="sell" if shares > 0 else "buy",
            type="market",
            time_in_force="day",
            qty=abs(shares),
        )
        return self._submit(account, wanted)

    def _quote(self, symbol: str) -> Quote | None:
        message = self._latest.get(("q", symbol))
        return None if message is None else quote_from(message)

    def _tell(self, key: str, update: wire.OrderUpdate) -> None:
        message = msgspec.json.encode(wire.AccountMessage(STREAM, update))
        listening = [peer for peer in self._listeners[key] if peer.is_reachable]
        for peer in listening:
            peer.write(message, self._clock())
        self._record.add_update(key, message, heard=len(listening))


def _order(account: PaperAccount, order_id: str) -> PaperOrder:
    if order_id not in account.orders:
        raise RefusedRequest(404, 40410000, f"order not found for {order_id}")
    return account.orders[order_id]


def _by_client_id(account: PaperAccount, client_order_id: str) -> PaperOrder:
    for order in account.orders.values():
        if order.client_order_id == client_order_id:
            return order
    raise RefusedRequest(404, 40410000, f"order not found for {client_order_id}")


def _listed(account: PaperAccount, query: dict[str, str]) -> list[wire.Order]:
    status = query.get("status", "open")
    symbols = set(filter(None, query.get("symbols", "").split(",")))
    after_ns, until_ns = _moment(query.get("after")), _moment(query.get("until"))
    found = [
        order.as_wire()
        for order in account.orders.values()
        if status == "all" or order.is_open == (status == "open")
        if not symbols or order.wanted.symbol in symbols
        if after_ns is None or order.created_ns > after_ns
        if until_ns is None or order.created_ns < until_ns
    ]
    if query.get("direction", "desc") == "desc":
        found.reverse()
    return found[: int(query.get("limit") or 50)]


def _moment(text: str | None) -> int | None:
    try:
        return None if text is None else parse_ns(text)
    except ValueError as wrong:
        raise RefusedRequest(422, 42210000, f"{text!r} is no time: {wrong}") from wrong


def _cancel_all(account: PaperAccount) -> list[dict[str, Any]]:
    working = [order for order in account.orders.values() if order.is_open]
    for order in working:
        account.cancel(order)
    return [{"id": str(order.id), "status": HTTPStatus.OK} for order in working]


def _asset(symbol: str) -> dict[str, Any]:
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": "NASDAQ",
        "symbol": symbol,
        "name": f"{symbol} (simulated)",
        "status": "active",
        "tradable": True,
        "marginable": True,
        "shortable": True,
        "easy_to_borrow": True,
        "fractionable": True,
    }
