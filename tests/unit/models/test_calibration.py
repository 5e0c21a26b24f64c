"""Confidence says how often decisions like this one win."""

import numpy as np
import pytest

from models.calibration import LEAST_DECISIONS, Calibration, fit, reliability, won


def decided(seed: int, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margins = rng.exponential(2, count)
    chances = 0.5 + 0.4 * np.tanh(margins / 4)
    return margins, rng.random(count) < chances


def test_confidence_is_calibrated_on_what_it_has_not_seen():
    fitted = fit(*decided(1), horizon=10)
    margins, wins = decided(2)
    found = reliability(fitted.confidence(margins), wins)
    assert found.expected_error < 0.015
    assert found.brier < found.brier_of_base
    assert (np.diff(fitted.chances) > 0).all()


def test_a_softmax_is_not_calibrated():
    margins, wins = decided(2)
    raw = 1 / (1 + np.exp(-margins))
    assert reliability(raw, wins).expected_error > 0.05


def test_confidence_never_falls_with_the_margin():
    fitted = fit(*decided(3, 400), horizon=10)
    stated = Calibration(fitted.edges, fitted.chances, 5_000, 10).confidence(
        np.linspace(0, 20, 500)
    )
    assert (np.diff(stated) >= 0).all()


def test_too_few_decisions_show_nothing():
    fitted = fit(*decided(4, LEAST_DECISIONS - 1), horizon=10)
    assert np.isnan(fitted.confidence(np.ones(3))).all()
    with pytest.raises(ValueError, match="too few"):
        fit(*decided(4, 10), horizon=10)


def test_the_side_that_changes_must_earn_its_cost():
    log_prices = np.array([0.0, 0.001])
    rows = np.zeros(4, np.int64)
    was_long = np.array([False, False, True, True])
    is_long = np.array([True, False, True, False])
    cheap = won(log_prices, rows, was_long, is_long, 1, cost=0.0005)
    dear = won(log_prices, rows, was_long, is_long, 1, cost=0.002)
    assert cheap.tolist() == [True, False, True, False]
    assert dear.tolist() == [False, True, True, False]
