import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.kinesis.errors import ApiError
from infra.local.kinesis.limits import UNLIMITED, ShardBudget
from infra.local.kinesis.streams import (
    Registry,
    Shard,
    Stream,
    even_hash_ranges,
    hash_key,
)

CREATED_MS = 1_795_000_000_000


def a_shard(
    index: int, hash_start: int, hash_end: int, end_position: int | None = None
) -> Shard:
    return Shard(
        key=index + 1,
        index=index,
        hash_start=hash_start,
        hash_end=hash_end,
        created_ms=CREATED_MS,
        last_position=0,
        tip=0,
        end_position=end_position,
        budget=ShardBudget(UNLIMITED),
    )


def a_stream(shards: list[Shard]) -> Stream:
    return Stream(
        name="ticks",
        created_ms=CREATED_MS,
        retention_hours=24,
        mode="PROVISIONED",
        max_record_bytes=1 << 20,
        shards=shards,
    )


@given(st.text(min_size=1, max_size=256))
def test_the_hash_key_is_the_md5_of_the_partition_key(partition_key: str):
    assert hash_key(partition_key) == int(
        hashlib.md5(partition_key.encode()).hexdigest(),  # noqa: S324 - AWS's choice
        16,
    )


@given(st.integers(1, 500))
def test_ranges_cover_every_hash_key_once(count: int):
    ranges = even_hash_ranges(count)

    assert len(ranges) == count
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 2**128 - 1
    assert all(end + 1 == start for (_, end), (start, _) in pairwise(ranges))


@given(st.integers(0, 2**128 - 1), st.integers(1, 50))
def test_a_key_goes_to_the_shard_whose_range_holds_it(key: int, count: int):
    ranges = even_hash_ranges(count)
    stream = a_stream([a_shard(i, *bounds) for i, bounds in enumerate(ranges)])

    shard = stream.route(key)

    assert shard.hash_start <= key <= shard.hash_end


def test_closed_shards_take_no_records():
    top, half = 2**128 - 1, 2**127
    parent = a_shard(0, 0, top, end_position=5)
    stream = a_stream([parent, a_shard(1, 0, half - 1), a_shard(2, half, top)])

    assert stream.route(0).index == 1
    assert stream.route(half).index == 2
    assert stream.open_shard_count == 2


def test_an_unknown_shard_is_refused():
    stream = a_stream([a_shard(0, 0, 2**128 - 1)])

    with pytest.raises(ApiError, match="ResourceNotFoundException"):
        stream.shard("shardId-000000000001")


def test_a_removed_stream_is_forgotten_with_its_shards():
    stream = a_stream([a_shard(0, 0, 2**128 - 1)])
    registry = Registry([stream])
    registry.remove(stream)

    assert "ticks" not in registry
    assert registry.shard(1) is None
    with pytest.raises(ApiError, match="Stream ticks under account"):
        registry.stream("ticks")
