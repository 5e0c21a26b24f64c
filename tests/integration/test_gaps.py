"""Whatever is done to the connection: everything sent is stored, or named as lost.

The simulator, its REST and the producer are the real ones, in one event loop; the
stream is a list.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from conf.market.envelope import Line, unpack
from conf.market.rfc3339 import parse_ns
from conf.settings import AlpacaSettings, BackfillSettings, Settings
from producer import feed, patience
from producer.batcher import Record
from producer.pipeline import Producer
from tests.integration.simulated import (
    http,
    missed,
    order_fault,
    simulated,
    truth,
)

SYMBOLS = ["AAPL", "KO", "BA"]
SECOND_NS = 1_000_000_000
Route, Interval = tuple[str, str], tuple[int, int]
Message = tuple[str, int]
"""A message's JSON in order of its keys, and its number among identical quotes."""


class Run:
    """A producer that stores into a list, and can be killed."""

    def __init__(self, settings: Settings, stream: list[Record]) -> None:
        self._stream = stream
        self.producer = Producer(settings, self._put, live=True)
        self.producer.resume(None)
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self.producer.run(self._stop))

    def _put(self, records: list[Record]) -> list[str | None]:
        self._stream += records
        return [None] * len(records)

    async def finish(self, connections: int) -> int:
        """Let every gap be settled; return until when everything is owed, epoch ns."""
        await self.until(
            lambda x: x.connections >= connections and x.gaps_unsettled == 0
        )
        until_ns = time.time_ns() - SECOND_NS // 4
        await self.drain()
        return until_ns

    async def drain(self) -> None:
        self._stop.set()
        assert await self._task == 0

    async def kill(self) -> None:
        """End it where it is: what is not on disk or stored is gone."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, met: Callable[[Any], bool]) -> None:
        async with asyncio.timeout(40):
            while not met(self.producer.status()):
                await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead or mute connection is found fifteen times sooner."""
    monkeypatch.setattr(patience, "SHORTEST_S", 1.0)
    monkeypatch.setattr(feed, "_PROBE_AFTER_S", 0.3)
    monkeypatch.setattr(feed, "_PONG_WITHIN_S", 0.8)


def settings(folder: Path, port: int, **backfill: int) -> Settings:
    names = {"trades": SYMBOLS, "quotes": SYMBOLS, "bars": SYMBOLS}
    names |= {key: [] for key in ("updated_bars", "statuses", "lulds")}
    url = f"ws://127.0.0.1:{port}"
    alpaca = AlpacaSettings(url=url, reconnect_max_s=0.5, **names)
    return Settings(
        var=folder / "var", alpaca=alpaca, backfill=BackfillSettings(**backfill)
    )


@asynccontextmanager
async def market(folder: Path, **chosen: object) -> AsyncIterator[int]:
    names = {"symbols": SYMBOLS, "truth_dir": folder / "truth", "rate_per_s": 400}
    async with simulated(**{**names, **chosen}) as port:
        yield port


def lines(stream: list[Record], *kinds: str) -> list[Line]:
    opened = [unpack(record.data) for record in stream]
    return [line for header, body in opened if header.kind in kinds for line in body]


def stored(stream: list[Record]) -> set[Message]:
    return {
        (_sorted(bytes(line.message)), line.occurrence)
        for line in lines(stream, "data", "backfill")
    }


def check(folder: Path, stream: list[Record], until_ns: int) -> None:
    """Compare what is stored with what was due, whoever was there to read it.

    History also has the minutes before this market began, and a producer that was away
    just after one cannot know that nobody sent its bar.
    """
    rows = sorted(truth(folder / "truth") + missed(folder / "truth"))
    seen: Counter[str] = Counter()
    sent: dict[Message, int] = {}
    for due_ns, _, text in rows:
        message = _sorted(text)
        is_quote = '"T": "q"' in message
        sent[message, seen[message] if is_quote else 0] = due_ns
        seen[message] += 1
    found = stored(stream)
    assert {x for x, due_ns in sent.items() if due_ns < until_ns} <= found
    strange = found - sent.keys()
    assert {x for x in strange if not _closed_before(rows[0][0], x[0])} == set()


def _closed_before(began_ns: int, text: str) -> bool:
    message = json.loads(text)
    return message["T"] == "b" and parse_ns(message["t"]) + 60 * SECOND_NS <= began_ns


def _sorted(text: str | bytes) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def gaps(stream: list[Record]) -> list[dict[str, Any]]:
    return [json.loads(bytes(line.message)) for line in lines(stream, "gap")]


def intervals(stream: list[Record]) -> dict[Route, list[Interval]]:
    found: dict[Route, list[Interval]] = defaultdict(list)
    for gap in gaps(stream):
        if gap["state"] == "backfilled":
            interval = parse_ns(gap["from"]), parse_ns(gap["to"])
            found[gap["channel"], gap["S"]].append(interval)
    return {route: _merged(each) for route, each in found.items()}


