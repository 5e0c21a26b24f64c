"""The window sums: exact, and independent of how trades were cut into batches."""

import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gold.symbol_stats import GRACE, Window, fold

MINUTE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 15, 5, tzinfo=UTC)
prices = st.integers(min_value=10_000, max_value=900_000_000_000)


def partial(price_e6: int, *, size: int = 100, clock: datetime = MINUTE) -> dict:
    low = price_e6 - price_e6 % 10_000
    return {
        "symbol": "AAPL",
        "window_start": MINUTE,
        "low_e6": low,
        "high_e6": low + 10_000,
        "trade_count": 1,
        "volume": size,
        "price_min": price_e6 / 1e6,
        "price_max": price_e6 / 1e6,
        "sum_e6": Decimal(price_e6),
        "sum_squares_e12": Decimal(price_e6 * price_e6),
        "market_time": clock,
    }


def add_up(batches: list[list[dict]]) -> dict:
    current: list[dict] = []
    for version, batch in enumerate(batches):
        rows = fold(current, batch, source_version=version, updated_time=NOW)
        current = rows.to_pylist() or current
    (row,) = current
    return {k: v for k, v in row.items() if k != "source_version"}


@given(st.lists(prices, min_size=1, max_size=30), st.data())
def test_no_cut_and_no_order_changes_a_digit(trades, data):
    shuffled = data.draw(st.permutations(trades))
    cut = data.draw(st.integers(min_value=1, max_value=len(trades)))
    at_once = add_up([[partial(p) for p in trades]])
    in_pieces = add_up(
        [
            [partial(p) for p in shuffled[i : i + cut]]
            for i in range(0, len(shuffled), cut)
        ]
    )

    assert in_pieces == at_once


@given(st.lists(prices, min_size=2, max_size=30))
def test_mean_and_variance_equal_those_of_exact_fractions(trades):
    row = add_up([[partial(p) for p in trades]])
    exact = [Fraction(p, 10**6) for p in trades]

    assert row["price_mean"] == pytest.approx(float(statistics.fmean(exact)), rel=1e-12)
    assert row["price_variance"] == pytest.approx(
        float(statistics.variance(exact)), rel=1e-12
    )
    assert sum(b["trade_count"] for b in row["price_buckets"]) == len(trades)


def test_a_single_trade_has_no_variance():
    assert Window(trade_count=1, sum_e6=5, sum_squares_e12=25).variance is None
    assert add_up([[partial(126_550_000)]])["price_stddev"] is None


def test_a_window_is_final_once_the_market_clock_has_passed_its_end():
    #  window |---- 15:00 ----|
    #  clock                  ^ end   ^ end + grace
    end = MINUTE + timedelta(minutes=1)
    open_rows = fold([], [partial(1_000_000)], source_version=1, updated_time=NOW)
    later = partial(2_000_000, clock=end + GRACE) | {
        "window_start": MINUTE + timedelta(minutes=1)
    }
    rows = fold(open_rows.to_pylist(), [later], source_version=2, updated_time=NOW)
    final = {row["window_start"]: row["is_final"] for row in rows.to_pylist()}

    assert open_rows.to_pylist()[0]["is_final"] is False
    assert final == {MINUTE: True, end: False}


def test_a_late_trade_restates_a_final_window_which_stays_final():
    end = MINUTE + timedelta(minutes=1)
    final = fold(
        [], [partial(1_000_000, clock=end + GRACE)], source_version=1, updated_time=NOW
    ).to_pylist()
    (row,) = fold(
        final, [partial(3_000_000)], source_version=2, updated_time=NOW
    ).to_pylist()

    assert (row["trade_count"], row["is_final"], row["price_max"]) == (2, True, 3.0)


def test_nothing_new_changes_no_row():
    rows = fold([], [partial(1_000_000)], source_version=1, updated_time=NOW)

    assert fold(rows.to_pylist(), [], source_version=2, updated_time=NOW).num_rows == 0
