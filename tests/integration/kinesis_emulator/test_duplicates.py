"""The fault that proves exactly-once."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing

from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import (
    DATABASE,
    STREAM,
    EmulatorProcess,
    data_of,
    put,
    read_from,
)


def put_until_accepted(client: KinesisClient, payloads: list[bytes]) -> Counter[bytes]:
    """Do what a correct client does; return how often each payload was sent."""
    sent: Counter[bytes] = Counter()
    while payloads:
        sent.update(payloads)
        answer = put(client, payloads)
        failed = [r.get("ErrorCode") for r in answer["Records"]]
        assert set(failed) <= {None, "InternalFailure"}
        payloads = [p for p, code in zip(payloads, failed, strict=True) if code]
    return sent


def ledger(emulator: EmulatorProcess) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(emulator.folder / DATABASE)) as db:
        return db.execute(
            "SELECT shard_id, sequence_number FROM injected_duplicates"
            " ORDER BY sequence_number"
        ).fetchall()


def test_injected_duplicates_are_stored_answered_as_failed_and_listed(
    start: Callable[..., EmulatorProcess],
):
    emulator = start("--duplicate-rate", "0.1", "--seed", "7")
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=1)
    payloads = [b"%d" % number for number in range(500)]

    sent = put_until_accepted(client, payloads)

    records = read_from(client)
    assert Counter(data_of(records)) == sent
    listed = ledger(emulator)
    assert 25 <= len(listed) <= 80
    assert len(listed) == sent.total() - 500
    numbers = {record["SequenceNumber"]: record["Data"] for record in records}
    again = Counter(numbers[number] for _, number in listed)
    assert again == sent - Counter(payloads)


def test_the_seed_chooses_the_duplicates(start: Callable[..., EmulatorProcess]):
    def struck(folder: str, seed: str) -> list[bytes]:
        emulator = start("--duplicate-rate", "0.1", "--seed", seed, folder=folder)
        client = emulator.client()
        client.create_stream(StreamName=STREAM, ShardCount=1)
        payloads = [b"%d" % number for number in range(300)]
        answer = put(client, payloads)
        return [
            payload
            for payload, result in zip(payloads, answer["Records"], strict=True)
            if "ErrorCode" in result
        ]

    first = struck("first", "7")
    assert first
    assert struck("second", "7") == first
    assert struck("third", "8") != first


def test_without_the_option_nothing_is_duplicated(
    emulator: EmulatorProcess, kinesis: KinesisClient
):
    assert put(kinesis, [b"x"] * 500)["FailedRecordCount"] == 0
    assert ledger(emulator) == []
