"""How fast the API answers while 4,096 rows a second are committed beside it.

``python -m tests.load.api_queries`` prints the figures as JSON. ``LOAD_MINUTES`` of
rows are there before (60: 14.7 million). For ``LOAD_SECONDS`` (60) the newest rows are
asked for, and for as long again beside a group-by over the whole day each two seconds,
which takes both cores for a moment.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec

from api.lake import Lake
from conf.lake.tables import TRADES
from conf.settings import ROOT

MINUTES = int(os.environ.get("LOAD_MINUTES", "60"))
RUN_S = float(os.environ.get("LOAD_SECONDS", "60"))
_GROUP_BY = """
SELECT symbol, count(*) AS trades, min(price), max(price), avg(price), var_samp(price)
FROM {rows} GROUP BY symbol
"""
_SYMBOLS = ("AAPL", "NVDA", "CSCO", "T")  # a quarter of the rows … a hundredth


@contextmanager
def running(*command: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module of ours; it ends with the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def served(var: Path, root: str) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """The API as a process of its own; yields a client and its process id."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    variables = {
        "TICKHOUSE_VAR": str(var),
        "TICKHOUSE_LAKE__ROOT": root,
        "TICKHOUSE_API__PORT": str(port),
    }
    url = f"http://127.0.0.1:{port}"
    with running("api", **variables) as process:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            deadline = time.monotonic() + 60
            while not await answers(client):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            yield client, process.pid


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def sample(each_s: float, ask: Callable[[int], Awaitable[None]]) -> list[float]:
    """Ask at a fixed pace; return the milliseconds of each, queueing included."""
    taken_ms, began = [], time.monotonic()
    for number in range(int(RUN_S / each_s)):
        due = began + number * each_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await ask(number)
        taken_ms.append((time.monotonic() - due) * 1000)
    return taken_ms


def quantiles_ms(taken_ms: list[float]) -> dict[str, float]:
    p95 = statistics.quantiles(taken_ms, n=20)[-1]
    found = {"p50": statistics.median(taken_ms), "p95": p95, "max": max(taken_ms)}
    return {name: round(value, 1) for name, value in found.items()}


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def measured(folder: Path) -> dict[str, object]:
    """Return quantiles of each question in ms, memory in MB, CPU in ms a request."""
    root = str(folder / "lake")
    with running("tests.load.ingesting", root, str(MINUTES)) as ingesting:
        assert ingesting.stdout is not None
        await asyncio.to_thread(ingesting.stdout.readline)
        async with served(folder, root) as (client, pid):
            lake = Lake(root)
            following = asyncio.create_task(lake.run())

            async def newest(kind: str, number: int) -> None:
                symbol = _SYMBOLS[number % len(_SYMBOLS)]
                answer = await client.get(f"/api/v1/{kind}?symbol={symbol}&limit=100")
                assert len(answer.json()["items"]) == 100

            async def group_by(_: int) -> None:
                day = timedelta(days=1)
                found = await lake.recent(lake.snapshots[TRADES.name], day, _GROUP_BY)
                assert sum(r["trades"] for r in found) >= MINUTES * 60 * 2048

            await lake.refresh()
            before_s = cpu_s(pid)
            trades, quotes = await asyncio.gather(
                sample(0.2, lambda number: newest("trades", number)),
                sample(0.23, lambda number: newest("quotes", number)),
            )
            spent_s = cpu_s(pid) - before_s
            groups, beside = await asyncio.gather(
                sample(2.0, group_by),
                sample(0.2, lambda number: newest("trades", number)),
            )
            following.cancel()
            memory_mb, files = rss_mb(pid), len(lake.snapshots[TRADES.name].files)
            lake.close()
        assert ingesting.poll() is None

    return {
        "minutes_before": MINUTES,
        "files_of_trades": files,
        "newest_trades_ms": quantiles_ms(trades),
        "newest_quotes_ms": quantiles_ms(quotes),
        "group_by_ms": quantiles_ms(groups),
        "newest_trades_beside_group_by_ms": quantiles_ms(beside),
        "api_memory_mb": round(memory_mb),
        "cpu_ms_a_request": round(spent_s * 1000 / (len(trades) + len(quotes)), 1),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = asyncio.run(measured(Path(scratch)))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
