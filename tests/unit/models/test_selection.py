"""Luck and skill: formulas against their known properties."""

import json
from math import erf
from pathlib import Path

import numpy as np
import pytest

from models.selection import (
    Ledger,
    Trial,
    best_by_luck,
    deflated_sharpe,
    overfitting_probability,
    probabilistic_sharpe,
)


def test_the_probabilistic_ratio_is_a_probability_of_the_true_one():
    rng = np.random.default_rng(3)
    sets = rng.normal(0, 1, (2_000, 250))
    found = np.array([probabilistic_sharpe(returns) for returns in sets])
    assert (found > 0.95).mean() == pytest.approx(0.05, abs=0.015)
    assert probabilistic_sharpe(sets[0] + 1) > 0.999
    assert probabilistic_sharpe(np.zeros(100)) == 0


def test_the_probabilistic_ratio_of_a_skewed_series_by_its_formula():
    # Often a small loss, now and then a great gain: skew far above 0.
    returns = np.array(([-0.5] * 9 + [6.0]) * 12)
    mean, spread = 0.15, 1.95  # (6 - 9 / 2) / 10; a gain is 10 % of it, 6.5 apart
    p, scale = 0.1, (0.1 * 0.9) ** 0.5
    skew = (1 - 2 * p) / scale
    kurtosis = 3 + (1 - 6 * p * (1 - p)) / (p * (1 - p))
    ratio = mean / spread
    # Bailey, Lopez de Prado (2012), equation 9
    for benchmark in (0.0, 0.1):
        above = (ratio - benchmark) * (120 - 1) ** 0.5
        error = (1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2) ** 0.5
        expected = 0.5 * (1 + erf(above / error / 2**0.5))
        assert probabilistic_sharpe(returns, benchmark) == pytest.approx(expected)
    # The same ratio with the skew turned round is less sure.
    turned = 2 * mean - returns
    assert probabilistic_sharpe(turned) < probabilistic_sharpe(returns) - 0.02


def test_the_deflated_ratio_is_that_above_the_best_of_tries():
    # Bailey, Lopez de Prado (2014), their example: 100 tries, variance 1/2 a year over
    # 250 days, 1,250 days, ratio 2.5 a year, skew -3, kurtosis 10: expected best
    # 0.1132 a day, deflated 0.9004
    tried = np.random.default_rng(1).normal(size=100)
    tried = (tried - tried.mean()) / tried.std(ddof=1) * (0.5 / 250) ** 0.5
    best = best_by_luck(list(tried))
    assert best == pytest.approx(0.1132, abs=1e-4)
    above = (2.5 / 250**0.5 - best) * 1_249**0.5
    error = (1 + 3 * 2.5 / 250**0.5 + 9 / 4 * 2.5**2 / 250) ** 0.5
    assert 0.5 * (1 + erf(above / error / 2**0.5)) == pytest.approx(0.9004, abs=1e-4)
    # Which series has these moments is not told; that of ours is held above.
    returns = np.random.default_rng(2).gamma(2, 1, 1_250) - 1.8
    deflated = deflated_sharpe(returns, list(tried))
    assert deflated == pytest.approx(probabilistic_sharpe(returns, best))
    assert deflated < probabilistic_sharpe(returns)


def test_overfitting_by_hand():
    # Two configurations, four blocks of two bars: mean by block, and one beside it.
    means = np.array([[3.0, 0.0], [2.0, 1.0], [0.0, 4.0], [0.0, 2.0]])
    returns = np.repeat(means, 2, 0) + np.tile([[1.0], [-1.0]], (4, 1))
    # The one chosen in a half is the worse one of the other in 12|34 and 34|12, and in
    # two of the other four.
    assert _by_hand(means) == 4 / 6
    assert overfitting_probability(returns, blocks=4) == pytest.approx(4 / 6)


def _by_hand(means: np.ndarray) -> float:
    """Count halves whose best is worse outside; the spread is 1 and the means'."""
    below = 0
    halves = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for half in halves:
        other = [block for block in range(4) if block not in half]
        inside, outside = (
            means[list(of)].mean(0) / np.sqrt(1 + means[list(of)].var(0))
            for of in (half, other)
        )
        chosen = inside.argmax()
        below += bool(outside[chosen] < outside[1 - chosen])
    return below / len(halves)


def test_the_best_of_many_is_expected_to_look_good():
    rng = np.random.default_rng(4)
    tries = rng.normal(0, 0.05, (500, 100))
    expected = np.mean([best_by_luck(list(row)) for row in tries])
    assert tries.max(1).mean() == pytest.approx(expected, rel=0.03)
    assert best_by_luck([0.3]) == 0


def test_the_best_of_100_lucky_ones_is_deflated():
    rng = np.random.default_rng(5)
    returns = rng.normal(0, 1, (500, 100))
    tried = returns.mean(0) / returns.std(0)
    best = returns[:, tried.argmax()]
    assert probabilistic_sharpe(best) > 0.95
    assert deflated_sharpe(best, list(tried)) < 0.9


def test_overfitting_is_a_coin_s_toss_on_noise_and_rare_with_skill():
    rng = np.random.default_rng(6)
    noise = [overfitting_probability(rng.normal(size=(500, 20))) for _ in range(20)]
    assert np.mean(noise) == pytest.approx(0.5, abs=0.15)
    skilled = rng.normal(size=(500, 20))
    skilled[:, 3] += 0.3
    assert overfitting_probability(skilled) < 0.05
    assert overfitting_probability(skilled[:, :1]) == 1


def test_the_ledger_keeps_every_trial(tmp_path: Path):
    path = tmp_path / "new" / "trials.jsonl"
    first, other = Trial("ibm", "ppo", 0, 0.1), Trial("aapl", "ppo", 0, 0.2)
    assert Ledger(path).trials("ibm") == []
    Ledger(path).add([first, other])
    Ledger(path).add([first])
    assert Ledger(path).trials("ibm") == [first, first]


def test_trials_are_counted_by_their_data_whatever_its_name(tmp_path: Path):
    path = tmp_path / "trials.jsonl"
    old = {"study": "ibm", "configuration": "ppo", "seed": 0, "sharpe": 0.1}
    path.write_text(json.dumps(old) + "\n")  # from before data had a digest
    mine = Trial("ibm", "ppo", 1, 0.1, data="digest of it")
    other = Trial("ibm", "ppo", 1, 0.2, data="digest of another")
    Ledger(path).add([mine, other])
    known = [trial.seed for trial in Ledger(path).trials("ibm", mine.data)]
    assert known == [0, 1]
    assert Ledger(path).trials("a copy", mine.data) == [mine]
