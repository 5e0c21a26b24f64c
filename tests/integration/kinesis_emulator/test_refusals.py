"""What the API refuses, with the code that AWS gives."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import FIRST_SHARD, STREAM, error_code


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        ("create_stream", {"StreamName": STREAM, "ShardCount": 1}, "ResourceInUse"),
        ("create_stream", {"StreamName": "a b", "ShardCount": 1}, "Validation"),
        ("create_stream", {"StreamName": "new"}, "InvalidArgument"),
        ("create_stream", {"StreamName": "new", "ShardCount": 501}, "LimitExceeded"),
        ("delete_stream", {"StreamName": "none"}, "ResourceNotFound"),
        ("describe_stream", {"StreamName": "none"}, "ResourceNotFound"),
        ("describe_stream", {}, "InvalidArgument"),
        ("list_shards", {"NextToken": "none"}, "InvalidArgument"),
        ("list_shards", {"NextToken": "x", "StreamName": STREAM}, "InvalidArgument"),
        ("get_records", {"ShardIterator": "none"}, "InvalidArgument"),
        ("get_records", {"ShardIterator": "x", "Limit": 10_001}, "Validation"),
        (
            "put_record",
            {"StreamName": "none", "Data": b"", "PartitionKey": "k"},
            "ResourceNotFound",
        ),
        (
            "put_record",
            {"StreamName": STREAM, "Data": b"", "PartitionKey": "k" * 257},
            "Validation",
        ),
        (
            "put_record",
            {
                "StreamName": STREAM,
                "Data": b"",
                "PartitionKey": "k",
                "ExplicitHashKey": str(2**128),
            },
            "InvalidArgument",
        ),
        (
            "put_record",
            {"StreamName": STREAM, "Data": b"", "PartitionKey": "k", "DryRun": True},
            "Validation",
        ),
        (
            "put_records",
            {
                "StreamName": STREAM,
                "Records": [{"Data": b"", "PartitionKey": "k"}] * 501,
            },
            "Validation",
        ),
        (
            "put_records",
            {
                "StreamName": STREAM,
                "Records": [{"Data": b"x" * (1 << 20), "PartitionKey": "k"}] * 10,
            },
            "InvalidArgument",
        ),
        (
            "get_shard_iterator",
            {
                "StreamName": STREAM,
                "ShardId": "shardId-000000000009",
                "ShardIteratorType": "LATEST",
            },
            "ResourceNotFound",
        ),
        (
            "get_shard_iterator",
            {
                "StreamName": STREAM,
                "ShardId": FIRST_SHARD,
                "ShardIteratorType": "NEWEST",
            },
            "Validation",
        ),
        (
            "get_shard_iterator",
            {
                "StreamName": STREAM,
                "ShardId": FIRST_SHARD,
                "ShardIteratorType": "AT_TIMESTAMP",
            },
            "InvalidArgument",
        ),
        (
            "get_shard_iterator",
            {
                "StreamName": STREAM,
                "ShardId": FIRST_SHARD,
                "ShardIteratorType": "AT_TIMESTAMP",
                "Timestamp": datetime(2100, 1, 1, tzinfo=UTC),
            },
            "InvalidArgument",
        ),
        (
            "get_shard_iterator",
            {
                "StreamName": STREAM,
                "ShardId": FIRST_SHARD,
                "ShardIteratorType": "AT_SEQUENCE_NUMBER",
            },
            "InvalidArgument",
        ),
        (
            "get_shard_iterator",
            {
                "StreamName": STREAM,
                "ShardId": FIRST_SHARD,
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": "1",
            },
            "InvalidArgument",
        ),
    ],
)
def test_what_is_refused(
    kinesis: KinesisClient, operation: str, parameters: dict[str, Any], code: str
):
    call = getattr(kinesis, operation)

    assert error_code(lambda: call(**parameters)) == f"{code}Exception"


def test_an_operation_that_is_not_emulated_is_named(kinesis: KinesisClient):
    with pytest.raises(
        ClientError, match="'DescribeLimits' is not emulated"
    ) as refused:
        kinesis.describe_limits()

    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
