"""Planned ranges of a real emulator in this process."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bronze.calls import IteratorExpired, Throttled
from bronze.positions import Position, with_children
from bronze.shards import Bounds, ShardReader
from bronze.trimming import Trimmed
from conf.errors import FixSetup, RetryLater
from conf.kinesis import open_client
from conf.settings import KinesisSettings
from tests.unit.bronze.emulated import (
    HOUR_S,
    NOON_S,
    STREAM,
    Kinesis,
    open_kinesis,
)

FIRST = "shardId-000000000000"
PLENTY = Bounds(10_000_000)


def a_reader(kinesis: Kinesis, *, fails: bool = True) -> ShardReader:
    return ShardReader(
        kinesis.client, STREAM, fail_on_data_loss=fails, now_s=kinesis.now_s
    )


def numbers(records: list[dict]) -> list[int]:
    return [int(record["Data"]) for record in records]


def read_all(
    kinesis: Kinesis, max_bytes: int
) -> Iterator[tuple[list[dict], str, Position]]:
    reader, position = a_reader(kinesis), "TRIM_HORIZON"
    # it asks for more than it may take, and leaves some of each page
    reader._record_bytes = 100.0
    while True:
        records, end = reader.read_after(FIRST, position, Bounds(max_bytes))
        if not records:
            return
        yield records, position, end
        position = end


@settings(max_examples=15)
@given(
    st.lists(st.integers(min_value=1, max_value=3_000), max_size=20),
    st.integers(min_value=1, max_value=8_000),
)
def test_ranges_hold_every_record_once_and_can_be_read_again(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], max_bytes: int
):
    with open_kinesis(tmp_path_factory.mktemp("ranges")) as kinesis:
        for number, size in enumerate(sizes):
            kinesis.put(number, size=size)
        batches = list(read_all(kinesis, max_bytes))
        again = a_reader(kinesis)

        found = [r for records, *_ in batches for r in records]
        assert numbers(found) == list(range(len(sizes)))
        for records, start, end in batches:
            size = sum(len(record["Data"]) for record in records)
            assert len(records) == 1 or size <= max_bytes
            repeated = list(again.read_between(FIRST, start, end))
            assert numbers(repeated) == numbers(records)


def test_a_closed_shard_ends_and_its_children_begin(kinesis: Kinesis):
    kinesis.put(*range(5))
    kinesis.split(FIRST)
    reader = a_reader(kinesis)

    records, end = reader.read_after(FIRST, "TRIM_HORIZON", PLENTY)

    assert end == f"END:{records[-1]['SequenceNumber']}"
    assert sorted(with_children({FIRST: end}, reader.parents)) == [
        FIRST,
        "shardId-000000000001",
        "shardId-000000000002",
    ]


def test_an_empty_closed_shard_ends_too(kinesis: Kinesis):
    kinesis.split(FIRST)

    assert a_reader(kinesis).read_after(FIRST, "TRIM_HORIZON", PLENTY) == ([], "END:0")


def test_a_shard_is_complete_until_it_was_read_at_its_tip(kinesis: Kinesis):
    kinesis.put(1, 2, 3)
    kinesis.clock_s += 60
    reader = a_reader(kinesis)

    _, behind = reader.read_after(FIRST, "TRIM_HORIZON", Bounds(1))
    _, at_tip = reader.read_after(FIRST, behind, PLENTY)
    kinesis.clock_s += 60
    records, later = reader.read_after(FIRST, at_tip, PLENTY)

    assert behind.complete_until_s == NOON_S
    assert at_tip.complete_until_s == NOON_S + 60
    assert records == []
    assert (later.place, later.complete_until_s) == (at_tip.place, NOON_S + 120)


def test_an_ending_leaves_what_arrived_later(kinesis: Kinesis):
    kinesis.put(1, 2)
    kinesis.clock_s += 10
    kinesis.put(3)
    until = Bounds(PLENTY.max_bytes, ending_s=NOON_S + 5)
    reader = a_reader(kinesis)

    records, end = reader.read_after(FIRST, "TRIM_HORIZON", until)

    assert numbers(records) == [1, 2]
    assert end.complete_until_s == NOON_S + 5
    assert numbers(reader.read_after(FIRST, end, PLENTY)[0]) == [3]


def test_an_expired_iterator_is_renewed_where_the_last_read_ended(kinesis: Kinesis):
    kinesis.put(1, 2, 3)
    reader = a_reader(kinesis)
    first, position = reader.read_after(FIRST, "TRIM_HORIZON", PLENTY)
    kinesis.clock_s += 301
    kinesis.put(4)

    second, _ = reader.read_after(FIRST, position, PLENTY)

    assert numbers(first + second) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("aws:kinesis:stream-provisioned-throughput-exception", Throttled),
        ("aws:fis:inject-api-throttle-error", Throttled),
        ("aws:fis:inject-api-internal-error", RetryLater),
        ("aws:fis:inject-api-unavailable-error", RetryLater),
        ("aws:kinesis:stream-expired-iterator-exception", IteratorExpired),
    ],
)
def test_a_call_that_fails_for_a_moment_changes_nothing(
    kinesis: Kinesis, action: str, error: type[Exception]
):
    kinesis.put(1, 2)
    reader = a_reader(kinesis)
    reader.refresh()
    kinesis.inject(action, count=1)

    with pytest.raises(error):
        reader.read_after(FIRST, "TRIM_HORIZON", PLENTY)

    assert numbers(reader.read_after(FIRST, "TRIM_HORIZON", PLENTY)[0]) == [1, 2]


def test_an_endpoint_where_nobody_listens_is_tried_again():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    reader = ShardReader(open_client(KinesisSettings(endpoint_url=endpoint)), "ticks")

    with pytest.raises(RetryLater):
        reader.refresh()


def test_a_planned_range_is_read_again_through_faults(kinesis: Kinesis):
    kinesis.put(*range(20))
    _, end = a_reader(kinesis).read_after(FIRST, "TRIM_HORIZON", PLENTY)
    kinesis.inject("aws:fis:inject-api-unavailable-error", count=2)
    kinesis.inject("aws:kinesis:stream-expired-iterator-exception", count=1)

    again = a_reader(kinesis).read_between(FIRST, "TRIM_HORIZON", end)

    assert numbers(list(again)) == list(range(20))


def test_a_planned_range_that_is_gone_is_an_error(kinesis: Kinesis):
    kinesis.put(1, 2, 3)
    _, end = a_reader(kinesis).read_after(FIRST, "TRIM_HORIZON", PLENTY)
    kinesis.clock_s += 25 * HOUR_S
    kinesis.put(4)

    with pytest.raises(Trimmed, match=f"shard {FIRST}: of the records of a batch"):
        list(a_reader(kinesis).read_between(FIRST, "TRIM_HORIZON", end))


def test_a_stream_that_was_made_anew_is_named(kinesis: Kinesis):
    kinesis.put(1)
    _, end = a_reader(kinesis).read_after(FIRST, "TRIM_HORIZON", PLENTY)
    kinesis.client.delete_stream(StreamName=STREAM)
    kinesis.clock_s += 1
    kinesis.client.create_stream(StreamName=STREAM, ShardCount=1)

    with pytest.raises(FixSetup, match="the stream was made anew"):
        a_reader(kinesis).read_after(FIRST, end, PLENTY)


def test_a_reader_that_keeps_up_makes_one_call_a_read(kinesis: Kinesis):
    kinesis.put(1)
    reader = a_reader(kinesis)
    _, position = reader.read_after(FIRST, "TRIM_HORIZON", PLENTY)
    kinesis.calls.clear()
    for number in range(2, 5):
        kinesis.put(number)
        _, position = reader.read_after(FIRST, position, PLENTY)

    assert kinesis.calls == ["PutRecords", "GetRecords"] * 3
