"""Splits and merges, as a stock client sees them."""

import signal
from collections.abc import Callable
from itertools import pairwise

import pytest
from types_boto3_kinesis import KinesisClient

from tests.integration.kinesis_emulator.running import (
    FIRST_SHARD,
    STREAM,
    EmulatorProcess,
    data_of,
    error_code,
    read_from,
)

HALF = str(2**127)


def shard_id(index: int) -> str:
    return f"shardId-{index:012d}"


def read_line(client: KinesisClient) -> list[bytes]:
    """Read from the first shard through all that follow it, as a correct reader."""
    found, waiting, done = list[bytes](), [FIRST_SHARD], set[str]()
    while waiting:
        shard = waiting.pop(0)
        token: str | None = client.get_shard_iterator(
            StreamName=STREAM, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while token:
            answer = client.get_records(ShardIterator=token, Limit=3)
            found += data_of(answer["Records"])
            token = answer.get("NextShardIterator")
            if token and not answer["Records"]:
                break
        done.add(shard)
        waiting += [
            child["ShardId"]
            for child in answer.get("ChildShards", [])
            if done.issuperset(child["ParentShards"])
        ]
    return found


def put(client: KinesisClient, *keys: int) -> list[bytes]:
    sent = [b"%d" % key for key in keys]
    entries = [{"Data": data, "PartitionKey": data.decode()} for data in sent]
    answer = client.put_records(StreamName=STREAM, Records=entries)
    assert answer["FailedRecordCount"] == 0
    return sent


def test_a_reader_comes_from_the_parents_to_the_children(kinesis: KinesisClient):
    sent = put(kinesis, *range(10))
    kinesis.split_shard(
        StreamName=STREAM, ShardToSplit=FIRST_SHARD, NewStartingHashKey=HALF
    )
    sent += put(kinesis, *range(10, 20))
    kinesis.merge_shards(
        StreamName=STREAM,
        ShardToMerge=shard_id(1),
        AdjacentShardToMerge=shard_id(2),
    )
    sent += put(kinesis, *range(20, 30))

    found = read_line(kinesis)

    assert sorted(found) == sorted(sent)
    assert found[:10] == sent[:10]
    assert found[20:] == sent[20:]


def test_closed_shards_say_where_they_end(kinesis: KinesisClient):
    put(kinesis, 1)
    (record,) = read_from(kinesis)
    kinesis.split_shard(
        StreamName=STREAM, ShardToSplit=FIRST_SHARD, NewStartingHashKey=HALF
    )

    parent, lower, upper = kinesis.list_shards(StreamName=STREAM)["Shards"]

    end = parent["SequenceNumberRange"]["EndingSequenceNumber"]
    assert int(end) > int(record["SequenceNumber"])
    for child in (lower, upper):
        assert child["ParentShardId"] == FIRST_SHARD
        assert "EndingSequenceNumber" not in child["SequenceNumberRange"]
    assert upper["HashKeyRange"]["StartingHashKey"] == HALF


def test_an_update_of_the_count_makes_equal_shards(kinesis: KinesisClient):
    for target in (2, 3, 2):
        answer = kinesis.update_shard_count(
            StreamName=STREAM, TargetShardCount=target, ScalingType="UNIFORM_SCALING"
        )
        assert answer["TargetShardCount"] == target
        shards = kinesis.list_shards(
            StreamName=STREAM, ShardFilter={"Type": "AT_LATEST"}
        )["Shards"]
        ranges = sorted(
            (int(r["StartingHashKey"]), int(r["EndingHashKey"]))
            for r in (shard["HashKeyRange"] for shard in shards)
        )
        assert len(ranges) == target
        assert all(end + 1 == start for (_, end), (start, _) in pairwise(ranges))
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM)


@pytest.mark.parametrize(
    ("target", "code"), [(3, "LimitExceeded"), (501, "LimitExceeded")]
)
def test_a_count_that_is_too_far_is_refused(
    kinesis: KinesisClient, target: int, code: str
):
    assert error_code(
        lambda: kinesis.update_shard_count(
            StreamName=STREAM, TargetShardCount=target, ScalingType="UNIFORM_SCALING"
        )
    ).startswith(code)


@pytest.mark.parametrize(
    ("shard", "key", "code"),
    [
        (FIRST_SHARD, "1", "InvalidArgumentException"),
        (FIRST_SHARD, str(2**128 - 1), "InvalidArgumentException"),
        (shard_id(7), HALF, "ResourceNotFoundException"),
    ],
)
def test_a_split_that_makes_no_two_shards_is_refused(
    kinesis: KinesisClient, shard: str, key: str, code: str
):
    refused = error_code(
        lambda: kinesis.split_shard(
            StreamName=STREAM, ShardToSplit=shard, NewStartingHashKey=key
        )
    )
    assert refused == code


def test_shards_apart_or_closed_are_not_merged(kinesis: KinesisClient):
    def merge(first: int, second: int) -> str:
        return error_code(
            lambda: kinesis.merge_shards(
                StreamName=STREAM,
                ShardToMerge=shard_id(first),
                AdjacentShardToMerge=shard_id(second),
            )
        )

    for target in (2, 4):
        kinesis.update_shard_count(
            StreamName=STREAM, TargetShardCount=target, ScalingType="UNIFORM_SCALING"
        )
    assert merge(3, 6) == "InvalidArgumentException"
    assert merge(3, 3) == "InvalidArgumentException"
    assert merge(1, 2) == "InvalidArgumentException"
    assert merge(3, 9) == "ResourceNotFoundException"


def test_shards_survive_a_kill(start: Callable[..., EmulatorProcess]):
    emulator = start("--no-limits")
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=1)
    sent = put(client, *range(10))
    client.split_shard(
        StreamName=STREAM, ShardToSplit=FIRST_SHARD, NewStartingHashKey=HALF
    )
    sent += put(client, *range(10, 20))
    before = client.list_shards(StreamName=STREAM)["Shards"]
    emulator.stop(signal.SIGKILL)

    client = start("--no-limits").client()

    assert client.list_shards(StreamName=STREAM)["Shards"] == before
    sent += put(client, *range(20, 30))
    assert sorted(read_line(client)) == sorted(sent)
