"""Luck and skill: formulas against their known properties."""

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
