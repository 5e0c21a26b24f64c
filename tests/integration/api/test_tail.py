"""The tail on real processes: what it shows is what was sent, whatever happens."""

import asyncio
import json
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.shard_reader import Lane, ShardReader, StreamGone
from api.tail import Tail
from conf.kinesis import open_client
from conf.market.envelope import Line, encode_header, encode_line, pack
from conf.market.rfc3339 import format_ns, parse_ns
from conf.settings import Settings, load
from infra.local.kinesis import iterators
from infra.local.kinesis.iterators import ShardIterator
from tests.integration.producing import DEADLINE_S, STREAM, Pipeline

MINUTE_NS = 60 * 10**9
# Conditions of the simulated market, told apart by hand
NO_PRICE, OFFICIAL = {"I", "Z"}, {"M", "Q"}


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with ExitStack() as processes:
        yield Pipeline(tmp_path, processes)


def settings_of(pipeline: Pipeline) -> Settings:
    return load(kinesis__endpoint_url=pipeline.settings["KINESIS__ENDPOINT_URL"])


@asynccontextmanager
async def following(pipeline: Pipeline) -> AsyncIterator[Tail]:
    tail = Tail(settings_of(pipeline))
    task = asyncio.create_task(tail.run())
    try:
        yield tail
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def eventually(met: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not met():
            await asyncio.sleep(0.05)


def candles_of(trades: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Recount the minutes, each trade once; the trades are in the order of the feed."""
    known = {(t["S"], t["x"], t["i"], t["t"]): t for t in reversed(trades)}
    minutes = defaultdict(list)
    for trade in sorted(reversed(known.values()), key=lambda t: parse_ns(t["t"])):
        if not OFFICIAL & set(trade["c"]):
            start_ns = parse_ns(trade["t"]) // MINUTE_NS * MINUTE_NS
            minutes[trade["S"], start_ns].append(trade)
    candles = {}
    for key, members in minutes.items():
        prices = [t["p"] for t in members if not NO_PRICE & set(t["c"])]
        if prices:
            candles[key] = {
                "open": prices[0],
                "high": max(prices),
                "low": min(prices),
                "close": prices[-1],
                "volume": sum(t["s"] for t in members),
                "trade_count": len(members),
            }
    return candles


def shown(tail: Tail) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (c.symbol, parse_ns(c.window_start)): {
            name: getattr(c, name)
            for name in ("open", "high", "low", "close", "volume", "trade_count")
        }
        for c in tail.state.candles()
    }


def sent_trades(pipeline: Pipeline) -> list[dict[str, Any]]:
    (path,) = (pipeline.folder / "truth").glob("messages-*.tsv")
    sent = (line.split("\t", 2) for line in path.read_text().splitlines())
    messages = [json.loads(text) for _, flag, text in sent if flag != "m"]
    return [message for message in messages if message["T"] == "t"]


def differences(tail: Tail, expected: dict[tuple[str, int], Any]) -> list[Any]:
    found = shown(tail)
    return [
        (key, found.get(key), expected.get(key))
        for key in found.keys() | expected.keys()
        if found.get(key) != expected.get(key)
    ]


async def test_candles_are_those_of_all_trades_sent_also_after_a_restart(
    pipeline: Pipeline,
):
    """One tail waits for the stream, another begins in the middle of the market."""
    pipeline.settings |= {
        "SIMULATOR__STOP_AFTER_S": "8",
        "SIMULATOR__REPEATED_SHARE": "0.02",
        "SIMULATOR__OUT_OF_ORDER_SHARE": "0.02",
        "SIMULATOR__MALFORMED_SHARE": "0.01",
    }
    async with following(pipeline) as first:
        await eventually(lambda: first.status.state == "down")
        duplicates = ("--duplicate-rate", "0.05", "--seed", "3")
        await asyncio.to_thread(pipeline.start_kinesis, *duplicates)
        simulator = await asyncio.to_thread(pipeline.start_simulator)
        producer = pipeline.start_producer()
        await eventually(lambda: pipeline.has_read(4_000))
        async with following(pipeline) as second:
            await asyncio.to_thread(pipeline.finish, simulator, producer)
            expected = candles_of(sent_trades(pipeline))
            assert sum(c["trade_count"] for c in expected.values()) > 1_000
            for tail in (first, second):
                with suppress(TimeoutError):
                    await eventually(lambda t=tail: not differences(t, expected))
                assert differences(tail, expected) == []
            assert first.state.summaries() == second.state.summaries()
        assert first.status.state == "ok"
        assert first.latency.tail_p50_s
        assert first.latency.tail_p50_s < 1.5


async def test_a_killed_kinesis_comes_back_and_the_candles_are_whole(
    pipeline: Pipeline,
):
    kinesis = await asyncio.to_thread(pipeline.start_kinesis)
    simulator = await asyncio.to_thread(pipeline.start_simulator)
    producer = pipeline.start_producer()
    async with following(pipeline) as tail:
        await eventually(tail.state.candles)
        kinesis.send_signal(signal.SIGKILL)
        kinesis.wait()
        await eventually(lambda: tail.status.state == "down")
        await asyncio.to_thread(pipeline.start_kinesis)
        await asyncio.to_thread(pipeline.finish, simulator, producer)
        expected = candles_of(sent_trades(pipeline))
        with suppress(TimeoutError):
            await eventually(lambda: not differences(tail, expected))
        assert differences(tail, expected) == []
        assert tail.status.state == "ok"


class Market:
    """Puts records of one trade each into a stream of its own."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.client = open_client(settings_of(pipeline).kinesis)
        self._trades = 0
        self.client.create_stream(StreamName=STREAM, ShardCount=1)
        self.client.get_waiter("stream_exists").wait(StreamName=STREAM)

    def trade(self) -> None:
        now_ns = time.time_ns()
        self._trades += 1
        message = {
            "T": "t", "S": "AAPL", "i": self._trades, "x": "V", "p": 100.0, "s": 1,
            "t": format_ns(now_ns), "c": ["@"], "z": "C",
        }  # fmt: skip
        raw = json.dumps(message).encode()
        line = Line(self._trades, 0, now_ns, now_ns, message=msgspec.Raw(raw))
        data = pack(encode_header("data", "E1", "simulator/iex"), [encode_line(line)])
        self.client.put_record(
            StreamName=STREAM, Data=data, PartitionKey=f"k{self._trades}"
        )

    def shards(self) -> list[str]:
        listed = self.client.list_shards(StreamName=STREAM)
        return [shard["ShardId"] for shard in listed["Shards"]]


def counted(tail: Tail) -> int:
    return sum(candle.trade_count or 0 for candle in tail.state.candles())


async def test_a_used_up_read_budget_delays_and_loses_nothing(pipeline: Pipeline):
    await asyncio.to_thread(pipeline.start_kinesis)
    market = await asyncio.to_thread(Market, pipeline)
    (shard,) = market.shards()
    greedy = market.client.get_shard_iterator(
        StreamName=STREAM, ShardId=shard, ShardIteratorType="LATEST"
    )["ShardIterator"]
    async with following(pipeline) as tail:
        refused = 0
        for number in range(40):
            try:
                market.client.get_records(ShardIterator=greedy)
            except market.client.exceptions.ProvisionedThroughputExceededException:
                refused += 1
            if number % 4 == 0:
                market.trade()
            await asyncio.sleep(0.03)
        assert refused
        await eventually(lambda: counted(tail) == 10)
        assert tail.status.state == "ok"


async def test_an_expired_iterator_is_renewed_where_it_stopped(pipeline: Pipeline):
    await asyncio.to_thread(pipeline.start_kinesis, "--no-limits")
    market = await asyncio.to_thread(Market, pipeline)
    (shard,) = market.shards()
    lane = Lane(0.0)
    reader = ShardReader(market.client, STREAM, "emulator")
    market.trade()
    assert len(reader.read(shard, lane).payloads) == 1
    market.trade()
    lane.iterator = iterators.encode(ShardIterator(1, 0, issued_ms=0))
    assert len(reader.read(shard, lane).payloads) == 1
    assert reader.read(shard, lane).payloads == []


async def test_a_stream_that_is_gone_says_begin_anew(pipeline: Pipeline):
    await asyncio.to_thread(pipeline.start_kinesis)
    client = open_client(settings_of(pipeline).kinesis)
    reader = ShardReader(client, "no-such-stream", "emulator")
    with pytest.raises(StreamGone, match="emulator"):
        reader.shards()
    with pytest.raises(StreamGone):
        reader.read("shardId-000000000000", Lane(0.0))
