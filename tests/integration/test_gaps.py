"""Whatever is done to the connection: everything sent is stored, or named as lost.

The simulator, its REST and the producer are the real ones, in one event loop; the
stream is a list.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from conf.market.envelope import Line, unpack
from conf.market.gaps import GapTransition
from conf.settings import AlpacaSettings, BackfillSettings, Settings
from infra.local.ingestion.intervals import agreement
from infra.local.ingestion.judge import Stored, canonical, compare
from producer import feed, patience
from producer.batcher import Record
from producer.pipeline import Producer
from producer.simulator.missed import Interval
from tests.integration.simulated import http, order_fault, simulated

SYMBOLS = ["AAPL", "KO", "BA"]
SECOND_NS = 1_000_000_000


class Run:
    """A producer that stores into a list, and can be killed."""

    def __init__(
        self, settings: Settings, stream: list[Record], *, live: bool = True
    ) -> None:
        self._stream = stream
        self.producer = Producer(settings, self._put, live=live)
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


def stored(stream: list[Record]) -> Stored:
    found = lines(stream, "data", "backfill")
    events = {(canonical(bytes(line.message)), line.occurrence) for line in found}
    told = [convert(gap, GapTransition) for gap in gaps(stream)]
    return Stored(events, told, set(), len(found))


def check(folder: Path, stream: list[Record], until_ns: int) -> None:
    """Compare what is stored with what was due, whoever was there to read it."""
    verdict = compare(folder / "truth", stored(stream), until_ns)
    assert verdict.expected > 100
    assert (verdict.lost, verdict.duplicated, verdict.altered) == (0, 0, 0), verdict


def gaps(stream: list[Record]) -> list[dict[str, Any]]:
    return [json.loads(bytes(line.message)) for line in lines(stream, "gap")]


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
    spans = agreement(stored(stream).gaps, convert(missing, list[Interval]))
    assert spans.intervals >= 2 * 15
    # How close their ends are is measured where nothing else runs: ingestion.cuts.
    assert spans.unmatched == 0


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
