"""Each bound of a smoke run breaks alone, and only where it was promised."""

import copy
from typing import Any

import pytest

from infra.local.verdict import broken_bounds

Result = dict[str, Any]
Change = tuple[str, Any]
GOOD: Result = {
    "seconds": 300.0,
    "rate_per_s": 4096.0,
    "engine": "embedded",
    "emitted": 100_000,
    "injected": {
        "repeated": 2_000, "out_of_order": 1_000, "late": 100, "malformed": 100,
    },
    "lost": 0,
    "duplicated": 0,
    "altered": 0,
    "rejected": 100,
    "silver_latency_s": {"p99": 4.999},
    "gold_latency_s": {"p99": 4.999},
    "late_latency_s": {"max": 90.0},
    "tail_latency_s": {"p50": 0.599, "p95": 0.999},
    "tail_differences": 0,
    "tail_checked": {"trades": 4_000, "stats_versions": 50},
    "warm_up": {"first_gold_s": 60.0},
    "lag_s": 3.0,
    "lag_is_rising": False,
}  # fmt: skip


def broken(
    change: Change | None = None,
    *,
    rate: float | None = 4096,
    is_replay: bool = False,
    is_disturbed: bool = False,
) -> list[str]:
    result = copy.deepcopy(GOOD)
    if change is not None:
        *places, last = change[0].split(".")
        target = result
        for place in places:
            target = target[place]
        target[last] = change[1]
    return broken_bounds(
        result, nominal_rate=rate, is_replay=is_replay, is_disturbed=is_disturbed
    )


def test_a_good_run_breaks_nothing():
    assert broken() == []


CORRECTNESS: list[Change] = [("lost", 1), ("duplicated", 1), ("altered", 1)]
CORRECTNESS += [("tail_differences", 1)]
LOAD: list[Change] = [("rate_per_s", 4075.0), ("lag_s", 3.01), ("lag_s", None)]
LOAD += [("lag_is_rising", True)]
INJECTION: list[Change] = [
    ("injected.repeated", 1_999),
    ("injected.out_of_order", 999),
    ("injected.late", 0),
    ("injected.malformed", 99),
    ("rejected", 99),
    ("rejected", 101),
]
LATENCY: list[Change] = [
    ("silver_latency_s.p99", 5.0),
    ("gold_latency_s.p99", 5.0),
    ("gold_latency_s.p99", None),
    ("late_latency_s.max", 90.1),
    ("tail_latency_s.p50", 0.6),
    ("tail_latency_s.p95", 1.0),
    ("tail_latency_s.p95", None),
    ("tail_checked.stats_versions", 49),
]
FIRST_GOLD: list[Change] = [
    ("warm_up.first_gold_s", 60.1),
    ("warm_up.first_gold_s", None),
]


@pytest.mark.parametrize(
    "change", CORRECTNESS + LOAD + INJECTION + LATENCY + FIRST_GOLD
)
def test_every_bound_can_break(change: Change):
    assert broken(change)


@pytest.mark.parametrize("change", LATENCY)
def test_latencies_are_judged_at_nominal_load_only(change: Change):
    # a rate of 4,096 is far from 8,192, which is another bound
    assert broken(change, rate=8192) == broken(rate=8192)


def test_a_short_run_has_not_warmed_up():
    result = GOOD | {"seconds": 60.0, "silver_latency_s": {"p99": 30.0}}
    assert broken_bounds(result, nominal_rate=4096, is_replay=False) == []


def test_the_spark_engine_has_no_latency_bound():
    result = GOOD | {"engine": "spark", "gold_latency_s": {"p99": 9.0}}
    assert broken_bounds(result, nominal_rate=4096, is_replay=False) == []


def test_without_an_api_there_is_no_stream_to_judge():
    missing = dict.fromkeys(("tail_latency_s", "tail_differences", "tail_checked"))
    result = GOOD | missing
    assert broken_bounds(result, nominal_rate=4096, is_replay=False) == []


@pytest.mark.parametrize("change", INJECTION + LATENCY)
def test_nothing_is_injected_into_a_replay(change: Change):
    assert broken(change, is_replay=True) == []


@pytest.mark.parametrize("change", LOAD + INJECTION + LATENCY)
def test_a_run_with_a_fault_is_judged_by_its_rows(change: Change):
    assert broken(change, is_disturbed=True) == []


@pytest.mark.parametrize("change", CORRECTNESS)
@pytest.mark.parametrize("options", [{"is_replay": True}, {"is_disturbed": True}])
def test_correctness_is_always_judged(change: Change, options: dict[str, bool]):
    assert broken(change, **options) == [f"{change[0]} is 1, must be 0"]


def test_a_replay_at_its_own_speed_has_no_rate():
    assert broken(("rate_per_s", 3.0), rate=None, is_replay=True) == []
