"""The confidence that is shown: right as often as it says, on data nobody has seen."""

import numpy as np
import pytest

from models.calibration import LEAST_DECISIONS, reliability, won
from models.demo_market import demo_tape
from models.environment import Rules, Simulation
from models.scoring import score
from models.serving import champion_of
from models.tape import whole

BARS = 7_000
WARM_UP = 60
ECE_MAX = 0.03


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return champion_of(str(tmp_path_factory.mktemp("none")))


@pytest.fixture(scope="module")
def decided(model):
    """Return margin and outcome of each decision on a planted market of its own."""
    tape = demo_tape(bars=BARS, seed=2)
    rules = Rules()
    simulation = Simulation(tape, 1, rules)
    simulation.begin(np.ones(1, np.bool_), whole(tape))
    margins, was_long, is_long = np.empty(BARS - 1), [], []
    for bar in range(BARS - 1):
        scores = score(model.networks[0], simulation.observe(), simulation.masks())
        margins[bar] = scores.margin[0]
        was_long.append(bool(simulation.accounts.is_long[0]))
        simulation.step(scores.action)
        is_long.append(bool(simulation.accounts.is_long[0]))
    horizon = model.calibration.horizon
    rows = np.arange(WARM_UP, BARS - 1 - horizon)
    wins = won(
        np.log(tape.mark),
        rows,
        np.array(was_long)[rows],
        np.array(is_long)[rows],
        horizon,
        tape.side_cost,
    )
    return margins[rows], wins


def test_the_shown_confidence_is_calibrated_on_planted_data(model, decided):
    margins, wins = decided
    assert model.calibration.decisions >= LEAST_DECISIONS
    found = reliability(model.calibration.confidence(margins), wins)
    assert found.expected_error <= ECE_MAX, found
    assert found.brier < found.brier_of_base
    assert found.stated[-1] - found.stated[0] > 0.1


def test_the_margin_itself_is_no_confidence(decided):
    margins, wins = decided
    softmax = 1 / (1 + np.exp(-margins))
    assert reliability(softmax, wins).expected_error > 2 * ECE_MAX
