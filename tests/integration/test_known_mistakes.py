"""What producers of this kind were found to do wrong, each with the test that bars it.

| mistake | barred by |
| --- | --- |
| records that Kinesis refused are counted and dropped | ``test_sender``: only failed records go again with the same bytes |
| an exception clears the whole batch | ``test_sender``: an endpoint that is away loses nothing; records of one key are all stored whatever fails |
| a buffer is flushed only when another message comes | here: a lone message is sent |
| it gives up for ever after a few reconnects | here: it comes back however often |
| the backoff starts over when the socket opens, before the login | here: a refused login is no success |
| each reconnect recurses into the next | here: it comes back however often |
| a second connection on a plan that allows one | here: it comes back however often |
| no ping: a half-open link is never noticed | ``test_feed``: a link that answers no ping is half open |
| an open socket that is mute is never noticed | ``test_feed``: a mute connection is left; ``test_patience`` |
| what was sent while away is not fetched | ``test_gaps``: cuts, mutes and torn links are filled from REST |
| one log line per tick | here: ticks are not logged |
| keys in a log | here: ticks are not logged |
| local time stamped as UTC, with a literal %f | here: times are UTC whatever the time zone |
| control messages are sent on as data | ``test_protocol``: control messages are told from data |
| one partition key for a whole frame of mixed symbols | here: every symbol of a frame has its own key |
| distinct events of one millisecond are taken for one | here: events of one millisecond are all kept |
| history is fetched split-adjusted, the feed is raw | here: history is asked for raw prices |
| 390 bars a weekday are expected, holidays and half days are gaps | here: calendar |
| bars of extended hours hide real gaps | ``test_judgement``: a gap is judged by the rate of its own symbol and channel |
| corrections, cancels and halts are unknown | ``test_subscription``: corrections and cancels come with trades; ``test_rows``; ``test_relay``: types that can wait |
| a stream is read from its newest record after a restart, losses are no error | ``test_producer``: a producer on a new disk opens the gap from the last heartbeat |
| no failure is ever tested, no lag measured | ``tests/e2e/test_ingestion.py``; ``producer.json``: ``behind_ms`` |
"""

# ruff: noqa: E501 - each row of the table is one line

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve

from conf.market.envelope import unpack
from conf.market.market_hours import extended_sessions
from conf.market.rfc3339 import format_ns, parse_ns
from conf.settings import AlpacaSettings, Settings
from producer.batcher import Batcher, PartitionKeys, Record
from producer.gaps import Gap
from producer.history_pages import HistoryPages
from producer.history_process import Page
from producer.judgement import judge
from producer.market_clock import MarketClock
from producer.pipeline import Producer
from producer.protocol import decode
from producer.relay import Frame, Relay
from tests.integration.test_feed import TRADE, accept, reading, refuse

SECOND_NS = 1_000_000_000


