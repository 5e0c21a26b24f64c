"""Planted markets: the optimum is the protocol's, and no agent can better it."""

import numpy as np
import pytest

from models.optimum import best_policy
from models.planted import BPS, RHO, hidden, leaked, regimes, visible
from models.planted_play import play
from models.planted_table import Answer, broken, in_figures, leaks_of, markets
from models.scoring import Layers, Network

# bp per minute: by the protocol's probes, written apart from this code
MEASURED_APART = {"visible_ar1": 0.3314, "weak": 0.1462, "hidden": 0.3849}


@pytest.mark.parametrize(("name", "gain"), MEASURED_APART.items())
def test_the_optimum_is_the_one_measured_apart(name: str, gain: float):
    assert markets()[name][0].optimum.gain / BPS == pytest.approx(gain, abs=1e-4)


def test_nothing_can_be_earned_on_noise_and_drift_is_bought_once():
    assert visible("noise", 0.0).optimum.gain == 0
    drift = visible("drift", 0.0, 0.2, drift_bps=0.3).optimum
    assert drift.gain / BPS == pytest.approx(0.3)
    assert drift.wants_long(np.array([0.0]), np.array([False])).all()


def test_changing_costs_so_the_thresholds_are_apart():
    optimum = visible("visible_ar1", 1.0).optimum
    assert optimum.sell_below < 0 < optimum.buy_above


@pytest.mark.parametrize("market", [visible("v", 1.0), hidden(), regimes()])
def test_the_best_policy_earns_its_gain_when_simulated(market):
    path = market.draw(100_000, np.random.default_rng(8))
    is_long, earned = np.array([False]), 0.0
    for state, forecast in zip(path.state, path.forecast, strict=True):
        wants = market.optimum.wants_long(np.array([state]), is_long)
        earned += float(wants[0]) * forecast - market.cost * float((wants ^ is_long)[0])
        is_long = wants
    assert earned / 100_000 == pytest.approx(market.optimum.gain, rel=0.1)


@pytest.mark.parametrize("market", [visible("v", 1.0), hidden(), regimes()])
def test_the_forecast_is_the_mean_of_what_follows(market):
    path = market.draw(100_000, np.random.default_rng(9))
    slope = np.polyfit(path.forecast, path.next_return, 1)[0]
    assert slope == pytest.approx(1, abs=0.06)


def test_two_states_are_solved_by_hand():
    # up earns 1, down loses 1, each follows the other half the time; free to change
    optimum = best_policy(
        np.array([-1.0, 1.0]), np.full((2, 2), 0.5), np.array([-1.0, 1.0]), 0.0
    )
    assert optimum.gain == pytest.approx(0.5)


def test_only_the_positive_control_looks_ahead():
    assert leaks_of(leaked()) == ["inputs"]
    for name in ("visible_ar1", "hidden", "regimes", "drift"):
        assert leaks_of(markets()[name][0]) == []


def sign_rule() -> Network:
    """Return a net that is long where the first input is positive."""
    weight = np.zeros((9, 3))
    weight[0, 1], weight[0, 2] = 1.0, -1.0
    return Network("values", "relu", Layers((weight,), (np.zeros(3),)))


def test_the_sign_rule_earns_what_algebra_says():
    market = visible("visible_ar1", 1.0)
    played = play(sign_rule(), market, 40_000, 5)
    # E[max(s, 0)] = 1 / sqrt(2 pi); an AR(1) changes its sign arccos(rho) / pi a step
    gain = (1 / np.sqrt(2 * np.pi) - 1.5 * np.arccos(RHO) / np.pi) * BPS
    expected = gain / market.optimum.gain
    assert played.share_of(market.optimum) == pytest.approx(expected, abs=0.01)
    assert 0.4 < played.long_share < 0.6


def test_a_broken_bound_is_named():
    market = visible("visible_ar1", 1.0)
    answers = [Answer("visible_ar1", 0, s, 0.9, 0.3, 0.03, 20.0) for s in range(3)]
    table = {"visible_ar1": in_figures(market, answers)}
    assert broken(table) == [
        "visible_ar1 iqm 0.9 < 0.97",
        "visible_ar1 worst 0.9 < 0.93",
    ]
    table["visible_ar1"] |= {"iqm": float("nan"), "worst": 0.95}
    assert broken(table) == ["visible_ar1 iqm nan < 0.97"]
