"""The paper account, as unmodified alpaca-py trading clients use it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect

from tests.integration.alpaca_py import (
    APIError,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    OrderSide,
    QueryOrderStatus,
    TimeInForce,
    TradingClient,
    TradingStream,
)
from tests.integration.simulated import order_fault, simulated

DAY = {"time_in_force": TimeInForce.DAY}


class Trader:
    """A trading client and its stream, used from an event loop."""

    def __init__(self, port: int) -> None:
        url = f"http://127.0.0.1:{port}"
        self._client = TradingClient("key", "secret", url_override=url)
        self.updates: list[Any] = []

    async def __call__(self, name: str, *arguments: object) -> Any:
        """Call a method of the client beside the event loop."""
        return await asyncio.to_thread(getattr(self._client, name), *arguments)

    async def keep(self, update: Any) -> None:
        self.updates.append(update)

    async def events(self, order: Any, last: str) -> list[str]:
        """Return an order's events up to the given one."""
        async with asyncio.timeout(15):
            while True:
                own = [str(u.event) for u in self.updates if u.order.id == order.id]
                if own and own[-1] == last:
                    return own
                await asyncio.sleep(0.01)


@asynccontextmanager
async def trading(**chosen: object) -> AsyncIterator[tuple[Trader, int]]:
    async with simulated(rate_per_s=600, symbols=["KO", "AAPL"], **chosen) as port:
        trader = Trader(port)
        url = f"ws://127.0.0.1:{port}/stream"
        stream = TradingStream("key", "secret", url_override=url)
        stream.subscribe_trade_updates(trader.keep)
        running = asyncio.create_task(asyncio.to_thread(stream.run))
        async with asyncio.timeout(10):
            while not stream._running:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        try:
            yield trader, port
        finally:
            # its loop looks at the request to stop after a message, or five seconds
            await asyncio.to_thread(stream.stop)
            await trader("submit_order", _market("KO", 1))
            await running


def _market(symbol: str, qty: float, side: OrderSide = OrderSide.BUY) -> Any:
    return MarketOrderRequest(symbol=symbol, qty=qty, side=side, **DAY)


def _limit(symbol: str, price: float, qty: float = 10, **more: Any) -> Any:
    chosen = {"side": OrderSide.BUY, **DAY, **more}
    return LimitOrderRequest(symbol=symbol, qty=qty, limit_price=price, **chosen)


async def test_an_order_is_filled_and_becomes_a_position(tmp_path: Path):
    async with trading(truth_dir=tmp_path) as (trader, _):
        before = await trader("get_account")
        bought = await trader("submit_order", _market("KO", 5))
        events = await trader.events(bought, "fill")
        filled = await trader("get_order_by_id", bought.id)
        position = await trader("get_open_position", "KO")
        during = await trader("get_account")
        sold = await trader("close_position", "KO")
        await trader.events(sold, "fill")
        positions = await trader("get_all_positions")
        after = await trader("get_account")
        updates = list(trader.updates)

    assert (before.cash, before.status.value) == ("100000", "ACTIVE")
    assert bought.status.value == "pending_new"
    assert events == ["new", "fill"]
    price = float(filled.filled_avg_price)
    assert (filled.status.value, filled.filled_qty) == ("filled", "5")
    assert float(during.cash) == pytest.approx(100_000 - 5 * price)
    assert float(during.equity) == pytest.approx(100_000, abs=5)
    assert (position.qty, position.side.value) == ("5", "long")
    assert float(position.avg_entry_price) == price
    assert positions == []
    assert after.cash == after.equity
    fill = next(update for update in updates if update.event == "fill")
    assert (fill.price, fill.qty, fill.position_qty) == (price, 5, 5)
    assert fill.execution_id
    kept = [
        json.loads(line)
        for line in (tmp_path / "trade_updates.jsonl").read_text().splitlines()
    ]
    assert [each["message"]["data"]["event"] for each in kept[:2]] == events
    assert {each["heard"] for each in kept[:4]} == {1}


async def test_a_large_order_is_filled_in_parts():
    async with trading() as (trader, _):
        order = await trader("submit_order", _limit("KO", 70, 1_000))
        events = await trader.events(order, "fill")
        parts = [u for u in trader.updates if u.order.id == order.id][1:]

    assert events[0] == "new"
    assert set(events[1:-1]) == {"partial_fill"}
    assert sum(part.qty for part in parts) == 1_000
    assert [part.position_qty for part in parts] == sorted(
        part.position_qty for part in parts
    )
    assert all(part.price <= 70 for part in parts)


