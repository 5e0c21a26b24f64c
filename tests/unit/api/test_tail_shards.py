"""In which order a shard is read, and from when on nothing is missing."""

from datetime import UTC, datetime

import pytest

from api.recent import RecentRate, RecentSamples
from api.shard_reader import Course, Lane

MINUTE_S = 1_795_446_000.0


def test_head_and_past_take_turns_and_the_newest_past_comes_first():
    #  -2 min        -1 min        minute    started
    #    |--- third ---|--- second ---|- first -|-- head ->
    course = Course(MINUTE_S + 20, minutes_before=2)
    head, (first, second, third) = course.head, course.past
    assert (head.start_s, head.end_s) == (MINUTE_S + 20, None)
    assert (first.start_s, first.end_s) == (MINUTE_S, MINUTE_S + 20)
    assert (second.start_s, third.start_s) == (MINUTE_S - 60, MINUTE_S - 120)
    assert [course.next() for _ in range(4)] == [head, first, head, first]
    assert course.whole_since_s == MINUTE_S + 20
    first.is_finished = True
    course.drop_finished()
    assert course.whole_since_s == MINUTE_S
    assert [course.next() for _ in range(3)] == [head, second, head]
    second.is_finished = third.is_finished = True
    course.drop_finished()
    assert course.whole_since_s == MINUTE_S - 120
    assert [course.next() for _ in range(2)] == [head, head]


def test_a_shard_born_later_has_no_past():
    course = Course(MINUTE_S, minutes_before=None)
    assert [course.next() for _ in range(2)] == [course.head, course.head]
    assert course.whole_since_s == 0
    assert not course.is_finished
    course.head.is_finished = True
    assert course.is_finished


def test_the_past_of_a_closed_shard_is_read_to_its_end():
    course = Course(MINUTE_S, minutes_before=0)
    course.head.is_finished = True
    assert [course.next() for _ in range(3)] == [course.past[0]] * 3
    assert not course.is_finished


@pytest.mark.parametrize(
    ("end_s", "newest_s", "behind_ms", "ends"),
    [
        (None, 99.0, 0, False),
        (100.0, 99.999, 0, False),
        (100.0, 100.0, 5_000, True),
        (100.0, None, 5_000, False),
        (100.0, None, 0, True),
    ],
)
def test_a_lane_ends_with_the_first_record_behind_it(
    end_s: float | None, newest_s: float | None, behind_ms: int, ends: bool
):
    newest = newest_s and datetime.fromtimestamp(newest_s, UTC)
    assert Lane(0.0, end_s).ends(newest or None, behind_ms) is ends


def test_a_lane_goes_on_behind_the_last_record():
    lane = Lane(100.0)
    assert lane.iterator_arguments()["ShardIteratorType"] == "AT_TIMESTAMP"
    lane.last_read = "495"
    assert lane.iterator_arguments()["StartingSequenceNumber"] == "495"


def test_quantiles_are_those_of_the_window():
    samples = RecentSamples(window_s=60)
    assert samples.quantiles(0).p50_s is None
    samples.add(0, 1_000)
    for second in range(1, 102):
        samples.add(60.5, second / 100)
    assert (samples.quantiles(61).p50_s, samples.quantiles(61).p95_s) == (0.51, 0.96)
    assert samples.quantiles(121).p95_s is None


def test_a_rate_is_that_of_the_time_so_far_then_of_the_window():
    rate = RecentRate(window_s=5)
    assert rate.per_s(0) == 0.0
    for second in range(10):
        rate.add(second, 100)
        assert rate.per_s(second + 0.5) <= 200
    assert rate.per_s(9.5) == 100.0
    assert rate.per_s(60) == 0.0
