"""The Spark source's reader through faults, resharding and kills, without Spark."""

import json
import time
from collections import Counter
from collections.abc import Callable

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from types_boto3_kinesis import KinesisClient

from bronze.kinesis_source import KinesisReader, Offset
from tests.integration.kinesis_emulator.running import STREAM, EmulatorProcess

BATCHES, ENTRIES = 15, 20
KILLED_AFTER_BATCH = 8
COUNT_AFTER_BATCH = {3: 4, 6: 2, 10: 3}
FAULTS = [
    ("aws:kinesis:stream-provisioned-throughput-exception", {"percentage": 20}),
    ("aws:kinesis:stream-expired-iterator-exception", {"percentage": 20}),
    ("aws:fis:inject-api-internal-error", {"percentage": 10}),
    ("aws:fis:inject-api-unavailable-error", {"percentage": 10}),
    ("emulator:put-records-entry-failure", {"percentage": 10}),
    ("emulator:put-then-reset", {"percentage": 10}),
]


def put(client: KinesisClient, payloads: list[bytes]) -> set[bytes]:
    """Put payloads until each is acknowledged, as a correct producer."""
    waiting = payloads
    while waiting:
        waiting = failed_of(client, waiting)
    return set(payloads)


def failed_of(client: KinesisClient, payloads: list[bytes]) -> list[bytes]:
    entries = [{"Data": data, "PartitionKey": data.decode()} for data in payloads]
    try:
        answer = client.put_records(StreamName=STREAM, Records=entries)
    except (ClientError, BotoCoreError):
        return payloads
    results = answer["Records"]
    return [p for p, r in zip(payloads, results, strict=True) if "ErrorCode" in r]


class Driver:
    """Plans batches, and sometimes dies with one planned: its successor repeats it."""

    def __init__(self, port: int) -> None:
        self._options = {
            "streamName": STREAM,
            "endpointUrl": f"http://127.0.0.1:{port}",
            "minReadIntervalMs": "20",
            "maxBatchBytes": "200",
        }
        self._reader = KinesisReader(self._options)
        self._offset: Offset = self._reader.initialOffset()
        self.landed = Counter[tuple[str, str]]()
        self.payloads = set[bytes]()

    def run_batch(self, *, dies: bool) -> None:
        rows, end = self._reader.read(self._offset)
        planned = json.loads(json.dumps(end))
        if dies:
            self._reader = KinesisReader(self._options)
            rows = self._reader.readBetweenOffsets(self._offset, planned)
        for data, _, _, number, shard, _ in rows:
            self.landed[shard, number] += 1
            self.payloads.add(data)
        self._offset = planned


@pytest.fixture
def emulator(start: Callable[..., EmulatorProcess]) -> EmulatorProcess:
    emulator = start("--no-limits", "--seed", "11")
    emulator.client().create_stream(StreamName=STREAM, ShardCount=2)
    return emulator


def inject_all(emulator: EmulatorProcess) -> None:
    for action, parameters in FAULTS:
        emulator.inject(action, **parameters)


def rescale(client: KinesisClient, target: int) -> None:
    while True:
        try:
            client.update_shard_count(
                StreamName=STREAM,
                TargetShardCount=target,
                ScalingType="UNIFORM_SCALING",
            )
        except (ClientError, BotoCoreError):
            continue
        return


def test_every_record_lands_once_through_faults_resharding_and_a_kill(
    emulator: EmulatorProcess, start: Callable[..., EmulatorProcess]
):
    driver, sent = Driver(emulator.port), set[bytes]()
    inject_all(emulator)
    for batch in range(BATCHES):
        numbers = range(batch * ENTRIES, (batch + 1) * ENTRIES)
        sent |= put(emulator.client(), [b"%d" % number for number in numbers])
        driver.run_batch(dies=batch % 4 == 3)
        if batch in COUNT_AFTER_BATCH:
            rescale(emulator.client(), COUNT_AFTER_BATCH[batch])
        if batch == KILLED_AFTER_BATCH:
            emulator.kill()
            emulator = start("--no-limits", "--port", str(emulator.port))
            inject_all(emulator)
    emulator.control("DELETE", "/faults")
    deadline = time.monotonic() + 30
    while driver.payloads != sent and time.monotonic() < deadline:
        driver.run_batch(dies=False)

    driver.run_batch(dies=False)
    assert driver.payloads == sent
    assert max(driver.landed.values()) == 1
    assert len(driver.landed) == emulator.health()["records"] > len(sent)
    assert len({shard for shard, _ in driver.landed}) > 4
