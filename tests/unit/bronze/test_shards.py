"""Positions in a stream: planned ranges, resharding, trimmed records."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.shards import Position, ShardReader, Trimmed, next_positions

ARRIVAL = datetime(2026, 11, 23, 15, tzinfo=UTC)
PLENTY = 10_000_000


class ExpiredIteratorException(Exception):
    """As boto3's."""


class ProvisionedThroughputExceededException(Exception):
    """As boto3's."""


class FakeKinesis:
    """One shard in memory, with the four read calls of a boto3 client."""

    class exceptions:  # noqa: N801 (boto3's spelling)
        ExpiredIteratorException = ExpiredIteratorException
        ProvisionedThroughputExceededException = ProvisionedThroughputExceededException

    def __init__(self, sizes: list[int], *, closed: bool = False) -> None:
        self.records = [
            {
                "Data": b"x" * size,
                "SequenceNumber": str(100 + i),
                "PartitionKey": "k",
                "ApproximateArrivalTimestamp": ARRIVAL,
            }
            for i, size in enumerate(sizes)
        ]
        self.closed, self.failures = closed, list[Exception]()

    def list_shards(self, **_):
        return {"Shards": [{"ShardId": "s0"}]}

    def get_shard_iterator(self, *, ShardIteratorType, **arguments):  # noqa: N803
        if ShardIteratorType == "AFTER_SEQUENCE_NUMBER":
            after = int(arguments["StartingSequenceNumber"])
            return {"ShardIterator": str(after + 1)}
        return {"ShardIterator": "0"}

    def get_records(self, *, ShardIterator, Limit):  # noqa: N803
        if self.failures:
            raise self.failures.pop()
        following = [
            r for r in self.records if int(r["SequenceNumber"]) >= int(ShardIterator)
        ]
        page = following[:Limit]
        end = int(page[-1]["SequenceNumber"]) + 1 if page else int(ShardIterator)
        done = self.closed and len(page) == len(following)
        return {
            "Records": page,
            "NextShardIterator": None if done else str(end),
            "MillisBehindLatest": 0 if len(page) == len(following) else 1,
        }


def read_all(kinesis: FakeKinesis, max_bytes: int) -> Iterator[tuple[list, str, str]]:
    reader, position = ShardReader(kinesis, "stream"), "TRIM_HORIZON"
    while True:
        records, end = reader.read_after("s0", position, max_bytes)
        if not records:
            return
        yield records, position, end
        position = end


@given(
    st.lists(st.integers(min_value=1, max_value=90_000), max_size=40),
    st.integers(min_value=1, max_value=200_000),
)
def test_ranges_hold_every_record_once_and_can_be_read_again(sizes, max_bytes):
    kinesis = FakeKinesis(sizes)
    batches = list(read_all(kinesis, max_bytes))
    again = ShardReader(kinesis, "stream")

    assert [r for records, *_ in batches for r in records] == kinesis.records
    for records, start, end in batches:
        assert len(records) == 1 or sum(len(r["Data"]) for r in records) <= max_bytes
        assert list(again.read_between("s0", start, Position(end))) == records


def test_a_closed_shard_ends_and_its_children_begin():
    reader = ShardReader(FakeKinesis([5], closed=True), "stream")
    _, end = reader.read_after("s0", "TRIM_HORIZON", PLENTY)
    parents = {"s0": [], "s1": ["s0"], "s2": ["s0"]}

    assert end == "END:100"
    assert next_positions({"s0": "100"}, parents) == {"s0": "100"}
    assert next_positions({"s0": end}, parents) == {
        "s0": "END:100",
        "s1": "TRIM_HORIZON",
        "s2": "TRIM_HORIZON",
    }


def test_a_merged_shard_waits_for_both_parents():
    parents = {"s0": [], "s1": [], "s2": ["s0", "s1"]}

    assert "s2" not in next_positions({"s0": "END:1", "s1": "5"}, parents)
    assert "s2" in next_positions({"s0": "END:1", "s1": "END:5"}, parents)


def test_a_trimmed_position_is_an_error_that_names_the_range():
    kinesis = FakeKinesis([1] * 10)
    del kinesis.records[:5]  # 100..104 are gone
    reader = ShardReader(kinesis, "stream")

    with pytest.raises(Trimmed, match=r"shard s0.*after 102.*oldest one left is 105"):
        reader.read_after("s0", "102", PLENTY)
    with pytest.raises(Trimmed):
        list(reader.read_between("s0", "TRIM_HORIZON", Position("103")))


def test_an_expired_iterator_is_renewed_where_the_last_read_ended():
    kinesis = FakeKinesis([1, 1, 1])
    reader = ShardReader(kinesis, "stream")
    records, position = reader.read_after("s0", "TRIM_HORIZON", 1)
    kinesis.failures = [ExpiredIteratorException()]
    more, _ = reader.read_after("s0", position, PLENTY)

    assert [r["SequenceNumber"] for r in records + more] == ["100", "101", "102"]


def test_a_throttled_read_returns_nothing_and_stays_where_it_was():
    kinesis = FakeKinesis([1, 1])
    reader = ShardReader(kinesis, "stream")
    kinesis.failures = [ProvisionedThroughputExceededException()]

    assert reader.read_after("s0", "TRIM_HORIZON", PLENTY) == ([], "TRIM_HORIZON")
    assert len(reader.read_after("s0", "TRIM_HORIZON", PLENTY)[0]) == 2
