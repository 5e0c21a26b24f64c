"""Train an agent with stable-baselines3 and take its network out.

Needs the dependency group ``rl``. One thread, so the same seed gives the same weights
on the same machine.
"""

import hashlib
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sb3_contrib import QRDQN, MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from models import account, environment, observation, rewards, scoring, tape, windows
from models.environment import Rules, TradingWindows
from models.records import as_json
from models.scoring import Layers, Network
from models.source import digest_of
from models.tape import Integers, Tape
from models.windows import SB3Windows


@dataclass(frozen=True)
class Recipe:
    """How an algorithm is trained.

    Attributes:
        algorithm: Class of stable-baselines3 or sb3-contrib.
        windows: Environments stepped at once.
        steps: Decisions of a training.
        settings: The class's keyword arguments.
    """

    algorithm: type[BaseAlgorithm]
    windows: int
    steps: int
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Falling:
    """A learning rate that falls in a line, nearly to 0, as a training goes on."""

    start: float

    def __call__(self, remaining_share: float) -> float:
        """Return the rate while a share of the training, 1 to 0, remains."""
        return self.start * remaining_share + 1e-5


_ON_POLICY: dict[str, Any] = {
    "n_steps": 128,
    "batch_size": 2_048,
    "n_epochs": 8,
    "learning_rate": Falling(1e-3),
    "gamma": 0.98,
    "gae_lambda": 0.9,
    "ent_coef": 0.003,
    "policy_kwargs": {"net_arch": [64, 64], "activation_fn": nn.Tanh},
}
# The classes' defaults but for the net, which is as small as the others'. On planted
# markets they beat every tuning that was tried.
_OFF_POLICY: dict[str, Any] = {
    "policy_kwargs": {"net_arch": [64, 64], "activation_fn": nn.ReLU},
}
# The class's 200 quantiles, each compared with each, cost six times as much of a core,
# and had learnt nothing of `visible_ar1` by the step at which 50 earn 0.96 of it.
_WITH_QUANTILES = _OFF_POLICY | {
    "policy_kwargs": _OFF_POLICY["policy_kwargs"] | {"n_quantiles": 50}
}
RECIPES: dict[str, Recipe] = {
    "maskable-ppo": Recipe(MaskablePPO, 64, 300_000, _ON_POLICY),
    "ppo": Recipe(PPO, 64, 300_000, _ON_POLICY),
    "dqn": Recipe(DQN, 1, 100_000, _OFF_POLICY),
    "qr-dqn": Recipe(QRDQN, 1, 100_000, _WITH_QUANTILES),
}

_LEARNT_BY = (account, environment, observation, rewards, scoring, tape, windows)
_LIBRARIES = ("torch", "stable-baselines3", "sb3-contrib", "numpy")


def hyperparameters(recipe: Recipe) -> dict[str, Any]:
    """Return everything that is set of a recipe."""
    return {"windows": recipe.windows, "steps": recipe.steps, **recipe.settings}


def libraries() -> dict[str, str]:
    """Return the versions of what trains."""
    return {name: installed(name) for name in _LIBRARIES}


def key_of(recipe: Recipe, *told: object) -> str:
    """Return what names notes of trainings.

    Whatever is set of a recipe, by hand or by a search, other versions of what trains
    and other code of ours give another name, so that notes of one training are never
    taken for another's.

    Args:
        recipe: How agents are trained.
        told: What else they follow from, by its ``repr``; of a tape its digest, of
            modules theirs.
    """
    set_by_it = {
        "algorithm": recipe.algorithm,
        "hyperparameters": hyperparameters(recipe),
        "libraries": libraries(),
        "code": digest_of(*_LEARNT_BY, sys.modules[__name__]),
    }
    return hashlib.sha256(f"{as_json(set_by_it)} {told}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Lesson:
    """What an agent learns from.

    Attributes:
        tape: What it trades against.
        episodes: First and last row of each episode.
        rules: Costs and reward.
    """

    tape: Tape
    episodes: Integers
    rules: Rules = field(default_factory=Rules)


def train(
    recipe: Recipe,
    lesson: Lesson,
    seed: int,
    tensorboard: Path | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Network:
    """Train an agent and return its network.

    Args:
        recipe: One of ``RECIPES``, or a variation of it.
        lesson: What it learns from.
        seed: Of weights, exploration and episodes.
        tensorboard: Folder of the TensorBoard files; none are written without.
        on_step: Called with the decisions made so far after each step of all windows.
    """
    torch.set_num_threads(1)
    windows = TradingWindows(lesson.tape, lesson.episodes, recipe.windows, lesson.rules)
    unit = float(np.median(lesson.tape.unit))
    algorithm: Any = recipe.algorithm
    learner = algorithm(
        "MlpPolicy",
        SB3Windows(windows, unit, seed),
        seed=seed,
        device="cpu",
        tensorboard_log=None if tensorboard is None else str(tensorboard),
        # QR-DQN writes what it chose into its policy's arguments.
        **deepcopy(recipe.settings),
    )

    def report(known: dict[str, Any], _: dict[str, Any]) -> bool:
        if on_step is not None:
            on_step(known["self"].num_timesteps)
        return True

    learner.learn(recipe.steps, callback=report, tb_log_name=f"seed_{seed}")
    return network_of(learner)


def network_of(learner: BaseAlgorithm) -> Network:
    """Return what a trained agent decides by, as float64.

    Raises:
        TypeError: The algorithm is none of ``RECIPES``.
    """
    policy: Any = learner.policy
    if isinstance(learner, PPO | MaskablePPO):
        extractor = policy.mlp_extractor
        return Network(
            "policy",
            _activation(extractor.policy_net),
            _layers(extractor.policy_net, policy.action_net),
            _layers(extractor.value_net, policy.value_net),
        )
    if isinstance(learner, QRDQN):
        net = policy.quantile_net.quantile_net
        # (quantiles, actions), as the class itself views its outputs
        return Network("quantiles", _activation(net), _layers(net))
    if isinstance(learner, DQN):
        net = policy.q_net.q_net
        return Network("values", _activation(net), _layers(net))
    raise TypeError(f"{type(learner).__name__} has no network that is known")


def _activation(net: nn.Module) -> Literal["tanh", "relu"]:
    return "tanh" if any(isinstance(m, nn.Tanh) for m in net.modules()) else "relu"


def _layers(*nets: nn.Module) -> Layers:
    linear = [m for net in nets for m in net.modules() if isinstance(m, nn.Linear)]
    return Layers(
        # Row by row: what is scored now has the memory layout, and so the bits, of
        # what is scored after it was written and read again.
        tuple(m.weight.detach().numpy().T.astype(np.float64, "C") for m in linear),
        tuple(m.bias.detach().numpy().astype(np.float64) for m in linear),
    )
