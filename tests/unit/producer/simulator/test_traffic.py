import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from producer.simulator.slots import SECOND_NS, Slots
from producer.simulator.traffic import running_total

START_NS = 1_795_398_612_345_678_901


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9)), max_size=40),
    st.lists(st.integers(-99, 99), min_size=5, max_size=5),
)
def test_running_total_is_the_total_of_a_loop(
    events: list[tuple[int, int]], totals: list[int]
):
    expected, moving = [], list(totals)
    for key, step in events:
        moving[key] += step
        expected.append(moving[key])
    held = np.array(totals)

    keys = np.array([key for key, _ in events], np.int64)
    steps = np.array([step for _, step in events], np.int64)

    assert running_total(keys, steps, held).tolist() == expected
    assert held.tolist() == moving


@given(st.integers(1, 200_000), st.integers(0, 10**9))
def test_slots_divide_time_without_drift(rate: int, slot: int):
    slots = Slots(START_NS, rate)

    assert slots.starts_ns(slot, 3).tolist() == [
        slots.start_ns(each) for each in range(slot, slot + 3)
    ]
    assert slots.start_ns(rate * 86_400) == START_NS + 86_400 * SECOND_NS
    assert slots.first_from(slots.start_ns(slot)) == slot
    assert slots.first_from(slots.start_ns(slot) + 1) == slot + 1
