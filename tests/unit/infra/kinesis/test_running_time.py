"""Retention stands still while the emulator does not run."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from infra.local.kinesis.running_time import (
    SHORTEST_PAUSE_MS,
    Pause,
    pause_between,
    time_before,
)

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000


@st.composite
def pauses(draw: st.DrawFn) -> list[Pause]:
    """Pauses before now, in the order of time, apart from each other."""
    back = st.integers(1, 40 * HOUR_MS)
    times = sorted(NOW_MS - draw(back) for _ in range(2 * draw(st.integers(0, 4))))
    return [Pause(a, b) for a, b in zip(times[::2], times[1::2], strict=True) if a < b]


@given(pauses(), st.integers(1, 30 * HOUR_MS))
def test_between_then_and_now_the_process_ran_for_the_span(
    found: list[Pause], span_ms: int
):
    then_ms = time_before(NOW_MS, span_ms, found)

    paused_ms = sum(max(0, p.to_ms - max(p.from_ms, then_ms)) for p in found)
    assert NOW_MS - then_ms - paused_ms == span_ms


def test_a_weekend_off_does_not_count():
    weekend = Pause(NOW_MS - 63 * HOUR_MS, NOW_MS - HOUR_MS)

    assert time_before(NOW_MS, 24 * HOUR_MS, [weekend]) == NOW_MS - 86 * HOUR_MS


def test_without_pauses_it_is_the_wall_clock():
    assert time_before(NOW_MS, HOUR_MS, []) == NOW_MS - HOUR_MS


def test_a_restart_is_no_pause():
    assert pause_between(None, NOW_MS) is None
    assert pause_between(NOW_MS - SHORTEST_PAUSE_MS + 1, NOW_MS) is None
    assert pause_between(NOW_MS - SHORTEST_PAUSE_MS, NOW_MS) == (
        NOW_MS - SHORTEST_PAUSE_MS,
        NOW_MS,
    )


@given(pauses())
def test_more_running_time_lies_further_back(found: list[Pause]):
    times = [time_before(NOW_MS, hours * HOUR_MS, found) for hours in range(1, 30)]

    assert all(earlier < later for later, earlier in pairwise(times))
