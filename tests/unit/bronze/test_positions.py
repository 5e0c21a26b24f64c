"""Positions in a stream, and which shards may be read from now on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.positions import (
    Position,
    ancestors,
    lags_s,
    with_children,
    without_forgotten,
)

PARENTS = {"s0": [], "s1": ["s0"], "s2": ["s0"], "s3": ["s1", "s2"]}
places = st.one_of(
    st.integers(min_value=1).map(str),
    st.just("TRIM_HORIZON"),
    st.integers(1, 10**10).map(lambda seconds: f"AT:{seconds}.000"),
)


@given(places, st.one_of(st.none(), st.integers(0, 10**13)))
def test_a_position_keeps_place_and_time(place: str, until_ms: int | None):
    until_s = None if until_ms is None else until_ms / 1000
    position = Position(json.loads(json.dumps(Position.at(place, until_s))))

    assert position.place == place
    assert position.complete_until_s == until_s
    assert not position.is_end
    assert (position.sequence_number == place) == place.isdecimal()


def test_an_offset_of_an_earlier_version_is_understood():
    assert Position("49").sequence_number == "49"
    assert Position("49").complete_until_s is None
    assert Position("END:49").sequence_number == "49"
    assert Position("END:0").sequence_number is None


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("TRIM_HORIZON@5.000", {"ShardIteratorType": "TRIM_HORIZON"}),
        ("AT:7.500@9.000", {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 7.5}),
        (
            "49@5.000",
            {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": "49",
            },
        ),
    ],
)
def test_reading_goes_on_behind_the_place(position: str, expected: dict[str, object]):
    assert Position(position).iterator_arguments() == expected


def test_children_begin_when_their_parent_has_ended():
    assert with_children({"s0": "100"}, PARENTS) == {"s0": "100"}
    assert with_children({"s0": "END:100"}, PARENTS) == {
        "s0": "END:100",
        "s1": "TRIM_HORIZON",
        "s2": "TRIM_HORIZON",
    }


def test_a_merged_shard_waits_for_both_parents():
    one = {"s0": "END:1", "s1": "END:1", "s2": "5"}

    assert "s3" not in with_children(one, PARENTS)
    assert "s3" in with_children({**one, "s2": "END:5"}, PARENTS)


def test_a_parent_that_is_no_longer_listed_keeps_nobody_waiting():
    parents = {"s1": ["s0"], "s2": ["s0"]}

    assert "s1" not in with_children({"s0": "7"}, parents)
    assert "s1" in with_children({"s0": "END:7"}, parents)
    assert with_children({"s1": "5"}, parents) == {"s1": "5", "s2": "TRIM_HORIZON"}


def test_shards_from_before_the_first_position_are_never_begun():
    assert with_children({"s3": "AT:5.000"}, PARENTS) == {"s3": "AT:5.000"}
    assert ancestors({"s3"}, PARENTS) == {"s0", "s1", "s2"}


def test_an_ended_shard_is_dropped_once_the_stream_forgets_it():
    positions = {"s0": "END:1", "s1": "END:2", "gone": "7"}

    assert without_forgotten(positions, {"s1": ["s0"]}) == {"s1": "END:2", "gone": "7"}


def test_the_lag_is_the_time_since_which_a_shard_is_incomplete():
    offset = {"s0": "END:1", "s1": "5@90.000", "s2": "9@101.000", "s3": "TRIM_HORIZON"}

    assert lags_s(offset, now_s=100.0) == {"s1": 10.0, "s2": 0.0}
