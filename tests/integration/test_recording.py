"""A live session that was saved is a recording that the simulator replays."""

import asyncio
import gzip
import json
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from conf.errors import FixSetup
from conf.settings import ROOT, AlpacaSettings, environment, load
from producer.recorder import Recorder, Session
from producer.recording import Recording, files_of, merged, recorded
from producer.simulator.replay import Replay
from tests.integration.simulated import (
    ALL,
    connected,
    eventually,
    log_in,
    order_fault,
    receive_all,
    simulated,
    subscribe,
    truth,
)

SYMBOLS = ["AAPL", "KO"]


def alpaca(port: int, **more: object) -> AlpacaSettings:
    names = {"trades": SYMBOLS, "quotes": SYMBOLS, "bars": SYMBOLS}
    url = f"ws://127.0.0.1:{port}"
    return AlpacaSettings(url=url, reconnect_max_s=0.2, **{**names, **more})


async def record(settings: AlpacaSettings, folder: Path, messages: int) -> Session:
    """Record until there are so many messages."""
    recorder, stop = Recorder(settings, folder), asyncio.Event()
    recording = asyncio.create_task(recorder.run(stop))
    async with asyncio.timeout(30):
        while recorder.messages < messages and not recording.done():
            await asyncio.sleep(0.02)
    stop.set()
    return await recording


def lines(folder: Path) -> list[str]:
    return [text for x in files_of(folder) for text in _unpacked(x).splitlines()]


def _unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


async def test_a_recording_is_replayed_message_by_message(tmp_path: Path):
    folder = tmp_path / "recording"
    chosen = {"symbols": SYMBOLS, "out_of_order_share": 0.02, "rate_per_s": 1_000}
    async with simulated(truth_dir=tmp_path / "truth", **chosen) as port:
        session = await record(alpaca(port), folder, 1_500)
    assert session.is_whole
    kept = lines(folder)
    sent = [text for _, _, text in truth(tmp_path / "truth")]
    assert len(kept) == session.messages
    assert not Counter(kept) - Counter(sent)
    due_ns = [recorded(text.encode()).market_ns for text in kept]
    assert due_ns == sorted(due_ns)
    replay = {"replay": folder, "rate_per_s": 20_000, "symbols": SYMBOLS}
    async with simulated(**replay) as port, connected(port) as client:
        await log_in(client)
        # At the end of a minute come its bars and price bands.
        await subscribe(client, **ALL, lulds=["*"], statuses=["*"])
        frames = await receive_all(client, port)
    replayed = [message for frame in frames for message in json.loads(frame)]
    assert replayed == [json.loads(text) for text in kept]


async def test_a_cut_is_told_as_a_hole(tmp_path: Path):
    async with simulated(symbols=SYMBOLS) as port:
        await order_fault(port, kind="cut", after_s=0.5, for_s=0.3)
        session = await record(alpaca(port), tmp_path, 600)
    (hole,) = session.interruptions
    assert hole.cause == "cut"
    assert hole.end is not None
    assert 0.2 < (hole.end - hole.start).total_seconds() < 5
    assert not session.is_whole


async def test_day_bars_and_spoilt_messages_are_left_out(tmp_path: Path):
    chosen = {"symbols": SYMBOLS, "malformed_share": 0.2, "rate_per_s": 1_000}
    async with simulated(**chosen) as port:
        session = await record(alpaca(port, daily_bars=SYMBOLS), tmp_path, 1_000)
    assert session.left_out > 0
    assert len(list(merged(files_of(tmp_path)))) == session.messages
    Replay(tmp_path, speed=None, rate_per_s=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_finishes_its_files_when_it_is_told_to_stop(
    tmp_path: Path, number: signal.Signals
):
    folder = tmp_path / "recording"
    async with simulated(symbols=SYMBOLS) as port:
        chosen = load(var=tmp_path).model_copy(update={"alpaca": alpaca(port)})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "producer", "record", str(folder), "--json",
            cwd=ROOT, env=environment(chosen), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await eventually(port, lambda status: status["emitted"] > 300)
        process.send_signal(number)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    session = json.loads(out.splitlines()[-1])
    assert session["messages"] == len(lines(folder)) >= 100
    assert session["files"] == [path.name for path in folder.iterdir()]


async def test_a_session_goes_into_several_files_that_merge(tmp_path: Path):
    recording = Recording(tmp_path)
    for start in (5, 0):
        for second in range(start, start + 5):
            time = f"2026-11-20T15:00:{second:02d}Z"
            text = json.dumps({"T": "t", "S": "KO", "t": time})
            recording.add(text.encode())
        recording.write()
    recording.write()
    assert [path.name for path in recording.files] == [
        "session-00001.jsonl.gz",
        "session-00002.jsonl.gz",
    ]
    found = [message.market_ns for message in merged(files_of(tmp_path))]
    assert found == sorted(found)
    assert len(found) == 10


def test_a_folder_with_a_recording_is_refused(tmp_path: Path):
    (tmp_path / "old.jsonl.gz").touch()
    with pytest.raises(FixSetup, match="there is a recording in it"):
        Recording(tmp_path)
