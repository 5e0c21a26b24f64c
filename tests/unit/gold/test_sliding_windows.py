"""Sliding windows are the sums of their minutes, to the last digit."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import sqrt
from statistics import variance

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gold.sliding_windows import LENGTHS_S, combine
from gold.symbol_stats import fold

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LAST = 71

# (symbol, minute, price in 1e-6 USD), around half a million dollars: where floats would
# cancel
trades = st.lists(
    st.tuples(
        st.sampled_from(["AAPL", "BRK.B"]),
        st.integers(0, LAST - 1),
        st.integers(499_999_000_000, 500_001_000_000),
    ),
    min_size=1,
    max_size=40,
)


def minutes_of(given_trades):
    return fold([], map(partial, given_trades), source_version=1, updated_time=NOON)


def partial(trade):
    symbol, minute, price_e6 = trade
    return {
        "symbol": symbol,
        "window_start": NOON + minute * MINUTE,
        "trade_count": 1,
        "volume": 100,
        "price_min": price_e6 / 1e6,
        "price_max": price_e6 / 1e6,
        "sum_e6": price_e6,
        "sum_squares_e12": price_e6**2,
        "low_e6": low(price_e6),
        "high_e6": low(price_e6) + 50_000_000,
        "market_time": NOON,
    }


def low(price_e6):
    return price_e6 // 50_000_000 * 50_000_000


def windows(given_trades, changed, ends=()):
    rows = combine(
        minutes_of(given_trades),
        [(symbol, NOON + minute * MINUTE) for symbol, minute in changed],
        {NOON + end * MINUTE for end in ends},
        NOON + LAST * MINUTE,
    ).to_pylist()
    found = {
        (
            row["symbol"],
            (row["window_end"] - NOON) // MINUTE,
            row["window_length_s"],
        ): row
        for row in rows
    }
    assert len(found) == len(rows)
    return found


def by_the_book(given_trades):
    """Return the prices of each window that has a trade."""
    prices = defaultdict(list)
    for symbol, minute, price_e6 in given_trades:
        for length_s in LENGTHS_S:
            for end in range(minute + 1, min(minute + length_s // 60, LAST) + 1):
                prices[symbol, end, length_s].append(price_e6)
    return prices


@settings(max_examples=25, deadline=None)
@given(given_trades=trades)
def test_equal_to_a_count_of_all_trades(given_trades):
    found = windows(given_trades, {trade[:2] for trade in given_trades})
    expected = by_the_book(given_trades)

    assert found.keys() == expected.keys()
    for key, inside in expected.items():
        row, exact = found[key], [Fraction(price, 10**6) for price in inside]
        assert row["trade_count"] == len(inside)
        assert row["volume"] == 100 * len(inside)
        assert row["price_min"] == min(inside) / 1e6
        assert row["price_max"] == max(inside) / 1e6
        assert row["price_sum_e6"] == sum(inside)
        assert row["price_sum_squares_e12"] == sum(price**2 for price in inside)
        assert row["price_mean"] == pytest.approx(float(sum(exact) / len(inside)))
        if len(inside) > 1:
            spread = float(variance(exact))
            assert row["price_variance"] == pytest.approx(spread, rel=1e-12)
            assert row["price_stddev"] == pytest.approx(sqrt(spread))
        else:
            assert row["price_variance"] is row["price_stddev"] is None
        assert row["price_buckets"] == [
            {"low_e6": low_e6, "high_e6": low_e6 + 50_000_000, "trade_count": n}
            for low_e6, n in sorted(Counter(map(low, inside)).items())
        ]


@settings(max_examples=25, deadline=None)
@given(
    given_trades=trades,
    minute=st.integers(0, LAST - 1),
    ends=st.sets(st.integers(1, LAST), max_size=3),
)
def test_what_is_written_is_what_changed_and_what_was_asked_for(
    given_trades, minute, ends
):
    changed = [*given_trades, ("AAPL", minute, 500_000_000_000)]
    before, after = (
        windows(made, [], range(1, LAST + 1)) for made in (given_trades, changed)
    )
    written = windows(changed, [("AAPL", minute)], ends)

    differ = {key for key, row in after.items() if row != before.get(key)}
    asked = {key for key in after if key[1] in ends}
    assert written == {key: after[key] for key in differ | asked}


def test_a_minute_whose_trades_were_all_cancelled_adds_nothing():
    minutes = minutes_of([("AAPL", 0, 500_000_000_000)])
    empty = minutes.to_pylist()[0] | {
        "window_start": NOON + MINUTE,
        "trade_count": 0,
        "volume": 0,
        "price_sum_e6": 0,
        "price_sum_squares_e12": 0,
        "price_min": None,
        "price_max": None,
        "price_mean": None,
        "price_buckets": [],
        "correction_count": 1,
    }
    rows = combine(
        minutes.from_pylist([empty], schema=minutes.schema),
        [("AAPL", NOON + MINUTE)],
        set(),
        NOON + 2 * MINUTE,
    ).to_pylist()

    assert {row["window_length_s"] for row in rows} == set(LENGTHS_S)
    assert {row["trade_count"] for row in rows} == {0}
    assert {row["price_mean"] for row in rows} == {None}
    assert {row["correction_count"] for row in rows} == {1}
