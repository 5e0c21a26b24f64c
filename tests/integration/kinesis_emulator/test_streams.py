"""Streams and shards are created, described, listed, deleted."""

from datetime import UTC, datetime
from typing import Any

import pytest
from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import (
    FIRST_SHARD,
    STREAM,
    EmulatorProcess,
    error_code,
)


def test_a_stream_from_creation_to_deletion(emulator: EmulatorProcess):
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=3)
    client.get_waiter("stream_exists").wait(StreamName=STREAM)

    described = client.describe_stream(StreamName=STREAM)["StreamDescription"]
    assert described["StreamStatus"] == "ACTIVE"
    assert described["RetentionPeriodHours"] == 24
    assert [shard["ShardId"][-1] for shard in described["Shards"]] == ["0", "1", "2"]
    assert described["Shards"] == client.list_shards(StreamName=STREAM)["Shards"]
    by_arn = client.describe_stream_summary(StreamARN=described["StreamARN"])
    assert by_arn["StreamDescriptionSummary"]["OpenShardCount"] == 3
    assert client.list_streams()["StreamNames"] == [STREAM]

    client.delete_stream(StreamName=STREAM)
    assert client.list_streams()["StreamNames"] == []


def test_streams_are_listed_in_pages(emulator: EmulatorProcess):
    client = emulator.client()
    names = [f"stream-{number}" for number in range(5)]
    for name in names:
        client.create_stream(StreamName=name, ShardCount=1)

    pages = list(
        client.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 2})
    )

    assert [len(page["StreamNames"]) for page in pages] == [2, 2, 1]
    assert [name for page in pages for name in page["StreamNames"]] == names


def test_shards_are_listed_in_pages(emulator: EmulatorProcess):
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=5)
    page = client.list_shards(StreamName=STREAM, MaxResults=2)
    shards = page["Shards"]
    while "NextToken" in page:
        page = client.list_shards(NextToken=page["NextToken"])
        shards += page["Shards"]

    assert [shard["ShardId"] for shard in shards] == [
        f"shardId-{index:012d}" for index in range(5)
    ]
    described = client.get_paginator("describe_stream").paginate(
        StreamName=STREAM, PaginationConfig={"PageSize": 2}
    )
    assert shards == [
        shard for page in described for shard in page["StreamDescription"]["Shards"]
    ]


@pytest.mark.parametrize(
    ("shard_filter", "expected"),
    [
        ({"Type": "AT_LATEST"}, 3),
        ({"Type": "FROM_TRIM_HORIZON"}, 3),
        ({"Type": "AFTER_SHARD_ID", "ShardId": FIRST_SHARD}, 2),
        ({"Type": "AT_TIMESTAMP", "Timestamp": datetime(2020, 1, 1, tzinfo=UTC)}, 0),
        ({"Type": "FROM_TIMESTAMP", "Timestamp": datetime(2020, 1, 1, tzinfo=UTC)}, 3),
    ],
)
def test_shards_are_filtered(
    emulator: EmulatorProcess, shard_filter: dict[str, Any], expected: int
):
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=3)

    answer = client.list_shards(StreamName=STREAM, ShardFilter=shard_filter)

    assert len(answer["Shards"]) == expected


def test_an_on_demand_stream_starts_with_four_shards(emulator: EmulatorProcess):
    client = emulator.client()
    client.create_stream(
        StreamName=STREAM, StreamModeDetails={"StreamMode": "ON_DEMAND"}
    )

    summary = client.describe_stream_summary(StreamName=STREAM)
    described = summary["StreamDescriptionSummary"]
    assert described["OpenShardCount"] == 4
    assert described["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}


def test_retention_can_be_changed_within_limits(kinesis: KinesisClient):
    def hours() -> int:
        summary = kinesis.describe_stream_summary(StreamName=STREAM)
        return summary["StreamDescriptionSummary"]["RetentionPeriodHours"]

    increase = kinesis.increase_stream_retention_period
    decrease = kinesis.decrease_stream_retention_period
    increase(StreamName=STREAM, RetentionPeriodHours=48)
    assert hours() == 48
    decrease(StreamName=STREAM, RetentionPeriodHours=24)
    assert hours() == 24
    for call, wrong_hours in ((increase, 8_761), (increase, 23), (decrease, 25)):
        assert (
            error_code(
                lambda call=call, wrong_hours=wrong_hours: call(
                    StreamName=STREAM, RetentionPeriodHours=wrong_hours
                )
            )
            == "InvalidArgumentException"
        )
