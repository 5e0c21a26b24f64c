"""Kinesis lag from what a reader saw of bronze."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from infra.local.latency import lag_at
from infra.local.reader import Sighting

END_S = 1_000_000


def commits(delay_s: Callable[[int], float], every_s: int = 1) -> list[Sighting]:
    """One commit each so often, showing what arrived ``delay_s`` before it."""
    return [
        Sighting(
            table="bronze.records",
            version=version,
            seen_ns=second * 10**9,
            added=[],
            newest_arrival=datetime.fromtimestamp(second - delay_s(second), UTC),
        )
        for version, second in enumerate(range(END_S - 120, END_S + 1, every_s))
    ]


def test_lag_is_the_age_of_the_newest_record_in_bronze():
    lag = lag_at(commits(lambda _: 0.75), END_S * 10**9)
    assert lag is not None
    assert lag.seconds == pytest.approx(0.75)
    assert not lag.is_rising


def test_the_sawtooth_of_slow_commits_is_not_a_rise():
    lag = lag_at(commits(lambda _: 0.5, every_s=3), END_S * 10**9)
    assert lag is not None
    assert lag.seconds == pytest.approx(1.5)
    assert not lag.is_rising


def test_a_growing_backlog_is_a_rise():
    def falling_behind(second: int) -> float:
        return 1 + (second - END_S + 120) * 0.05

    lag = lag_at(commits(falling_behind), END_S * 10**9)
    assert lag is not None
    assert lag.slope == pytest.approx(0.05)
    assert lag.is_rising


def test_one_pause_in_the_middle_is_not_a_rise():
    lag = lag_at(
        commits(lambda second: 4.0 if second == END_S - 30 else 0.5), END_S * 10**9
    )
    assert lag is not None
    assert not lag.is_rising


def test_an_empty_bronze_has_no_lag():
    assert lag_at([], END_S * 10**9) is None
