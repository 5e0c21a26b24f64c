"""How fast the layers work off what waits for them, and in how much memory.

``python -m tests.load.backlog`` prints one JSON object. Ten minutes of the market, with
its doubles and late messages, are in Kinesis before the driver starts, as after an
outage; then bronze, silver and gold work them off while the emulator enforces the
shards' read limits. Every row is then compared with what was sent.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pyarrow.parquet as pq
import typer

from conf import logs, settings
from conf.kinesis import open_client
from conf.lake.tables import QUOTES, TRADES
from conf.settings import ROOT, Settings
from infra.local import machine
from infra.local.bench import recording
from infra.local.bench.judge import expected_rows, judge
from infra.local.process_table import usage
from infra.local.processes import Service
from infra.local.services import EMULATOR, LAKE, services
from infra.local.state import settled_in
from producer.kinesis import MAX_ENTRIES, ensure_stream
from tests.load.grown import count_rows

RATE_PER_S = 4096
_NEARLY_ALL = 0.99
_WITHIN_S = 1_800.0
_LOOK_EVERY_S = 0.5
Figures = dict[str, Any]


def chosen(var: Path) -> Settings:
    """The settings of a run on its own folder and ports."""
    port = free_port()
    base = settings.load()
    kinesis = {"endpoint_url": f"http://127.0.0.1:{port}"}
    own = {
        "kinesis": base.kinesis.model_copy(update=kinesis),
        "emulator": base.emulator.model_copy(update={"port": port}),
    }
    return settled_in(base.model_copy(update=own), var)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(service: Service, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of the pipeline until the block ends; yield it when it is ready."""
    process = subprocess.Popen(
        [*service.command, *options],
        cwd=ROOT,
        env={**os.environ, **service.environment},
        stdout=sys.stderr,
    )
    try:
        deadline_s = time.monotonic() + service.ready_within_s
        while not service.ready():
            assert process.poll() is None, f"{service.name} ended"
            assert time.monotonic() < deadline_s, f"{service.name} is not ready"
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def fill(run: Settings, market: Path) -> None:
    """Put a recording into Kinesis, as fast as it takes it."""
    client = open_client(run.kinesis)
    ensure_stream(client, run.kinesis)
    for file in sorted((market / "records").glob("*.parquet")):
        rows = iter(pq.read_table(file, columns=["data", "partition_key"]).to_pylist())
        while entries := list(islice(rows, MAX_ENTRIES)):
            answer = client.put_records(
                StreamName=run.kinesis.stream_name,
                Records=[
                    {"Data": row["data"], "PartitionKey": row["partition_key"]}
                    for row in entries
                ],
            )
            assert answer["FailedRecordCount"] == 0


def stored(run: Settings) -> int:
    """Return how many trades and quotes silver holds."""
    return sum(count_rows(run.lake.root, table) for table in (TRADES, QUOTES))


def drain(run: Settings, lake: Service, expected: int) -> Figures:
    """Start the driver and let it work off everything; SIGTERM makes it finish."""
    memory_mb: list[float] = []
    with running(lake) as driver:
        began_s = time.monotonic()
        while driver.poll() is None:
            memory_mb.append(usage(driver.pid)[0])
            assert time.monotonic() - began_s < _WITHIN_S, "not drained"
            if stored(run) >= _NEARLY_ALL * expected:
                driver.send_signal(signal.SIGTERM)
                driver.wait(lake.drain_within_s)
            time.sleep(_LOOK_EVERY_S)
        assert driver.returncode == 0
        drain_s = time.monotonic() - began_s
    return {"drain_s": round(drain_s, 1), **memory(memory_mb)}


def memory(samples_mb: list[float]) -> dict[str, float]:
    """Return the peak, and how many times that of its first half the second's is."""
    half = len(samples_mb) // 2
    first, second = max(samples_mb[:half]), max(samples_mb[half:])
    return {
        "peak_rss_mb": round(max(first, second), 1),
        "rss_growth": round(second / first, 3),
    }


def measured(scratch: Path, seconds: int) -> Figures:
    """Prepare the backlog, drain it, judge it."""
    run, market = chosen(scratch), scratch / "market"
    by_name = {service.name: service for service in services(run)}
    source = recording.simulated(RATE_PER_S, seed=7, **recording.DISTURBED)
    messages = sum(recording.write(source, market, seconds, seed=7))
    expected = expected_rows(market, seconds)
    with running(by_name[EMULATOR], "--no-limits"):
        fill(run, market)
    with running(by_name[EMULATOR]):
        drained = drain(run, by_name[LAKE], expected)
    verdict = judge(market, scratch, seconds)
    rate = messages / drained["drain_s"]
    return {
        "backlog_s": seconds,
        "messages": messages,
        "rate_per_s": round(rate, 1),
        "times_input_rate": round(rate / RATE_PER_S, 3),
        **drained,
        **msgspec.structs.asdict(verdict),
    }


def main(
    minutes: Annotated[float, typer.Option(help="Of the market that waits.")] = 10.0,
    folder: Annotated[
        Path | None, typer.Option(help="Scratch; by default the system's.")
    ] = None,
) -> None:
    """Measure, and print what was found."""
    logs.configure("backlog", level="WARNING")
    load_average = machine.load_average()
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as named:
        found = measured(Path(named), int(minutes * 60))
    found["load_average"] = load_average
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    typer.run(main)
