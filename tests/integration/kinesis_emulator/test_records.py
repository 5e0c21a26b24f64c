"""Records are put and read back."""

import time
from datetime import datetime

import pytest
from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import (
    FIRST_SHARD,
    STREAM,
    EmulatorProcess,
    data_of,
    error_code,
    put,
    read_from,
    wait_for,
)


def test_a_record_comes_back_as_it_was_put(kinesis: KinesisClient):
    before = time.time()
    payload = bytes(range(256))
    answer = kinesis.put_record(StreamName=STREAM, Data=payload, PartitionKey="Ä")

    (record,) = read_from(kinesis)

    assert record["Data"] == payload
    assert record["PartitionKey"] == "Ä"
    assert record["SequenceNumber"] == answer["SequenceNumber"]
    assert before - 0.001 <= record["ApproximateArrivalTimestamp"].timestamp()
    assert record["ApproximateArrivalTimestamp"].timestamp() <= time.time()


def test_records_of_a_shard_are_read_in_the_order_of_their_numbers(
    kinesis: KinesisClient,
):
    payloads = [b"%d" % number for number in range(300)]
    answer = put(kinesis, payloads[:200])
    put(kinesis, payloads[200:])

    records = read_from(kinesis)

    assert data_of(records) == payloads
    numbers = [int(record["SequenceNumber"]) for record in records]
    assert numbers == sorted(set(numbers))
    assert [r["SequenceNumber"] for r in answer["Records"]] == [
        record["SequenceNumber"] for record in records[:200]
    ]


def test_records_go_to_the_shard_of_their_key(emulator: EmulatorProcess):
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=4)
    entries = [{"Data": b"%d" % n, "PartitionKey": str(n)} for n in range(100)]
    entries += [
        {"Data": b"x", "PartitionKey": "x", "ExplicitHashKey": str(quarter << 126)}
        for quarter in range(4)
    ]

    answer = client.put_records(StreamName=STREAM, Records=entries)

    shards = [int(record["ShardId"][-1]) for record in answer["Records"]]
    assert set(shards[:100]) == {0, 1, 2, 3}
    assert shards[100:] == [0, 1, 2, 3]
    for index in range(4):
        records = read_from(client, f"shardId-{index:012d}")
        assert len(records) == shards.count(index)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("TRIM_HORIZON", [b"0", b"1", b"2"]),
        ("AT_SEQUENCE_NUMBER", [b"1", b"2"]),
        ("AFTER_SEQUENCE_NUMBER", [b"2"]),
        ("LATEST", []),
    ],
)
def test_reading_starts_where_the_iterator_says(
    kinesis: KinesisClient, kind: str, expected: list[bytes]
):
    answer = put(kinesis, [b"0", b"1", b"2"])
    place = {"ShardIteratorType": kind}
    if "SEQUENCE" in kind:
        place["StartingSequenceNumber"] = answer["Records"][1]["SequenceNumber"]

    assert data_of(read_from(kinesis, place=place)) == expected


def test_reading_starts_at_a_time(kinesis: KinesisClient):
    def arrivals() -> list[datetime]:
        put(kinesis, [b"x"])
        times = [r["ApproximateArrivalTimestamp"] for r in read_from(kinesis)]
        return times if len(set(times)) >= 3 else []

    all_arrivals = wait_for(arrivals)
    middle = sorted(set(all_arrivals))[1]

    place = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": middle}
    records = read_from(kinesis, place=place)

    assert [r["ApproximateArrivalTimestamp"] for r in records] == [
        arrival for arrival in all_arrivals if arrival >= middle
    ]


def test_a_reader_that_waits_gets_what_comes(kinesis: KinesisClient):
    iterator = kinesis.get_shard_iterator(
        StreamName=STREAM, ShardId=FIRST_SHARD, ShardIteratorType="LATEST"
    )["ShardIterator"]
    received: list[bytes] = []
    for number in range(5):
        put(kinesis, [b"%d" % number])
        answer = kinesis.get_records(ShardIterator=iterator)
        received += data_of(answer["Records"])
        iterator = answer["NextShardIterator"]

    assert received == [b"0", b"1", b"2", b"3", b"4"]


def test_a_response_holds_at_most_ten_mib(kinesis: KinesisClient):
    for _ in range(12):
        put(kinesis, [b"x" * (1 << 20)])
    iterator = kinesis.get_shard_iterator(
        StreamName=STREAM, ShardId=FIRST_SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]

    first = kinesis.get_records(ShardIterator=iterator)
    second = kinesis.get_records(ShardIterator=first["NextShardIterator"])

    assert (len(first["Records"]), len(second["Records"])) == (9, 3)
    assert first["MillisBehindLatest"] > 0
    assert second["MillisBehindLatest"] == 0


def test_a_record_may_have_ten_mib(kinesis: KinesisClient):
    payload = b"x" * ((10 << 20) - len("AAPL"))
    put(kinesis, [payload])

    assert data_of(read_from(kinesis)) == [payload]
    assert error_code(lambda: put(kinesis, [payload + b"x"])) == "ValidationException"
