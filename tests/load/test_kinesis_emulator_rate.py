"""How many records a second the emulator takes, young and aged, while two read it.

Bodies are prepared beforehand and sent without boto3, so that the clients, which share
the machine, cost little. Run with ``pytest -m load -s tests/load``; the seconds of the
run are in the environment variable ``LOAD_SECONDS``.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from tests.integration.kinesis_emulator.running import EmulatorProcess

RECORDS_A_SECOND = 8_192
SHARDS = 10
ENTRIES = 500
RUN_S = float(os.environ.get("LOAD_SECONDS", "30"))
SAMPLE_S = RUN_S / 6
PAYLOAD = "eA" * 66  # base64 of 99 bytes

pytestmark = pytest.mark.load


class Caller:
    """One connection that performs operations."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def __call__(self, operation: str, body: bytes) -> tuple[int, bytes]:
        headers = {
            "X-Amz-Target": f"Kinesis_20131202.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
        }
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        self._connection.close()


class NextPage(msgspec.Struct):
    """What a reader needs of GetRecords; the payloads are skipped."""

    next_shard_iterator: str = msgspec.field(name="NextShardIterator")
    records: list[msgspec.Raw] = msgspec.field(name="Records")


class Reader(threading.Thread):
    """Polls every shard twice a second, as Spark and the live tail do."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.stopping = threading.Event()
        self.read_records = 0

    def run(self) -> None:
        with closing(Caller(self._port)) as call:
            iterators = [self._first_iterator(call, shard) for shard in range(SHARDS)]
            while not self.stopping.wait(0.5):
                iterators = [self._poll(call, iterator) for iterator in iterators]

    def _first_iterator(self, call: Caller, shard: int) -> str:
        request = {
            "StreamName": "load",
            "ShardId": f"shardId-{shard:012d}",
            "ShardIteratorType": "LATEST",
        }
        status, answer = call("GetShardIterator", json.dumps(request).encode())
        assert status == 200
        return str(json.loads(answer)["ShardIterator"])

    def _poll(self, call: Caller, iterator: str) -> str:
        request = json.dumps({"ShardIterator": iterator}).encode()
        status, answer = call("GetRecords", request)
        assert status == 200, answer
        page = msgspec.json.decode(answer, type=NextPage)
        self.read_records += len(page.records)
        return page.next_shard_iterator


def a_body(number: int) -> bytes:
    entries = [
        {"Data": PAYLOAD, "PartitionKey": f"{number}-{entry}"}
        for entry in range(ENTRIES)
    ]
    return json.dumps({"StreamName": "load", "Records": entries}).encode()


class Sample(NamedTuple):
    """What one stretch of writing achieved, and what it cost."""

    records_per_s: float
    slowest_call_s: float
    emulator_cpu_us_per_record: float


def write(call: Caller, bodies: list[bytes], pid: int) -> Sample:
    """Write as fast as the answers come."""
    began, cpu_before_s = time.monotonic(), cpu_s(pid)
    calls, slowest_s = 0, 0.0
    while (elapsed_s := time.monotonic() - began) < SAMPLE_S:
        sent = time.monotonic()
        status, answer = call("PutRecords", bodies[calls % len(bodies)])
        slowest_s = max(slowest_s, time.monotonic() - sent)
        assert status == 200
        assert answer.startswith(b'{"FailedRecordCount":0,')
        calls += 1
    records = calls * ENTRIES
    cost_us = (cpu_s(pid) - cpu_before_s) / records * 1e6
    return Sample(records / elapsed_s, slowest_s, cost_us)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    emulator = EmulatorProcess(tmp_path / "data", "--no-limits")
    yield emulator
    emulator.kill()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_rate_holds_as_the_stream_ages(emulator: EmulatorProcess):
    bodies = [a_body(number) for number in range(20)]
    with closing(Caller(emulator.port)) as call:
        create = {"StreamName": "load", "ShardCount": SHARDS}
        assert call("CreateStream", json.dumps(create).encode())[0] == 200
        readers = [Reader(emulator.port) for _ in range(2)]
        for reader in readers:
            reader.start()
        samples = [write(call, bodies, emulator.process.pid) for _ in range(6)]
        for reader in readers:
            reader.stopping.set()
            reader.join()

    records = emulator.health()["records"]
    report(records, samples)
    assert min(sample.records_per_s for sample in samples) >= RECORDS_A_SECOND
    # the cost, not the rate, because other processes may take turns on the cores
    young, aged = samples[0], samples[-1]
    assert aged.emulator_cpu_us_per_record < 1.5 * young.emulator_cpu_us_per_record
    assert all(reader.read_records > 0.8 * records for reader in readers)


def report(records: int, samples: list[Sample]) -> None:
    print(f"\n{records:,} records; in sixths of {RUN_S:.0f} s:")  # noqa: T201
    for sample in samples:
        print(  # noqa: T201 - the figures are what this test is for
            f"{sample.records_per_s:10,.0f} records/s,"
            f" {sample.emulator_cpu_us_per_record:5.1f} us of CPU a record,"
            f" slowest call {sample.slowest_call_s * 1000:.0f} ms"
        )
