"""Percentiles of two samples and their ratios."""

import pytest

from tests.load.backlog import memory
from tests.load.ratios import compared, percentiles


def test_percentiles_are_of_all_samples():
    assert percentiles(list(range(1, 102))) == {
        "p50": 51.0,
        "p99": 100.0,
        "max": 101,
        "samples": 101,
    }


def test_a_ratio_says_how_many_times_the_young_one_the_grown_one_is():
    young, grown = [10.0] * 99 + [20.0] * 101, [26.0] * 200
    found = compared(young, grown)
    assert (found["p50_ratio"], found["p99_ratio"]) == (1.3, 1.3)
    assert found["young_ms"]["p50"] == 20.0
    assert compared(grown, young)["p50_ratio"] == pytest.approx(0.769)


def test_one_slow_sample_of_few_shows_in_p99_and_not_in_p50():
    found = compared([10.0] * 50, [10.0] * 49 + [500.0])
    assert found["p50_ratio"] == 1.0
    assert found["p99_ratio"] > 2


def test_memory_that_grows_shows_as_growth():
    assert memory([100.0, 400.0, 300.0, 500.0]) == {
        "peak_rss_mb": 500.0,
        "rss_growth": 1.25,
    }
    assert memory([400.0, 300.0, 200.0])["peak_rss_mb"] == 400.0
