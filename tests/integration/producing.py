"""Simulator, producer and Kinesis emulator as the processes a person would start."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

import boto3
import msgspec
import pytest
from botocore.config import Config

from conf.market.envelope import Header, Line, unpack
from conf.settings import ROOT

DEADLINE_S = 45.0
STREAM = "stock-market-stream"
T = TypeVar("T")
Process = subprocess.Popen[bytes]


class StoredLine(msgspec.Struct, frozen=True):
    """One line of a record in the stream."""

    header: Header
    line: Line
    partition_key: str

    @property
    def place(self) -> tuple[str, int, int]:
        return self.header.epoch, self.line.frame, self.line.index

    @property
    def text(self) -> str:
        """The message, or what the server sent in its place."""
        if isinstance(self.line.message, msgspec.Raw):
            return bytes(self.line.message).decode()
        return self.line.raw or ""


def eventually(condition: Callable[[], T], what: str) -> T:
    """Return the first true answer of a condition."""
    deadline_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline_s:
        if answer := condition():
            return answer
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {DEADLINE_S:g} s")


def stop(process: Process) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=DEADLINE_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Pipeline:
    """The processes of one test, and what they leave behind.

    ``settings`` may be changed before a process starts: dotted keys as the
    environment writes them.
    """

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        self.folder, self._processes = folder, processes
        self._simulator_port, self._kinesis_port = _free_port(), _free_port()
        self._endpoint = f"http://127.0.0.1:{self._kinesis_port}"
        self.settings = {
            "VAR": str(folder / "var"),
            "SIMULATOR__PORT": str(self._simulator_port),
            "SIMULATOR__TRUTH_DIR": str(folder / "truth"),
            "SIMULATOR__HISTORY": "false",
            "SIMULATOR__STOP_AFTER_S": "3",
            "SIMULATOR__RATE_PER_S": "1000",
            "ALPACA__URL": f"ws://127.0.0.1:{self._simulator_port}",
            "KINESIS__ENDPOINT_URL": self._endpoint,
        }

    def start_simulator(self) -> Process:
        process = self._start("producer.simulator")
        eventually(lambda: _listens(self._simulator_port), "simulator listens")
        return process

    def start_kinesis(self, *options: str) -> Process:
        data, port = str(self.folder / "kinesis"), str(self._kinesis_port)
        command = ["infra.local.kinesis", "--port", port, "--data", data, *options]
        process = self._start(*command)
        eventually(lambda: _listens(self._kinesis_port), "emulator listens")
        return process

    @contextmanager
    def refusing_puts(self) -> Iterator[None]:
        """Let Kinesis answer, and take nothing."""
        action = "aws:fis:inject-api-unavailable-error"
        parameters = {"percentage": "100", "operations": "PutRecords"}
        self._ask_kinesis("POST", {"actionId": action, "parameters": parameters})
        yield
        self._ask_kinesis("DELETE", {})

    def _ask_kinesis(self, method: str, request: dict[str, object]) -> None:
        with closing(HTTPConnection("127.0.0.1", self._kinesis_port)) as connection:
            connection.request(method, "/faults", json.dumps(request))
            assert connection.getresponse().status in (200, 201)

    def start_producer(self) -> Process:
        return self._start("producer", "run")

    def _start(self, module: str, *arguments: str) -> Process:
        with self.log(module).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=self.environment,
                stderr=log,
            )
        self._processes.callback(process.wait)
        self._processes.callback(process.kill)
        return process

    @property
    def environment(self) -> dict[str, str]:
        """The settings, as a process gets them."""
        settings = {f"TICKHOUSE_{key}": value for key, value in self.settings.items()}
        return {**os.environ, **settings}

    def log(self, module: str) -> Path:
        return self.folder / f"{module}.log"

    def status(self) -> dict[str, object]:
        path = self.folder / "var" / "run" / "producer.json"
        return dict(json.loads(path.read_bytes())) if path.exists() else {}

    def simulated(self) -> dict[str, object]:
        with closing(HTTPConnection("127.0.0.1", self._simulator_port)) as connection:
            connection.request("GET", "/sim/status")
            return dict(json.loads(connection.getresponse().read()))

    def has_read(self, messages: int) -> bool:
        total = self.status().get("messages_total", 0)
        return isinstance(total, int) and total >= messages

    def finish(self, simulator: Process, producer: Process) -> None:
        """Let the market end, stop the producer, complete the truth."""
        eventually(lambda: self.simulated()["finished"], "the market ends")
        emitted = self.simulated()["emitted"]
        read = "messages_total"
        eventually(lambda: self.status().get(read) == emitted, "everything is read")
        assert stop(producer) == 0
        assert stop(simulator) == 0

    def truth(self) -> list[str]:
        """Return every message that was sent, in order."""
        (path,) = (self.folder / "truth").glob("messages-*.tsv")
        return [x.split("\t", 2)[2] for x in path.read_text().splitlines()]

    def due(self) -> list[str]:
        """Return every message up to the last that was sent, missed ones too."""
        paths = [*(self.folder / "truth").glob("*-*.tsv")]
        rows = [x.split("\t", 2) for y in paths for x in y.read_text().splitlines()]
        (sent,) = (self.folder / "truth").glob("messages-*.tsv")
        last_ns = max(int(x.split("\t")[0]) for x in sent.read_text().splitlines())
        return [text for due_ns, _, text in rows if int(due_ns) <= last_ns]

    def stored(self, kind: str = "data") -> list[StoredLine]:
        """Return the lines of every record in the stream, by epoch, frame, index."""
        found = [
            StoredLine(header, line, key)
            for key, payload in self._records()
            for header, lines in [unpack(payload)]
            for line in lines
            if header.kind == kind
        ]
        return sorted(found, key=lambda stored: stored.place)

    def _records(self) -> Iterator[tuple[str, bytes]]:
        client = boto3.client(
            "kinesis",
            endpoint_url=self._endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}),
        )
        for shard in client.list_shards(StreamName=STREAM)["Shards"]:
            cursor = client.get_shard_iterator(
                StreamName=STREAM,
                ShardId=shard["ShardId"],
                ShardIteratorType="TRIM_HORIZON",
            )["ShardIterator"]
            behind_ms = 1
            while behind_ms:
                answer = client.get_records(ShardIterator=cursor)
                behind_ms = answer["MillisBehindLatest"]
                cursor = answer["NextShardIterator"]
                for record in answer["Records"]:
                    yield record["PartitionKey"], record["Data"]
