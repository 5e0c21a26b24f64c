"""What became of a gap, and how much of it was to be expected."""

import pytest

from producer.gaps import Gap
from producer.judgement import judge
from producer.rates import Rates

S = 1_000_000_000
GAP = Gap("e1", "cut", "trades", "A", 100 * S, 110 * S)


@pytest.mark.parametrize(
    ("rows", "per_s", "sessions", "is_halted", "state"),
    [
        (5, 9.0, None, False, "backfilled"),
        (5, 9.0, [], True, "backfilled"),
        (0, 9.0, [(0, 100 * S), (110 * S, 200 * S)], False, "closed_market"),
        (0, 9.0, [(0, 101 * S)], False, "backfilled"),
        (0, 9.0, [(0, 102 * S)], False, None),
        (0, 9.0, None, True, "halted"),
        (0, 0.9, None, False, "backfilled"),
        (4, 9.0, None, True, None),
        (0, 1.0, None, False, None),
    ],
)
def test_a_gap_is_judged(rows, per_s, sessions, is_halted, state):
    verdict = judge(GAP, rows, per_s=per_s, sessions=sessions, is_halted=is_halted)
    assert verdict.state == state
    assert (verdict.detail is None) == (state is not None)


def test_rates_are_of_the_time_in_which_the_feed_was_live():
    rates = Rates()
    rates.update({"A": {"t": 0}}, 0.0)
    rates.update({"A": {"t": 100, "q": 10}}, 10.0)
    assert (rates.per_s("trades", "A"), rates.per_s("quotes", "A")) == (10.0, 1.0)
    assert rates.per_s("bars", "A") == 0.0


def test_the_newest_minute_counts_half():
    rates = Rates()
    rates.update({"A": {"t": 600}}, 60.0)
    rates.update({"A": {"t": 720}}, 60.0)
    assert rates.per_s("trades", "A") == 6.0
    rates.update({"A": {"t": 9_000}}, 30.0)
    assert rates.per_s("trades", "A") == 6.0


def test_all_symbols_together():
    rates = Rates()
    rates.update({"A": {"t": 10}, "B": {"t": 20, "q": 5}}, 10.0)
    assert rates.per_s("trades", "*") == 3.0
