"""Sliding windows are the sums of their minutes, to the last digit."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from statistics import variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gold.sliding_windows import LENGTHS_S, combine, touched_ends
from gold.symbol_stats import Window

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

# (minute, price in 1e-6 USD), around half a million dollars: where floats would cancel
trades = st.lists(
    st.tuples(st.integers(0, 70), st.integers(499_999_000_000, 500_001_000_000)),
    max_size=60,
)


def minutes_of(given_trades):
    minutes = {}
    for minute, price_e6 in given_trades:
        minutes.setdefault(NOON + minute * MINUTE, Window()).add(partial(price_e6))
    return minutes


def partial(price_e6):
    return {
        "trade_count": 1,
        "volume": 100,
        "price_min": price_e6 / 1e6,
        "price_max": price_e6 / 1e6,
        "sum_e6": price_e6,
        "sum_squares_e12": price_e6**2,
        "low_e6": price_e6 // 50_000_000 * 50_000_000,
        "high_e6": price_e6 // 50_000_000 * 50_000_000 + 50_000_000,
    }


@pytest.mark.parametrize("length_s", LENGTHS_S)
@given(given_trades=trades, end=st.integers(1, 75))
def test_equal_to_a_count_of_all_trades(length_s, given_trades, end):
    window = combine(minutes_of(given_trades), NOON + end * MINUTE, length_s)
    inside = [p for minute, p in given_trades if end - length_s // 60 <= minute < end]
    if not inside:
        assert window is None
        return
    exact = [Fraction(price_e6, 10**6) for price_e6 in inside]
    assert (window.trade_count, window.volume) == (len(inside), 100 * len(inside))
    assert (window.price_min, window.price_max) == (
        min(inside) / 1e6,
        max(inside) / 1e6,
    )
    assert window.sum_e6 == sum(inside)
    assert window.buckets == Counter(
        (p // 50_000_000 * 50_000_000, p // 50_000_000 * 50_000_000 + 50_000_000)
        for p in inside
    )
    if len(inside) > 1:
        assert window.variance == pytest.approx(float(variance(exact)), rel=1e-12)


@pytest.mark.parametrize("length_s", LENGTHS_S)
@given(given_trades=trades, changed=st.integers(0, 70))
def test_only_touched_windows_change(length_s, given_trades, changed):
    newest_end = NOON + 71 * MINUTE
    before, after = (
        minutes_of(given_trades + more) for more in ([], [(changed, 500_000_000_000)])
    )
    ends = [NOON + end * MINUTE for end in range(1, 72)]
    differ = [
        e for e in ends if combine(before, e, length_s) != combine(after, e, length_s)
    ]

    assert list(touched_ends(NOON + changed * MINUTE, length_s, newest_end)) == differ


def test_combining_leaves_the_minutes_as_they_are():
    minutes = minutes_of([(0, 500_000_000_000), (1, 500_000_000_000)])
    combine(minutes, NOON + 2 * MINUTE, 300)

    assert [window.trade_count for window in minutes.values()] == [1, 1]
