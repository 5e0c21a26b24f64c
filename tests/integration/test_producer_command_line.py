"""The commands of ``python -m producer`` against a real simulator and stream."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from conf.kinesis import open_client
from conf.settings import AlpacaSettings, BackfillSettings, KinesisSettings, Settings
from producer import doctor
from producer.tail import READ_BYTES, shards, start_at, tail
from tests.integration.producing import STREAM, Pipeline, eventually, stop

ALPACA = "wss://stream.data.alpaca.markets"


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with ExitStack() as processes:
        yield Pipeline(tmp_path, processes)


def run(pipeline: Pipeline, *arguments: str) -> tuple[int, list[str], str]:
    """Return exit code, lines of standard output, standard error."""
    command = [sys.executable, "-m", "producer", *arguments]
    done = subprocess.run(
        command,
        check=False,
        env=pipeline.environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_the_doctor_finds_everything_and_hears_the_test_stream(pipeline: Pipeline):
    pipeline.start_kinesis()
    pipeline.start_simulator()
    code, out, _ = run(pipeline, "doctor", "--live", "--json")
    assert code == 0
    told = json.loads(out[-1])
    states = {each["name"]: each["state"] for each in told["findings"]}
    assert states == {
        "keys": "ok", "plan": "ok", "clock": "ok", "stream": "note", "disk": "ok",
        "live": "ok",
    }  # fmt: skip
    assert told["lacks"] == []
    assert json.loads(told["live"]["first"])["S"] == "FAKEPACA"
    assert told["live"]["messages"] > 20


def test_the_doctor_names_what_is_missing(pipeline: Pipeline):
    pipeline.settings |= {
        "ALPACA__URL": ALPACA,
        "BACKFILL__URL": pipeline.settings["ALPACA__URL"].replace("ws", "http"),
        "ALPACA__TRADES": ",".join(f"S{n}" for n in range(31)),
        "SPOOL__MAX_MB": "900000000",
    }
    code, out, _ = run(pipeline, "doctor", "--live")
    assert code == 1
    found = {line.split()[1]: line for line in out}
    marks = {name: line[0] for name, line in found.items()}
    assert marks == {
        "keys": "✗", "plan": "✗", "clock": "!", "stream": "✗", "disk": "✗", "live": "!",
    }  # fmt: skip
    assert "not run" in found["live"]
    assert "Drop" in found["plan"]


@pytest.mark.parametrize(
    ("skew_s", "state"), [(0, "ok"), (3, "note"), (-3, "note"), (90, "missing")]
)
def test_a_wrong_clock_is_found(skew_s: int, state: str):
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(int(time.time()) - skew_s)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        finding = doctor.clock(Settings(backfill=BackfillSettings(url=url)))
    assert finding.state == state


def test_keys_are_present_or_not():
    absent = AlpacaSettings(url=ALPACA)
    given = AlpacaSettings(url=ALPACA, api_key="PK1", secret_key="s")
    assert [doctor.keys(each).state for each in (absent, given)] == ["missing", "ok"]
    assert "PK1" not in str(doctor.keys(given))


def test_tail_shows_what_is_stored(pipeline: Pipeline):
    pipeline.settings["SIMULATOR__STOP_AFTER_S"] = "1"
    pipeline.start_kinesis("--no-limits")
    simulator, producer = pipeline.start_simulator(), pipeline.start_producer()
    pipeline.finish(simulator, producer)
    everything = "tail", "--from", "trim_horizon", "--wait", "0", "--limit", "99999"
    code, out, _ = run(pipeline, *everything, "--json")
    records, counts = [json.loads(line) for line in out[:-1]], json.loads(out[-1])
    assert code == 0
    texts = [
        json.dumps(line["d"]) for x in records for line in x["lines"] if "d" in line
    ]
    kinds = {x["header"]["kind"] for x in records}
    assert {"data", "heartbeat"} <= kinds
    data = [json.dumps(json.loads(text)) for text in pipeline.truth()]
    assert set(data) <= set(texts)
    assert counts["records"] == len(records)
    assert counts["messages"] == sum(len(x["lines"]) for x in records)
    shard = "shardId-000000000001"
    code, out, _ = run(pipeline, "tail", "--shard", shard, *everything[1:], "--heads")
    assert code == 0
    heads = [line for line in out[:-1] if shard in line]
    assert len(heads) == len(out) - 1
    assert len(heads) == sum(x["shard_id"] == shard for x in records)


def test_tail_says_what_is_no_wire_record(pipeline: Pipeline):
    pipeline.start_kinesis()
    put(pipeline, [b"hello"])
    code, out, _ = run(pipeline, "tail", "--from", "trim_horizon", "--limit", "1")
    assert code == 1
    assert "no wire record" in out[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shard", "shardId-7"], "is none of shardId-000000000000"),
        (["--from", "yesterday"], "yesterday"),
    ],
)
def test_wrong_arguments_of_tail_have_exit_code_2(
    pipeline: Pipeline, arguments: list[str], says: str
):
    pipeline.start_kinesis()
    put(pipeline, [b"hello"])
    code, _, errors = run(pipeline, "tail", *arguments)
    assert code == 2
    assert says in errors


def test_tail_leaves_the_shard_to_others(pipeline: Pipeline):
    pipeline.start_kinesis()
    size = 25_000
    settings = put(pipeline, [b"x" * size] * 40)
    client, start = open_client(settings), start_at("trim_horizon")
    names, read = shards(client, settings), dict[int, int]()
    begun_s = time.monotonic()
    for seen in tail(client, settings, names, start, wait_s=0):
        second = int(time.monotonic() - begun_s)
        read[second] = read.get(second, 0) + seen.bytes
    assert sum(read.values()) == 40 * size
    assert len(read) == 3
    assert max(read.values()) <= READ_BYTES


def test_run_prints_its_last_state(pipeline: Pipeline):
    pipeline.settings["SIMULATOR__STOP_AFTER_S"] = "1"
    pipeline.start_kinesis("--no-limits")
    pipeline.start_simulator()
    producer = subprocess.Popen(
        [sys.executable, "-m", "producer", "run", "--json"],
        env=pipeline.environment, cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    eventually(lambda: pipeline.has_read(100), "the market runs")
    assert stop(producer) == 0
    assert producer.stdout is not None
    last: dict[str, Any] = json.loads(producer.stdout.read().splitlines()[-1])
    producer.stdout.close()
    assert (last["state"], last["queue_depth"]) == ("draining", 0)


def test_a_wrong_setting_is_one_line(pipeline: Pipeline):
    code, _, errors = run(pipeline, "--set", "kinesis.shard=4", "tail")
    assert code == 3
    assert errors.startswith("error: ")
    assert "kinesis.shard" in errors


def put(pipeline: Pipeline, payloads: list[bytes]) -> KinesisSettings:
    """Store payloads in a stream of one shard."""
    url = pipeline.settings["KINESIS__ENDPOINT_URL"]
    settings = KinesisSettings(endpoint_url=url)
    client = open_client(settings)
    client.create_stream(StreamName=STREAM, ShardCount=1)
    for payload in payloads:
        client.put_record(StreamName=STREAM, Data=payload, PartitionKey="k")
    return settings
