"""Training: the same seed gives the same weights, and the numpy net is torch's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.planted import DAY_BARS, visible
from models.planted_play import play
from models.scoring import Network, score
from models.tape import stretches

pytest.importorskip("torch", reason="needs the group rl: make test installs it")

import torch

from models.__main__ import ALGORITHMS
from models.environment import TradingWindows
from models.train import (
    RECIPES,
    Falling,
    Lesson,
    Recipe,
    hyperparameters,
    key_of,
    network_of,
    train,
)
from models.windows import SB3Windows

# torch's own warnings are not ours to mend
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def shortened(algorithm: str, steps: int, **settings) -> Recipe:
    recipe = RECIPES[algorithm]
    return Recipe(
        recipe.algorithm, recipe.windows, steps, {**recipe.settings, **settings}
    )


def lesson(bars: int = 20_000) -> Lesson:
    market = visible("visible_ar1", 1.0)
    tape = market.tape(market.draw(bars, np.random.default_rng(3)))
    return Lesson(tape, stretches(tape, DAY_BARS))


def weights(network: Network) -> bytes:
    return b"".join(weight.tobytes() for weight in network.actor.weights)


SHORT = {
    "maskable-ppo": shortened("maskable-ppo", 8_192),
    "ppo": shortened("ppo", 8_192),
    "dqn": shortened("dqn", 300, learning_starts=100, buffer_size=1_000),
    "qr-dqn": shortened("qr-dqn", 300, learning_starts=100, buffer_size=1_000),
}


def test_the_command_line_knows_every_algorithm():
    assert (*RECIPES,) == ALGORITHMS


@pytest.mark.parametrize(
    "change",
    [{"gamma": 0.5}, {"learning_rate": Falling(1e-4)}, {"policy_kwargs": {}}],
    ids=repr,
)
def test_notes_of_other_settings_are_not_taken_for_these(change: dict):
    recipe = RECIPES["maskable-ppo"]
    same = shortened("maskable-ppo", recipe.steps)
    changed = shortened("maskable-ppo", recipe.steps, **change)
    assert key_of(same, "plan") == key_of(recipe, "plan") != key_of(recipe, "another")
    assert key_of(changed, "plan") != key_of(recipe, "plan")


@pytest.mark.parametrize("column", ["features", "ask", "mark", "unit", "session"])
def test_notes_of_another_tape_are_not_taken_for_this_one_s(column: str):
    tape = lesson(1_000).tape
    changed = getattr(tape, column).copy()
    changed[-1] += 1
    assert replace(tape, **{column: changed}).digest != tape.digest
    assert replace(tape).digest == tape.digest


@pytest.mark.parametrize("recipe", SHORT.values(), ids=SHORT)
def test_the_same_seed_gives_the_same_weights(recipe: Recipe):
    first, again, other = (train(recipe, lesson(), seed) for seed in (1, 1, 2))
    assert weights(first) == weights(again) != weights(other)


@pytest.mark.parametrize("algorithm", ["dqn", "qr-dqn"])
def test_off_policy_algorithms_give_q_values(algorithm: str):
    before = repr(hyperparameters(SHORT[algorithm]))
    network = train(SHORT[algorithm], lesson(), 1)
    assert repr(hyperparameters(SHORT[algorithm])) == before
    rows = np.random.default_rng(1).normal(size=(5, network.inputs))
    scores = score(network, rows, np.ones((5, 3), np.bool_))
    assert np.isfinite(scores.by_action).all()
    assert np.isfinite(scores.spread).all() == (algorithm == "qr-dqn")


@pytest.mark.parametrize("algorithm", ["maskable-ppo", "dqn", "qr-dqn"])
def test_scores_are_torch_s(algorithm: str):
    recipe = shortened(algorithm, 0)
    kind, known = recipe.algorithm, lesson(1_000)
    windows = TradingWindows(known.tape, known.episodes, 2)
    learner = kind("MlpPolicy", SB3Windows(windows, 1e-4, 1), seed=1, **recipe.settings)
    network = network_of(learner)
    rows = np.random.default_rng(1).normal(size=(40, network.inputs))
    scores = score(network, rows, np.ones((40, 3), np.bool_))
    with torch.no_grad():
        seen = torch.as_tensor(rows, dtype=torch.float32)
        if algorithm == "maskable-ppo":
            expected = learner.policy.get_distribution(seen).distribution.logits
        elif algorithm == "dqn":
            expected = learner.q_net(seen)
        else:
            expected = learner.quantile_net(seen).mean(1)
    assert scores.by_action == pytest.approx(expected.numpy(), abs=1e-5)


def test_an_agent_finds_the_planted_signal_and_tensorboard_files(tmp_path: Path):
    told: list[int] = []
    recipe = shortened("maskable-ppo", 65_536)
    network = train(recipe, lesson(), 1, tmp_path, told.append)
    market = visible("visible_ar1", 1.0)
    assert play(network, market, 20_000, 5).share_of(market.optimum) > 0.6
    assert list(tmp_path.glob("seed_1_*/events.out.tfevents.*"))
    assert told[-1] == 65_536
