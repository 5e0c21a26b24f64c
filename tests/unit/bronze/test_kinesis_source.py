"""The Spark data source without Spark, on an emulated stream."""

import json
from datetime import UTC, datetime

import pytest

from bronze.kinesis_source import KinesisSource
from tests.unit.bronze.emulated import HOUR_S, NOON_S, STREAM, Kinesis
from tests.unit.bronze.reading import (
    FIRST,
    SECOND,
    THIRD,
    Open,
    instant,
    numbers,
    read_until_quiet,
)


def test_the_format_is_called_kinesis():
    assert KinesisSource.name() == "kinesis"


# --- where to start


def test_only_the_oldest_shards_are_begun(kinesis: Kinesis, open_reader: Open):
    kinesis.split(FIRST)

    assert open_reader().initialOffset() == {FIRST: "TRIM_HORIZON"}


def test_a_time_is_an_instant(open_reader: Open):
    moment = "2026-11-23T10:00:00-05:00"
    offset = open_reader(initialPosition=f"AT_TIMESTAMP {moment}").initialOffset()

    expected = datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()
    assert offset == {FIRST: f"AT:{expected:.3f}"}


def test_a_time_begins_with_the_shards_that_were_open_then(
    kinesis: Kinesis, open_reader: Open
):
    kinesis.put(*range(10))
    kinesis.clock_s += 60
    kinesis.split(FIRST)
    kinesis.put(*range(10, 20))
    kinesis.clock_s += 60
    kinesis.put(*range(20, 30))
    kinesis.clock_s += 60
    reader = open_reader(initialPosition=f"AT_TIMESTAMP {instant(NOON_S + 100)}")

    start = reader.initialOffset()
    found, end = read_until_quiet(reader, start)

    assert start.keys() == {SECOND, THIRD}
    assert sorted(numbers(found)) == list(range(20, 30))
    assert end.keys() == {SECOND, THIRD}


@pytest.mark.parametrize(
    "position",
    [
        "nonsense",
        "",
        "AT_TIMESTAMP",
        "AT_TIMESTAMP soon",
        "AT_TIMESTAMP 2026-11-23T15:00:00",  # of which time zone?
    ],
)
def test_a_starting_point_that_means_nothing_is_refused_by_name(
    open_reader: Open, position: str
):
    with pytest.raises(ValueError, match=f"initialPosition: '{position}' is not"):
        open_reader(initialPosition=position).initialOffset()


def test_an_ending_that_means_nothing_is_refused_by_name(open_reader: Open):
    with pytest.raises(ValueError, match="endingTimestamp: 'soon' is not"):
        open_reader(endingTimestamp="soon")


def test_shards_go_on_after_the_records_that_bronze_holds(
    kinesis: Kinesis, open_reader: Open
):
    kinesis.split(FIRST)
    held = {FIRST: "7", SECOND: "9", "shardId-gone": "3"}

    # the third begins when the first has ended; of the second some is there already
    start = open_reader(startAfter=json.dumps(held)).initialOffset()

    assert start == {FIRST: "7", SECOND: "9"}


def test_a_forgotten_shard_with_an_unread_child_is_looked_at(
    kinesis: Kinesis, open_reader: Open
):
    kinesis.put(1)
    _, end = read_until_quiet(open_reader(), {FIRST: "TRIM_HORIZON"})
    kinesis.put(2)
    kinesis.split(FIRST)
    kinesis.clock_s += 25 * HOUR_S
    kinesis.trim()
    reader = open_reader(startAfter=json.dumps(end))

    start = reader.initialOffset()

    assert start[FIRST] == end[FIRST]
    with pytest.raises(Exception, match="trimmed before it was read"):
        reader.read(start)


# --- resharding


def test_a_split_while_running_keeps_the_order(kinesis: Kinesis, open_reader: Open):
    reader = open_reader()
    kinesis.put(*range(10))
    first, end = read_until_quiet(reader, reader.initialOffset())
    kinesis.put(*range(10, 20))
    kinesis.split(FIRST)
    kinesis.put(*range(20, 30))

    found, end = read_until_quiet(reader, end)

    assert numbers(first) == list(range(10))
    assert numbers(found)[:10] == list(range(10, 20))
    assert sorted(numbers(found)[10:]) == list(range(20, 30))
    assert end[FIRST].startswith("END:")


def test_what_was_resharded_while_down_is_read_parents_first(
    kinesis: Kinesis, open_reader: Open
):
    reader = open_reader()
    kinesis.put(*range(10))
    _, end = read_until_quiet(reader, reader.initialOffset())
    kinesis.put(*range(10, 20))
    kinesis.split(FIRST)
    kinesis.put(*range(20, 30))
    kinesis.client.merge_shards(
        StreamName=STREAM, ShardToMerge=SECOND, AdjacentShardToMerge=THIRD
    )
    kinesis.put(*range(30, 40))
    kinesis.client.update_shard_count(
        StreamName=STREAM, TargetShardCount=2, ScalingType="UNIFORM_SCALING"
    )
    kinesis.put(*range(40, 50))

    found, end = read_until_quiet(open_reader(), end)

    assert numbers(found)[:10] == list(range(10, 20))
    generations = [numbers(found)[i : i + 10] for i in range(10, 40, 10)]
    assert [sorted(g) for g in generations] == [
        list(range(20, 30)),
        list(range(30, 40)),
        list(range(40, 50)),
    ]
    assert sum(position.startswith("END:") for position in end.values()) == 4


