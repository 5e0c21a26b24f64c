"""The end of a bounded read, and the positions that reach it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bronze.kinesis_source import _ending_s
from bronze.positions import Position


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_position_complete_until_the_end_has_reached_it(microseconds: int):
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
    ending_s = _ending_s(moment.isoformat())
    reached = Position.at("1", ending_s).complete_until_s
    assert reached is not None
    assert reached >= ending_s
