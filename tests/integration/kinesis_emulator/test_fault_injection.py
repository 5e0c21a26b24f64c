"""Faults that are ordered over HTTP, as a stock client meets them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from botocore.exceptions import ConnectionClosedError
from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import (
    DATABASE,
    FIRST_SHARD,
    STREAM,
    EmulatorProcess,
    data_of,
    error_code,
    put,
    read_from,
)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("aws:fis:inject-api-internal-error", "InternalFailure"),
        ("aws:fis:inject-api-throttle-error", "ThrottlingException"),
        ("aws:fis:inject-api-unavailable-error", "ServiceUnavailable"),
        (
            "aws:kinesis:stream-provisioned-throughput-exception",
            "ProvisionedThroughputExceededException",
        ),
    ],
)
def test_an_injected_error_stores_nothing_and_ends(
    emulator: EmulatorProcess, kinesis: KinesisClient, action: str, code: str
):
    emulator.inject(action, operations="PutRecords", count=1)

    assert error_code(lambda: put(kinesis, [b"refused"])) == code
    put(kinesis, [b"stored"])
    assert data_of(read_from(kinesis)) == [b"stored"]


def test_an_expired_iterator_is_replaced_by_a_new_one(
    emulator: EmulatorProcess, kinesis: KinesisClient
):
    put(kinesis, [b"x"])
    emulator.inject(
        "aws:kinesis:stream-expired-iterator-exception", stream=STREAM, count=1
    )

    assert error_code(lambda: read_from(kinesis)) == "ExpiredIteratorException"
    assert data_of(read_from(kinesis)) == [b"x"]


def test_some_entries_fail_and_are_not_stored(
    emulator: EmulatorProcess, kinesis: KinesisClient
):
    emulator.inject("emulator:put-records-entry-failure", percentage=30)
    payloads = [b"%d" % number for number in range(200)]

    answer = put(kinesis, payloads)

    failed = [
        payload
        for payload, result in zip(payloads, answer["Records"], strict=True)
        if "ErrorCode" in result
    ]
    assert len(failed) == answer["FailedRecordCount"]
    assert 30 <= len(failed) <= 90
    assert data_of(read_from(kinesis)) == [p for p in payloads if p not in failed]


def put_one(client: KinesisClient) -> None:
    client.put_record(StreamName=STREAM, Data=b"1", PartitionKey="AAPL")


def put_many(client: KinesisClient) -> None:
    put(client, [b"1"])


@pytest.mark.parametrize("put_it", [put_one, put_many])
def test_what_was_stored_before_a_reset_is_listed(
    emulator: EmulatorProcess,
    kinesis: KinesisClient,
    put_it: Callable[[KinesisClient], None],
):
    emulator.inject("emulator:put-then-reset", count=1)

    with pytest.raises(ConnectionClosedError):
        put_it(kinesis)

    put_it(kinesis)
    records = read_from(kinesis)
    assert data_of(records) == [b"1", b"1"]
    with closing(sqlite3.connect(emulator.folder / DATABASE)) as db:
        listed = db.execute(
            "SELECT shard_id, sequence_number FROM injected_duplicates"
        ).fetchall()
    assert listed == [(FIRST_SHARD, records[0]["SequenceNumber"])]


def test_faults_are_listed_counted_and_stopped(
    emulator: EmulatorProcess, kinesis: KinesisClient
):
    fault = emulator.inject(
        "aws:fis:inject-api-internal-error", duration="PT1H", percentage="100"
    )
    error_code(lambda: put(kinesis, [b"x"]))

    (listed,) = emulator.control("GET", "/faults")
    assert (listed["id"], listed["struck"]) == (fault, 1)
    assert emulator.control("DELETE", f"/faults/{fault}")["struck"] == 1
    put(kinesis, [b"x"])
    emulator.inject("aws:fis:inject-api-internal-error")
    assert len(emulator.control("DELETE", "/faults")) == 1
    assert emulator.control("GET", "/faults") == []


@pytest.mark.parametrize(
    "body",
    [
        {"actionId": "aws:ec2:stop-instances"},
        {
            "actionId": "aws:fis:inject-api-internal-error",
            "parameters": {"percentage": "101"},
        },
        {
            "actionId": "aws:fis:inject-api-internal-error",
            "parameters": {"duration": "a minute"},
        },
        {
            "actionId": "aws:fis:inject-api-internal-error",
            "parameters": {"colour": "red"},
        },
        {},
    ],
)
def test_an_order_that_means_nothing_is_refused(
    emulator: EmulatorProcess, body: dict[str, object]
):
    with pytest.raises(AssertionError, match="error"):
        emulator.control("POST", "/faults", body)

    assert emulator.control("GET", "/faults") == []


def test_metrics_are_named_as_those_of_enhanced_monitoring(
    limited: KinesisClient, limited_emulator: EmulatorProcess
):
    put(limited, [b"x" * 10] * 500)
    put(limited, [b"x" * 10] * 500)
    refused = put(limited, [b"x" * 10] * 500)["FailedRecordCount"]
    read_from(limited)

    metrics = limited_emulator.control("GET", "/metrics")[STREAM][FIRST_SHARD]

    stored = 1_500 - refused
    assert refused > 0
    assert metrics == {
        "IncomingBytes": 10 * stored,
        "IncomingRecords": stored,
        "OutgoingBytes": 10 * stored,
        "OutgoingRecords": stored,
        "WriteProvisionedThroughputExceeded": refused,
        "ReadProvisionedThroughputExceeded": 0,
        "IteratorAgeMilliseconds": 0,
    }