def owed(missed: list[dict[str, Any]]) -> dict[Route, list[Interval]]:
    """Return the simulator's intervals, but the one after the producer's end."""
    found: dict[Route, list[Interval]] = defaultdict(list)
    for one in missed:
        if one["to_ns"] is not None:
            interval = one["from_ns"], one["to_ns"]
            found[one["channel"], one["symbol"]].append(interval)
    return {route: _merged(each) for route, each in found.items()}


def _merged(intervals: list[Interval]) -> list[Interval]:
    """Join what is less than a second apart: a link that thaws and then is cut."""
    joined: list[Interval] = []
    for begin, end in sorted(intervals):
        if joined and begin - joined[-1][1] < SECOND_NS:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


async def test_cuts_mutes_and_torn_links_are_filled_from_rest(tmp_path: Path):
    stream: list[Record] = []
    async with market(tmp_path) as port:
        run = Run(settings(tmp_path, port), stream)
        await run.until(lambda status: status.messages_total > 400)
        for fault in (
            {"kind": "cut", "for_s": 0.7},
            {"kind": "mute", "after_s": 2.5, "for_s": 1.5},
            {"kind": "half_open", "after_s": 5.5, "for_s": 1.5},
            {"kind": "torn_frame", "after_s": 8},
            {"kind": "error", "code": 407, "after_s": 9},
        ):
            await order_fault(port, **fault)
        until_ns = await run.finish(connections=6)
        _, missing, _ = await http(port, "GET", "/sim/missed")
    check(tmp_path, stream, until_ns)
    told = gaps(stream)
    assert {gap["state"] for gap in told} == {"opened", "backfilled"}
    causes = {gap["cause"] for gap in told}
    assert causes == {"cut", "mute", "half_open", "slow_client"}
    found, true = intervals(stream), owed(missing)
    assert found.keys() == true.keys()
    for route, near in found.items():
        assert len(near) == len(true[route])
        for told_interval, true_interval in zip(near, true[route], strict=True):
            for told_ns, true_ns in zip(told_interval, true_interval, strict=True):
                assert abs(told_ns - true_ns) < SECOND_NS


async def test_what_rest_withholds_is_lost(tmp_path: Path):
    stream: list[Record] = []
    patient = {"late_after_s": 1, "give_up_after_s": 3}
    async with market(tmp_path, rate_per_s=900) as port:
        run = Run(settings(tmp_path, port, **patient), stream)
        await run.until(lambda status: status.messages_total > 1_800)
        withheld = {"symbols": ["AAPL"], "channels": ["quotes"]}
        await order_fault(port, kind="withhold", for_s=9, **withheld)
        await order_fault(port, kind="cut", for_s=3)
        await run.until(lambda status: status.gaps_unsettled > 0)
        await run.until(lambda status: status.gaps_unsettled == 0)
        await run.drain()
    ends = {
        (gap["channel"], gap["S"]): gap["state"]
        for gap in gaps(stream)
        if gap["state"] not in ("opened", "late")
    }
    lost_routes = {route for route, state in ends.items() if state == "lost"}
    assert lost_routes == {("quotes", "AAPL")}
    assert len(ends) == 15
    (lost,) = (gap for gap in gaps(stream) if gap["state"] == "lost")
    assert lost["detail"].startswith("history has ")


async def test_a_killed_producer_leaves_no_hole(tmp_path: Path):
    stream: list[Record] = []
    async with market(tmp_path) as port:
        for reach in (200, 300, 400):
            run = Run(settings(tmp_path, port), stream)
            await run.until(lambda status, reach=reach: status.messages_total > reach)
            await run.kill()
        run = Run(settings(tmp_path, port), stream)
        until_ns = await run.finish(connections=1)
    check(tmp_path, stream, until_ns)
    assert {gap["cause"] for gap in gaps(stream)} == {"restart"}


async def test_a_symbol_left_out_is_filled_by_a_history_that_fails_at_first(
    tmp_path: Path,
):
    stream: list[Record] = []
    async with market(tmp_path) as port:
        await order_fault(port, kind="omit", symbols=["KO"], count=1)
        run = Run(settings(tmp_path, port), stream)
        await run.until(lambda status: status.messages_total > 200)
        await order_fault(port, kind="rest_error", code=500, count=1)
        await order_fault(port, kind="rest_error", code=429, count=1)
        await order_fault(port, kind="cut")
        until_ns = await run.finish(connections=2)
    check(tmp_path, stream, until_ns)
    told = gaps(stream)
    assert {gap["state"] for gap in told} == {"opened", "backfilled"}
    assert {gap["S"] for gap in told if gap["cause"] == "subscription"} == {"KO"}