async def produced(folder: Path, sent: str, copies: int) -> list[Record]:
    """Return what a producer stores of a server that speaks once and is silent."""

    async def talk(socket: ServerConnection) -> None:
        await accept(socket, trades=["AAPL"], quotes=[])
        for _ in range(copies):
            await socket.send(sent)
        await socket.wait_closed()

    stored: list[Record] = []

    def put(records: list[Record]) -> list[str | None]:
        stored.extend(records)
        return [None] * len(records)

    async with serve(talk, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        alpaca = AlpacaSettings(
            url=url, trades=["AAPL"], quotes=[], bars=[],
            api_key="the-key", secret_key="the-secret",  # pragma: allowlist secret
        )  # fmt: skip
        producer = Producer(Settings(var=folder, alpaca=alpaca), put, live=True)
        stop = asyncio.Event()
        running = asyncio.create_task(producer.run(stop))
        async with asyncio.timeout(20):
            while sum(_messages(stored)) < copies:
                await asyncio.sleep(0.01)
        stop.set()
        assert await running == 0
    return stored


def _messages(stored: list[Record]) -> Iterator[int]:
    for record in list(stored):
        header, lines = unpack(record.data)
        if header.kind == "data":
            yield len(lines)


async def test_a_lone_message_is_sent(tmp_path: Path):
    assert list(_messages(await produced(tmp_path, TRADE, 1))) == [1]


async def test_ticks_are_not_logged(tmp_path: Path):
    with capture_logs() as logged:
        await produced(tmp_path, TRADE, 500)
    assert len(logged) < 20
    assert "the-key" not in str(logged)
    assert "the-secret" not in str(logged)


async def test_it_comes_back_however_often():
    open_now: Counter[str] = Counter()
    most = 0

    async def conversation(socket: ServerConnection, number: int) -> None:
        nonlocal most
        open_now["sockets"] += 1
        most = max(most, open_now["sockets"])
        if number < 60:
            socket.transport.abort()
        else:
            await accept(socket)
            await socket.send(TRADE)
            await socket.wait_closed()
        open_now["sockets"] -= 1

    async with reading(conversation) as running:
        await running.frame()
        assert depth(running.task) < 10
    assert most == 1


def depth(task: asyncio.Task[Any]) -> int:
    """Return how many coroutines wait for each other."""
    waiting, count = task.get_coro(), 0
    while waiting is not None:
        waiting, count = getattr(waiting, "cr_await", None), count + 1
    return count


async def test_a_refused_login_is_no_success():
    refusals = 5

    async def conversation(socket: ServerConnection, number: int) -> None:
        if number <= refusals:
            await refuse(socket, 404)
            return
        await accept(socket)
        await socket.wait_closed()

    async with reading(conversation) as running:
        async with asyncio.timeout(10):
            while running.feed.state != "live":
                await asyncio.sleep(0.01)
        assert running.feed._backoff.tries == refusals


def test_times_are_utc_whatever_the_time_zone(monkeypatch: pytest.MonkeyPatch):
    time_ns = parse_ns("2026-07-01T13:30:00.123456789Z")
    for zone in ("America/New_York", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert format_ns(time_ns) == "2026-07-01T13:30:00.123456789Z"
        assert parse_ns(format_ns(time_ns)) == time_ns
    monkeypatch.undo()
    time.tzset()


def relayed(messages: list[dict[str, Any]]) -> list[Record]:
    frame = Frame("e", 0, 1, json.dumps(messages).encode())
    batcher = Batcher(linger_ms=100, max_messages=200, max_bytes=25_000)
    keys = PartitionKeys(["AAPL", "KO", "BA"])
    relay = Relay("test", MarketClock(live=True), keys, batcher, late_after_s=120)
    closed = relay.add(frame, decode(frame.payload, "json").messages, 0.0)
    return closed + batcher.close_all()


def test_every_symbol_of_a_frame_has_its_own_key():
    symbols = ["AAPL", "KO", "AAPL", "BA"]
    records = relayed([{"T": "t", "S": symbol, "i": 1} for symbol in symbols])
    held = {
        record.partition_key: [
            json.loads(bytes(line.message))["S"] for line in unpack(record.data)[1]
        ]
        for record in records
    }
    assert held == {"AAPL": ["AAPL", "AAPL"], "KO": ["KO"], "BA": ["BA"]}


def test_events_of_one_millisecond_are_all_kept():
    at = "2026-11-20T15:00:00.001Z"
    trades = [{"T": "t", "S": "KO", "i": n, "p": 1, "t": at} for n in range(16)]
    quote = {"T": "q", "S": "KO", "bp": 1, "ap": 2, "t": at}
    (record,) = relayed([*trades, quote, quote])
    lines = unpack(record.data)[1]
    assert [json.loads(bytes(line.message)) for line in lines[:16]] == trades
    assert [line.occurrence for line in lines[16:]] == [0, 1]


class Asked:
    """Stands for the history process: notes what it is asked, knows nothing."""

    def __init__(self) -> None:
        self.queries: list[tuple[str, dict[str, str]]] = []

    async def page(self, resource: str, query: dict[str, str], _: float) -> Page:
        self.queries.append((resource, query))
        return Page({})


async def test_history_is_asked_for_raw_prices():
    asked: Any = Asked()
    history = HistoryPages(Settings(), asked)
    for resource in ("trades", "quotes", "bars"):
        pages = history.of(resource, ["KO"], SECOND_NS, 2 * SECOND_NS)
        assert [page async for page in pages] == [Page({})]
    assert {x: q.get("adjustment") for x, q in asked.queries} == {
        "trades": None,
        "quotes": None,
        "bars": "raw",
    }


@pytest.mark.parametrize(
    ("begin", "state"),
    [
        ("2026-11-26T15:00:00Z", "closed_market"),  # Thanksgiving
        ("2026-11-27T21:55:00Z", None),  # half day, just before 17:00 New York
        ("2026-11-27T22:00:00Z", "closed_market"),  # half day, after it
        ("2026-11-30T22:00:00Z", None),  # a Monday's extended hours
        ("2026-10-30T08:00:00Z", None),  # 04:00 New York in summer time
        ("2026-11-02T08:00:00Z", "closed_market"),  # 03:00 after the clocks changed
        ("2026-11-28T15:00:00Z", "closed_market"),  # Saturday
    ],
)
def test_calendar(begin: str, state: str | None):
    sessions = extended_sessions("2026-10-29", "2026-12-01")
    from_ns = parse_ns(begin)
    gap = Gap("e", "cut", "trades", "KO", from_ns, from_ns + 60 * SECOND_NS)
    verdict = judge(gap, 0, per_s=1.0, sessions=sessions, is_halted=False)
    assert verdict.state == state
