"""Orders of the paper account reach the stream, and silver takes them.

The simulator, alpaca-py's trading client and the producer are the real ones; the stream
is a list.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyspark.sql import SparkSession

from conf.lake.spark_schema import spark_schema
from conf.lake.tables import RECORDS
from conf.market.envelope import unpack
from conf.market.rfc3339 import parse_ns
from producer.batcher import Record
from producer.recording import Recording
from silver.messages import to_messages
from tests.integration.alpaca_py import (
    LimitOrderRequest,
    MarketOrderRequest,
    OrderSide,
    TimeInForce,
    TradingClient,
)
from tests.integration.simulated import order_fault
from tests.integration.test_gaps import Run, gaps, market, settings

KEY = "simulator"
ACCOUNT = {"trade_updates": True}
TERMS = {"symbol": "KO", "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
BOUGHT = MarketOrderRequest(qty=5, **TERMS)
RESTING = LimitOrderRequest(qty=5, limit_price=1, **TERMS)


class Told:
    """The order updates in the stream."""

    def __init__(self, stream: list[Record]) -> None:
        self._stream = stream

    def records(self) -> list[Record]:
        opened = ((record, unpack(record.data)[0]) for record in self._stream)
        return [x for x, header in opened if header.source == "simulator/trade_updates"]

    def of(self, order: Any) -> list[tuple[str, str]]:
        """Return an order's events, each with the kind of its record."""
        return [
            (header.kind, data["event"])
            for header, data in map(_opened, self.records())
            if data["order"]["id"] == str(order.id)
        ]

    async def until(self, order: Any, last: str) -> None:
        async with asyncio.timeout(40):
            while last not in {event for _, event in self.of(order)}:
                await asyncio.sleep(0.05)


def _opened(record: Record) -> tuple[Any, dict[str, Any]]:
    header, (line,) = unpack(record.data)
    return header, json.loads(bytes(line.message))["data"]


def with_account(folder: Path, port: int) -> Any:
    chosen = settings(folder, port)
    alpaca = chosen.alpaca.model_copy(update=ACCOUNT)
    return chosen.model_copy(update={"alpaca": alpaca})


@pytest.mark.spark
async def test_orders_are_told_also_those_of_an_outage(
    tmp_path: Path, spark: SparkSession
):
    stream: list[Record] = []
    told = Told(stream)
    async with market(tmp_path) as port:
        client = TradingClient(KEY, KEY, url_override=f"http://127.0.0.1:{port}")
        run = Run(with_account(tmp_path, port), stream)
        await run.until(lambda status: status.account_state == "live")
        await run.until(lambda status: status.messages_total > 200)
        filled = await asyncio.to_thread(client.submit_order, BOUGHT)
        resting = await asyncio.to_thread(client.submit_order, RESTING)
        await told.until(filled, "fill")
        await told.until(resting, "new")

        await order_fault(port, kind="cut", feed="/stream", for_s=1.5)
        await run.until(lambda status: status.account_state == "backoff")
        hidden = await asyncio.to_thread(client.submit_order, BOUGHT)
        await asyncio.to_thread(client.cancel_order_by_id, resting.id)
        await told.until(hidden, "fill")
        await told.until(resting, "canceled")
        await run.until(lambda status: status.gaps_unsettled == 0)
        status = run.producer.status()
        await run.drain()

    assert (status.connections, status.account_connections) == (1, 2)
    assert told.of(filled) == [("data", "new"), ("data", "fill")]
    assert told.of(resting) == [("data", "new"), ("backfill", "canceled")]
    assert told.of(hidden) == [("backfill", "new"), ("backfill", "fill")]
    assert [(x["channel"], x["S"], x["cause"], x["state"]) for x in gaps(stream)] == [
        ("trade_updates", "*", "cut", "opened"),
        ("trade_updates", "*", "cut", "backfilled"),
    ]
    assert gaps(stream)[1]["rows"] == 3
    assert heard(tmp_path) == [data for kind, data in kept(told) if kind == "data"]
    rows = taken_by_silver(spark, told.records())
    assert {row["table"] for row in rows} == {"silver.orders"}
    assert len({row["key"] for row in rows}) == len(told.records()) == 6


async def test_in_a_replay_an_update_is_not_of_the_future(tmp_path: Path):
    """The account's clock goes on where a thin recording is silent for a while."""
    quotes_of_one_symbol(tmp_path / "recording", apart_s=30)
    stream: list[Record] = []
    told = Told(stream)
    async with market(tmp_path, replay=tmp_path / "recording", speed=20) as port:
        client = TradingClient(KEY, KEY, url_override=f"http://127.0.0.1:{port}")
        run = Run(with_account(tmp_path, port), stream, live=False)
        await run.until(lambda status: status.account_state == "live")
        await run.until(lambda status: status.messages_total > 1)
        for _ in range(3):
            filled = await asyncio.to_thread(client.submit_order, BOUGHT)
            await told.until(filled, "fill")
        await run.drain()
    lines = [unpack(record.data)[1][0] for record in told.records()]
    assert len(lines) == 6
    for line in lines:
        event_ns = parse_ns(json.loads(bytes(line.message))["data"]["timestamp"])
        assert line.market_time_ns >= event_ns


def quotes_of_one_symbol(folder: Path, apart_s: int) -> None:
    recording = Recording(folder)
    start = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    for n in range(40):
        at = start + timedelta(seconds=n * apart_s)
        quote = {"T": "q", "S": "KO", "t": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
        quote |= {"bx": "V", "bp": 60.0, "bs": 100, "ax": "V", "ap": 60.1, "as": 100}
        quote |= {"c": ["R"], "z": "A"}
        recording.add(json.dumps(quote).encode())
    recording.write()


def kept(told: Told) -> list[tuple[str, dict[str, Any]]]:
    return [(header.kind, data) for header, data in map(_opened, told.records())]


def heard(folder: Path) -> list[dict[str, Any]]:
    """Return the updates that the simulator knows to have been heard."""
    path = folder / "truth" / "trade_updates.jsonl"
    rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    return [row["message"]["data"] for row in rows if row["heard"]]


def taken_by_silver(spark: SparkSession, records: list[Record]) -> list[Any]:
    now = datetime.now(UTC)
    rows = [
        (now, "shardId-0", str(n), record.partition_key, now, record.data, now.date())
        for n, record in enumerate(records)
    ]
    frame = spark.createDataFrame(rows, spark_schema(RECORDS))
    return to_messages(frame, future_max_s=5, late=True).collect()
