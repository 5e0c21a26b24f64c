"""Replays through the simulator's sockets, and the simulator as a process."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from conf.errors import FixSetup
from conf.market.rfc3339 import format_ns, parse_ns
from tests.integration.simulated import (
    ALL,
    connected,
    free_port,
    log_in,
    receive_all,
    simulated,
    status,
    subscribe,
    truth,
)

ROOT = Path(__file__).parents[2]


def recording(folder: Path) -> list[str]:
    """Write a recording of two files and return its messages in due order."""
    start_ns = parse_ns("2013-10-07T13:30:00Z")
    trades = [
        f'{{"T":"t","S":"SPY","i":{i},"x":"Q","p":167.10,"s":100,'
        f'"t":"{format_ns(start_ns + i * 100_000_000)}"}}'
        for i in range(700)
    ]
    bar = (
        '{"T":"b","S":"SPY","o":167.1,"h":167.1,"l":167.1,"c":167.1,"v":1,'
        f'"t":"{format_ns(start_ns)}"}}'
    )
    for name, lines in (("bars", [bar]), ("trades", trades)):
        text = "".join(line + "\n" for line in lines)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return [*trades[:600], bar, *trades[600:]]


async def test_a_replay_keeps_bytes_order_and_the_recordings_clock(tmp_path: Path):
    expected = recording(tmp_path)
    async with (
        simulated(replay=tmp_path, speed=35.0) as port,
        connected(port) as client,
    ):
        before = await status(port)
        await log_in(client)
        await subscribe(client, **ALL)
        during = await status(port)
        frames = await receive_all(client, port)
        after = await status(port)

    assert ",".join(frame[1:-1] for frame in frames) == ",".join(expected)
    assert (before["live"], before["clock"], before["market_time_ns"]) == (
        False,
        None,
        None,
    )
    clock = during["clock"]
    assert clock == {
        "wall_ns": during["started_wall_ns"],
        "market_ns": parse_ns("2013-10-07T13:30:00Z"),
        "speed": 35.0,
    }
    assert clock["market_ns"] <= during["market_time_ns"] < after["market_time_ns"]
    assert after["market_time_ns"] == parse_ns("2013-10-07T13:31:09.9Z")
    assert after["emitted"] == 701


async def test_a_replay_with_faults_is_refused(tmp_path: Path):
    recording(tmp_path)
    with pytest.raises(FixSetup, match="nothing else"):
        async with simulated(replay=tmp_path, repeated_share=0.1):
            pass


async def test_a_replay_by_rate_tells_the_time_of_its_newest_message(tmp_path: Path):
    recording(tmp_path)
    async with simulated(replay=tmp_path, rate_per_s=2_000) as port:
        async with connected(port) as client:
            await log_in(client)
            confirmed = await subscribe(client, bars=["*"])
            frames = await receive_all(client, port)
        found = await status(port)

    assert confirmed["bars"] == ["*"]
    assert [json.loads(frame)[0]["T"] for frame in frames] == ["b"]
    assert found["clock"] is None
    assert found["market_time_ns"] == parse_ns("2013-10-07T13:31:09.9Z")
    assert (found["emitted"], found["rate_nominal"]) == (1, 2_000)


@contextmanager
def process(port: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``python -m producer.simulator`` as an operator would."""
    environment = {**os.environ, "TICKHOUSE_SIMULATOR__PORT": str(port), **more}
    with subprocess.Popen(
        [sys.executable, "-m", "producer.simulator"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


async def test_the_process_stops_cleanly_with_the_truth_complete(tmp_path: Path):
    port = free_port()
    with process(port, TICKHOUSE_SIMULATOR__TRUTH_DIR=str(tmp_path)) as simulator:
        client = await connect_soon(port)
        await client.recv()
        await log_in(client)
        await subscribe(client, **ALL)
        await client.recv()
        simulator.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(simulator.wait, 20)
        await client.close()

    assert code == 0
    emitted = json.loads((tmp_path / "summary.json").read_text())["emitted"]
    assert emitted == len(truth(tmp_path)) > 0


async def connect_soon(port: int) -> ClientConnection:
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError):
                return await connect(f"ws://127.0.0.1:{port}/v2/iex")
            await asyncio.sleep(0.05)


async def test_a_taken_port_is_one_clear_line_and_exit_code_3():
    async with simulated() as port:
        with process(port) as second:
            code = await asyncio.to_thread(second.wait, 20)
            lines = second.stderr.read().splitlines() if second.stderr else []

    assert code == 3
    assert len(lines) == 1
    assert f"port {port} is already in use" in lines[0]
