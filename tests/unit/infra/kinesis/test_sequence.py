from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.kinesis import sequence

CREATED_MS = 1_795_000_000_000
clock_readings = st.lists(
    st.integers(CREATED_MS, CREATED_MS + 10_000), min_size=2, max_size=50
)
positions = st.integers(sequence.position_at(CREATED_MS), (1 << 63) - 1)
shard_indexes = st.integers(0, 10_000)


@given(clock_readings, shard_indexes)
def test_numbers_strictly_increase_whatever_the_clock_does(
    readings: list[int], shard_index: int
):
    base = sequence.sequence_base(shard_index, CREATED_MS)
    position = sequence.position_at(CREATED_MS)
    numbers = [int(sequence.sequence_number(base, position))]
    for now_ms in readings:
        position = sequence.next_position(position, now_ms)
        numbers.append(int(sequence.sequence_number(base, position)))

    assert all(earlier < later for earlier, later in pairwise(numbers))


@given(clock_readings)
def test_arrival_is_the_latest_reading_of_the_clock(readings: list[int]):
    position = sequence.position_at(CREATED_MS)
    for now_ms in readings:
        position = sequence.next_position(position, now_ms)

    assert sequence.arrival_ms(position) == max(readings)


@given(positions, shard_indexes)
def test_a_number_tells_its_position(position: int, shard_index: int):
    base = sequence.sequence_base(shard_index, CREATED_MS)

    number = sequence.sequence_number(base, position)

    assert sequence.position_of(base, number) == position


@given(positions, shard_indexes)
def test_numbers_look_like_those_of_aws(position: int, shard_index: int):
    base = sequence.sequence_base(shard_index, CREATED_MS)

    number = sequence.sequence_number(base, position)

    assert len(number) == 56
    assert number.startswith("49")


@given(positions, st.lists(shard_indexes, min_size=2, max_size=2, unique=True))
def test_a_number_of_another_shard_is_refused(position: int, two_shards: list[int]):
    one, other = (sequence.sequence_base(index, CREATED_MS) for index in two_shards)

    with pytest.raises(ValueError, match="no sequence number of this shard"):
        sequence.position_of(other, sequence.sequence_number(one, position))


def test_a_number_of_an_earlier_stream_of_that_name_is_refused():
    earlier = sequence.sequence_base(0, CREATED_MS - 60_000)
    number = sequence.sequence_number(earlier, sequence.position_at(CREATED_MS))

    with pytest.raises(ValueError, match="no sequence number of this shard"):
        sequence.position_of(sequence.sequence_base(0, CREATED_MS), number)
