"""Decisions become orders of the simulator's paper account, each of them once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import structlog
from deltalake import write_deltalake

from conf.errors import FixSetup, RetryLater
from conf.lake.create import ensure_tables
from conf.lake.periodic import Offsets
from conf.lake.roots import table_uri
from conf.lake.streams import BatchReport
from conf.lake.tables import SIGNALS
from conf.settings import ROOT, AlpacaSettings, LakeSettings, OrdersSettings, Settings
from infra.paper_account import PaperAccount
from infra.paper_orders import QUERY, PaperOrders, start
from tests.integration.alpaca_py import (
    GetOrdersRequest,
    QueryOrderStatus,
    TradingClient,
)
from tests.integration.simulated import free_port, simulated

SYMBOLS = ["AAPL", "KO", "SPY"]
START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = "simulator"
NUMBERS = (pa.float64(), pa.int32(), pa.int64())


class Desk:
    """A lake with signals, and who sends them to an account."""

    def __init__(self, folder: Path, port: int) -> None:
        root, checkpoints = str(folder / "lake"), str(folder / "checkpoints")
        self.lake = LakeSettings(root=root, checkpoints=checkpoints)
        ensure_tables(root, [SIGNALS])
        self.alpaca = AlpacaSettings(url=f"ws://127.0.0.1:{port}")
        self.chosen = OrdersSettings()
        self.now: datetime | None = START
        self.placed = 0
        self._client = TradingClient(
            KEY, KEY, url_override=f"http://127.0.0.1:{port}", raw_data=True
        )
        self.orders = self.open()

    def open(self) -> PaperOrders:
        """Begin, or begin again after the process ended."""
        account = PaperAccount(self.alpaca)
        return PaperOrders(
            self.lake, self.chosen, account, lambda: self.now, self._count
        )

    def decide(self, symbol: str, action: str | None, minute: float) -> str:
        """Let the market reach a minute and add a decision of it; return its id."""
        self.now = at = START + minute * MINUTE
        row: dict[str, Any] = {
            field.name: 1 if field.type in NUMBERS else ""
            for field in SIGNALS.schema
            if not field.nullable
        }
        row |= {
            "window_start": at - MINUTE,
            "window_end": at,
            "known_time": at,
            "day": at.date(),
            "features": [],
            "symbol": symbol,
            "signal_id": f"{symbol}/{minute}/v1",
            "action": action,
            "close": 100.0,
        }
        table = pa.Table.from_pylist([row], schema=SIGNALS.schema)
        write_deltalake(table_uri(self.lake.root, SIGNALS), table, mode="append")
        return f"{symbol}/{minute}/v1"

    def forget_offsets(self) -> None:
        """Let all signals be read again."""
        Offsets(self.lake, QUERY).write({SIGNALS.name: 0})

    def ordered(self) -> list[dict[str, Any]]:
        """Return every order of the account, oldest first."""
        every = GetOrdersRequest(status=QueryOrderStatus.ALL, direction="asc")
        return list(self._client.get_orders(every))

    def ids(self) -> list[str]:
        return [order["client_order_id"] for order in self.ordered()]

    async def look(self) -> None:
        await asyncio.to_thread(self.orders.look)

    async def until(self, met: Callable[[dict[str, int]], bool]) -> None:
        """Wait until what the account holds meets a condition, and nothing works."""
        async with asyncio.timeout(20):
            while True:
                held = await asyncio.to_thread(PaperAccount(self.alpaca).held)
                orders = await asyncio.to_thread(self.ordered)
                ended = {order["status"] for order in orders} <= {"filled", "canceled"}
                if met(held) and ended:
                    return
                await asyncio.sleep(0.05)

    def _count(self, report: BatchReport) -> None:
        self.placed += report.rows


@asynccontextmanager
async def a_desk(folder: Path) -> AsyncIterator[Desk]:
    async with simulated(symbols=SYMBOLS, rate_per_s=300) as port:
        yield await asyncio.to_thread(Desk, folder, port)


@pytest.fixture
def said() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


async def test_a_decision_is_one_order_whatever_is_read_again(tmp_path: Path):
    async with a_desk(tmp_path) as desk:
        bought = {desk.decide(symbol, "BUY", 1) for symbol in ("AAPL", "KO")}
        desk.decide("SPY", "HOLD", 1)
        desk.decide("SPY", None, 1)
        await desk.look()
        await desk.look()
        await desk.until(lambda held: held.keys() == {"AAPL", "KO"})
        orders = await asyncio.to_thread(desk.ordered)
        assert {order["client_order_id"] for order in orders} == bought
        assert {(o["type"], o["qty"], o["side"]) for o in orders} == {
            ("market", "20", "buy")
        }

        desk.orders = desk.open()
        await desk.look()
        sold = desk.decide("AAPL", "SELL", 2)
        await desk.look()
        await desk.until(lambda held: held.keys() == {"KO"})
        assert await asyncio.to_thread(desk.ids) == [*sorted(bought), sold]

        # As if it had been killed between the order and its note, again and again.
        desk.now, desk.chosen = START + MINUTE, OrdersSettings(lapse_after_s=120)
        for _ in range(2):
            desk.forget_offsets()
            desk.orders = desk.open()
            await desk.look()
        assert await asyncio.to_thread(desk.ids) == [*sorted(bought), sold]
        assert desk.placed == 3


async def test_what_nobody_takes_waits_and_then_lapses(tmp_path: Path, said: list[Any]):
    desk = await asyncio.to_thread(Desk, tmp_path, port := free_port())
    desk.decide("AAPL", "BUY", 1)
    await desk.look()
    assert [line["event"] for line in said] == ["orders wait"]
    later = desk.decide("KO", "BUY", 2)
    desk.orders = desk.open()
    async with simulated(port=port, symbols=SYMBOLS):
        await desk.look()
        assert await asyncio.to_thread(desk.ids) == [later]
    lapsed = [line["signal"] for line in said if line["event"] == "lapsed"]
    assert lapsed == ["AAPL/1/v1"]


async def test_of_two_that_wait_the_newer_is_sent_and_the_other_named(
    tmp_path: Path, said: list[Any]
):
    desk = await asyncio.to_thread(Desk, tmp_path, port := free_port())
    older = desk.decide("AAPL", "BUY", 1)
    await desk.look()
    newer = desk.decide("AAPL", "BUY", 1.25)
    async with simulated(port=port, symbols=SYMBOLS):
        await desk.look()
        assert await asyncio.to_thread(desk.ids) == [newer]
    told = [line for line in said if line["event"] == "superseded"]
    assert [(line["signal"], line["by"]) for line in told] == [(older, newer)]


async def test_decisions_of_another_time_are_not_sent(tmp_path: Path):
    async with a_desk(tmp_path) as desk:
        for days in (-1, 1, 3000):
            desk.decide("AAPL", "BUY", 1)
            desk.now = START + timedelta(days=days)
            await desk.look()
        desk.decide("AAPL", "BUY", 1)
        desk.now = None
        await desk.look()
        assert await asyncio.to_thread(desk.ids) == []


async def test_an_order_that_is_refused_stops_no_other(tmp_path: Path, said: list[Any]):
    async with a_desk(tmp_path) as desk:
        desk.decide("TSLA", "BUY", 1)
        desk.decide("AAPL", "SELL", 1)
        taken = desk.decide("KO", "BUY", 1)
        await desk.look()
        assert await asyncio.to_thread(desk.ids) == [taken]
    why = {line["signal"]: line["why"] for line in said if line["event"] == "no order"}
    assert "asset" in why["TSLA/1/v1"]
    assert why["AAPL/1/v1"] == "nothing is held"


async def test_no_query_without_switch_account_and_keys(tmp_path: Path):
    on = OrdersSettings(enabled=True)
    with pytest.raises(FixSetup, match="Set TICKHOUSE_ORDERS__ENABLED=true"):
        start(Settings(), lambda _: None)
    live = AlpacaSettings(account_url="wss://api.alpaca.markets/stream")
    with pytest.raises(FixSetup, match="no paper account"):
        start(Settings(orders=on, alpaca=live), lambda _: None)
    nobody = AlpacaSettings(url=f"ws://127.0.0.1:{free_port()}")
    with pytest.raises(RetryLater):
        start(Settings(orders=on, alpaca=nobody), lambda _: None)
    async with simulated(symbols=SYMBOLS) as port:
        stranger = AlpacaSettings(url=f"ws://127.0.0.1:{port}", api_key="wrong")
        chosen = Settings(orders=on, alpaca=stranger)
        with pytest.raises(FixSetup, match="refuses"):
            await asyncio.to_thread(start, chosen, lambda _: None)


def test_who_asks_for_help_sends_nothing(tmp_path: Path):
    chosen = {"TICKHOUSE_VAR": str(tmp_path), "TICKHOUSE_ORDERS__ENABLED": "true"}
    asked = subprocess.run(
        [sys.executable, "-m", "infra.paper_orders", "--help"],
        cwd=ROOT,
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Off unless ``orders.enabled``" in asked.stdout
    assert list(tmp_path.iterdir()) == []