async def test_a_limit_order_rests_until_it_is_cancelled():
    async with trading() as (trader, _):
        mine = str(uuid4())
        order = await trader("submit_order", _limit("AAPL", 100, client_order_id=mine))
        await trader.events(order, "new")
        working = await trader("get_orders")
        assert (await trader("get_order_by_client_id", mine)).id == order.id
        account = await trader("get_account")
        await trader("cancel_order_by_id", order.id)
        events = await trader.events(order, "canceled")
        with pytest.raises(APIError, match="canceled"):
            await trader("cancel_order_by_id", order.id)
        with pytest.raises(APIError, match="unique"):
            await trader("submit_order", _limit("KO", 1, client_order_id=mine))
        closed = await trader(
            "get_orders", GetOrdersRequest(status=QueryOrderStatus.CLOSED)
        )

    assert [each.id for each in working] == [order.id]
    assert float(account.buying_power) == 200_000 - 10 * 100
    assert events == ["new", "canceled"]
    assert [each.status.value for each in closed] == ["canceled"]
    assert closed[0].canceled_at >= closed[0].submitted_at


async def test_all_orders_are_cancelled_at_once():
    async with trading() as (trader, _):
        orders = [await trader("submit_order", _limit("KO", 1)) for _ in range(3)]
        answers = await trader("cancel_orders")
        for order in orders:
            assert await trader.events(order, "canceled")

    assert {each.status for each in answers} == {200}
    assert {each.id for each in answers} == {order.id for order in orders}


async def test_an_immediate_order_is_never_left_working():
    async with trading() as (trader, _):
        ioc = {"time_in_force": TimeInForce.IOC}
        fok = {"time_in_force": TimeInForce.FOK}
        far = await trader("submit_order", _limit("KO", 1, **ioc))
        much = await trader("submit_order", _limit("KO", 70, 1_200, **fok))

        assert await trader.events(far, "canceled") == ["new", "canceled"]
        assert await trader.events(much, "canceled") == ["new", "canceled"]


async def test_an_order_is_rejected_when_told_to():
    async with trading() as (trader, port):
        await order_fault(port, kind="reject", count=1)
        order = await trader("submit_order", _market("KO", 5))

        assert await trader.events(order, "rejected") == ["rejected"]
        rejected = await trader("get_order_by_id", order.id)
        assert rejected.failed_at is not None


async def test_a_short_sale_and_its_cover():
    async with trading() as (trader, _):
        sale = await trader("submit_order", _market("KO", 5, OrderSide.SELL))
        await trader.events(sale, "fill")
        position = await trader("get_open_position", "KO")
        cover = await trader("submit_order", _market("KO", 8))
        await trader.events(cover, "fill")
        turned = await trader("get_open_position", "KO")

    assert (position.qty, position.side.value) == ("-5", "short")
    assert (turned.qty, turned.side.value) == ("3", "long")


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (_market("XYZ", 1), "not found"),
        (_limit("KO", 63.123), "sub-penny"),
        (_limit("KO", 60, 1e6), "insufficient buying power"),
        (_limit("KO", 60, -1), "qty"),
        (
            MarketOrderRequest(symbol="KO", notional=5, side=OrderSide.BUY, **DAY),
            "notional|qty",
        ),
    ],
)
async def test_an_order_that_cannot_be(order: Any, message: str):
    async with simulated(symbols=["KO"]) as port:
        with pytest.raises(APIError, match=message):
            await Trader(port)("submit_order", order)


async def test_what_is_not_there_is_not_found():
    async with simulated(symbols=["KO"]) as port:
        trader = Trader(port)
        assert (await trader("get_asset", "KO")).tradable
        for name, argument in (
            ("get_open_position", "KO"),
            ("get_order_by_id", str(uuid4())),
            ("get_asset", "XYZ"),
        ):
            with pytest.raises(APIError, match="not"):
                await trader(name, argument)


async def test_the_stream_speaks_binary_and_asks_for_a_login_first():
    async with (
        simulated() as port,
        connect(f"ws://127.0.0.1:{port}/stream") as client,
    ):

        async def ask(request: object) -> Any:
            await client.send(json.dumps(request))
            answer = await client.recv()
            assert isinstance(answer, bytes)
            return json.loads(answer)

        listen = {"action": "listen", "data": {"streams": ["trade_updates", "x"]}}
        assert (await ask(listen))["stream"] == "error"
        keys = {"key_id": "key", "secret_key": "s"}  # pragma: allowlist secret
        login = {"action": "authenticate", "data": keys}
        assert await ask(login) == {
            "stream": "authorization",
            "data": {"status": "authorized", "action": "authenticate"},
        }
        assert await ask(listen) == {
            "stream": "listening",
            "data": {"streams": ["trade_updates"]},
        }
        assert (await ask(["sing"]))["stream"] == "error"


async def test_a_wrong_key_is_not_authorized():
    async with (
        simulated() as port,
        connect(f"ws://127.0.0.1:{port}/stream") as client,
    ):
        login = {"action": "auth", "key": "wrong", "secret": "s"}
        await client.send(json.dumps(login))  # pragma: allowlist secret
        answer = json.loads(await client.recv())
        await client.wait_closed()

    assert answer["data"]["status"] == "unauthorized"