def test_shards_that_were_read_and_forgotten_leave_the_offset(
    kinesis: Kinesis, open_reader: Open
):
    reader = open_reader()
    kinesis.split(FIRST)
    kinesis.put(*range(10))
    _, end = read_until_quiet(reader, reader.initialOffset())
    kinesis.clock_s += 20 * HOUR_S
    kinesis.put(*range(10, 20))
    _, end = read_until_quiet(reader, end)
    kinesis.clock_s += 5 * HOUR_S
    kinesis.trim()
    kinesis.put(*range(20, 30))

    found, end = read_until_quiet(open_reader(), end)

    assert sorted(numbers(found)) == list(range(20, 30))
    assert end.keys() == {SECOND, THIRD}


# --- bounds


def test_a_backlog_is_read_in_bounded_batches(kinesis: Kinesis, open_reader: Open):
    kinesis.split(FIRST)
    for minute in range(12):
        kinesis.put(*range(minute * 20, minute * 20 + 20), size=1_000)
        kinesis.clock_s += 60
    reader = open_reader(maxBatchBytes=8_000)
    end, sizes, found = reader.initialOffset(), list[int](), list[int]()
    while True:
        rows, new_end = reader.read(end)
        payloads = [row[0] for row in rows]
        if new_end == end:
            break
        sizes.append(sum(map(len, payloads)))
        found += [int(payload) for payload in payloads]
        end = new_end

    assert max(sizes) <= 8_000
    assert sorted(found) == list(range(240))
    # the shard that is furthest behind goes first: none is minutes ahead of the other
    ages = [number // 20 for number in found]
    assert all(age >= newest - 4 for newest, age in zip(ages[16:], ages, strict=False))


def test_an_ending_is_reached_though_more_keeps_coming(
    kinesis: Kinesis, open_reader: Open
):
    kinesis.put(*range(10))
    kinesis.clock_s += 60
    kinesis.put(*range(10, 20))
    reader = open_reader(endingTimestamp=instant(NOON_S + 30), maxBatchBytes=30)

    found, end = read_until_quiet(reader, reader.initialOffset())
    again, _ = read_until_quiet(open_reader(), end)

    assert numbers(found) == list(range(10))
    assert numbers(again) == list(range(10, 20))


def test_an_ending_waits_for_a_shard_that_is_throttled(
    kinesis: Kinesis, open_reader: Open
):
    kinesis.put(*range(10))
    kinesis.clock_s += 60
    reader = open_reader(endingTimestamp=instant(NOON_S + 30))
    start = reader.initialOffset()
    kinesis.inject("aws:kinesis:stream-provisioned-throughput-exception", count=1)

    rows, _ = reader.read(start)

    assert [int(row[0]) for row in rows] == list(range(10))


def test_an_ending_follows_the_children(kinesis: Kinesis, open_reader: Open):
    kinesis.put(*range(10))
    kinesis.split(FIRST)
    kinesis.put(*range(10, 20))
    kinesis.clock_s += 60
    reader = open_reader(endingTimestamp=instant(NOON_S + 30))

    found, _ = read_until_quiet(reader, reader.initialOffset())

    assert sorted(numbers(found)) == list(range(20))


# --- idle and disturbed


def test_an_idle_stream_costs_no_batches(kinesis: Kinesis, open_reader: Open):
    reader = open_reader()
    kinesis.put(1)
    _, end = read_until_quiet(reader, reader.initialOffset())

    for _ in range(5):
        kinesis.clock_s += 60
        rows, same = reader.read(end)
        assert (list(rows), same) == ([], end)
    kinesis.clock_s += 600
    rows, stamped = reader.read(end)

    # now and then the offset says how far the shard is complete
    assert list(rows) == []
    assert stamped != end


def test_a_throttled_shard_rests_while_the_others_go_on(
    kinesis: Kinesis, open_reader: Open
):
    kinesis.split(FIRST)
    reader = open_reader()
    _, end = read_until_quiet(reader, reader.initialOffset())
    kinesis.put(*range(20))
    kinesis.inject("aws:kinesis:stream-provisioned-throughput-exception", count=1)

    rows, new_end = reader.read(end)

    shards = {row[4] for row in rows}
    assert len(shards) == 1
    assert sum(end[shard] != new_end[shard] for shard in end) == 1


def test_a_range_is_repeated_from_its_start_to_its_end(
    kinesis: Kinesis, open_reader: Open, monkeypatch: pytest.MonkeyPatch
):
    kinesis.put(*range(10))
    reader = open_reader()
    start = reader.initialOffset()
    rows, end = reader.read(start)
    kinesis.put(*range(10, 20))
    successor = open_reader()
    monkeypatch.setattr(successor, "_new_reader", successor._shards)

    assert list(successor.readBetweenOffsets(start, end)) == list(rows)
