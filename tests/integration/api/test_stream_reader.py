"""The listener of `make smoke` against the real stream, as the process it is."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from api.stream import Hub
from conf.settings import ROOT, ApiSettings
from infra.local.shown import Shown, collect
from infra.local.stream_reader import read_heard
from tests.integration.api.serving import DEADLINE_S, Lake, serving
from tests.unit.api.live import Tail, record, stats, trade


async def test_it_finds_the_api_and_hears_on_after_a_restart(tmp_path: Path):
    api, out = tmp_path / "api.json", tmp_path / "stream.jsonl"
    options = ["--api", str(api), "--out", str(out)]
    command = [sys.executable, "-m", "infra.local.stream_reader", *options]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            for number in (1, 2):
                await one_life(api, out, number)
        finally:
            process.terminate()
        assert await asyncio.to_thread(process.wait, DEADLINE_S) == 0
    shown = collect(read_heard(out))
    assert {trade.price for trade in shown.trades} == {101.0, 102.0}
    assert all(trade.seen_ns for trade in shown.trades)
    assert [rows[-1]["trade_count"] for rows in shown.stats.values()] == [1, 2]


async def one_life(api: Path, out: Path, number: int) -> None:
    """Serve until the listener has heard of a trade and of its statistics."""
    tail, lake = Tail(), Lake()
    hub = Hub(tail, lake, ApiSettings())
    async with serving(hub) as url:
        api.write_text(json.dumps({"state": "live", "url": url}))
        publishing = asyncio.create_task(hub.run())
        async with asyncio.timeout(DEADLINE_S):
            while not hub.clients:
                await asyncio.sleep(0.02)
            tail.state.add(record(trade(number, 100.0 + number)))
            lake.stats = (number, [stats("AAPL", number)])
            tail.changed.set()
            while number not in heard(out).stats:
                await asyncio.sleep(0.02)
        publishing.cancel()


def heard(out: Path) -> Shown:
    return collect(read_heard(out)) if out.exists() else Shown()
