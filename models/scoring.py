"""The one scoring function: gold, backtests and the API decide by it, to the last bit.

Weights are float64. Every row is multiplied alone, a vector by a matrix, so a row's
bits do not depend on the rows it is scored with; one multiplication of a whole batch
would not promise that.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.account import Action, Actions
from models.tape import Booleans, Floats

Head = Literal["policy", "values", "quantiles"]
"""policy: the outputs are logits of the actions. values: their Q-values.
quantiles: quantiles of each action's return, actions last (QR-DQN).
"""
Activation = Literal["tanh", "relu"]

ACTIONS = len(Action)


@dataclass(frozen=True)
class Layers:
    """A feed-forward net: ``weights[i]`` has a row per input, a column per output."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def outputs(self, rows: Floats, activation: Activation) -> Floats:
        """Return the last layer's outputs, a row per row; the hidden ones activated."""
        known = rows
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(
            zip(self.weights, self.biases, strict=True)
        ):
            known = np.matmul(known[:, None, :], weight)[:, 0] + bias
            if place < last:
                activated = activation == "tanh"
                known = np.tanh(known) if activated else np.maximum(known, 0.0)
        return known


@dataclass(frozen=True)
class Network:
    """What a trained agent decides by.

    Attributes:
        head: What the outputs are.
        activation: Of the hidden layers.
        actor: From inputs to the outputs.
        critic: From inputs to the state's value; only a policy has one.
    """

    head: Head
    activation: Activation
    actor: Layers
    critic: Layers | None = None

    @property
    def inputs(self) -> int:
        """How many inputs a row has."""
        return len(self.actor.weights[0])


@dataclass(frozen=True)
class Scores:
    """What a network says about some rows, an entry or row each.

    Attributes:
        action: The best of the allowed actions; ties go to the lower number.
        by_action: Q-values, or log-probabilities; -inf for what is not allowed.
        value: The state's value; the best Q-value of a network without a critic.
        margin: How much better the chosen side (long or flat) scores than the other.
        spread: Distance of the 10 % and 90 % quantile of the chosen action's return;
            NaN for a network without quantiles.
    """

    action: Actions
    by_action: Floats
    value: Floats
    margin: Floats
    spread: Floats


def score(network: Network, rows: Floats, masks: Booleans) -> Scores:
    """Score rows, each as if it were alone.

    Args:
        network: What decides.
        rows: A row per decision: the inputs of ``models.observation``.
        masks: Which actions do something, a row per decision; never none.

    Raises:
        ValueError: The rows have not the network's inputs, or one is not finite.
    """
    rows = _accepted(network, rows)
    outputs = network.actor.outputs(rows, network.activation)
    by_action = _by_action(network, outputs, masks)
    action = by_action.argmax(1)
    every = np.arange(len(rows))
    spread = np.full(len(rows), np.nan)
    if network.head == "quantiles":
        spread = _spread(_quantiles(outputs)[every, :, action])
    value = by_action[every, action]
    if network.critic is not None:
        value = network.critic.outputs(rows, network.activation)[:, 0]
    return Scores(action, by_action, value, _margin(by_action, action), spread)


def choose(network: Network, rows: Floats, masks: Booleans) -> Actions:
    """Return the action of ``score`` alone, for half of its time; arguments as there.

    Raises:
        ValueError: As ``score``.
    """
    rows = _accepted(network, rows)
    outputs = network.actor.outputs(rows, network.activation)
    action: Actions = _by_action(network, outputs, masks).argmax(1)
    return action


def _accepted(network: Network, rows: Floats) -> Floats:
    rows = np.ascontiguousarray(rows, np.float64)
    if rows.ndim != 2 or rows.shape[1] != network.inputs:
        raise ValueError(f"{rows.shape} is not (rows, {network.inputs})")
    if not np.isfinite(rows).all():
        raise ValueError("an input is not finite")
    return rows


def _by_action(network: Network, outputs: Floats, masks: Booleans) -> Floats:
    if network.head == "quantiles":
        outputs = _mean(_quantiles(outputs))
    by_action = np.where(masks, outputs, -np.inf)
    return _log_softmax(by_action) if network.head == "policy" else by_action


def _quantiles(outputs: Floats) -> Floats:
    """Return (rows, quantiles, actions)."""
    return outputs.reshape(len(outputs), -1, ACTIONS)


def _mean(quantiles: Floats) -> Floats:
    """Return the mean quantile, added up in one order whatever the batch."""
    total = np.zeros((len(quantiles), ACTIONS))
    for place in range(quantiles.shape[1]):
        total += quantiles[:, place]
    mean: Floats = total / quantiles.shape[1]
    return mean


def _spread(quantiles: Floats) -> Floats:
    ascending = np.sort(quantiles, 1)
    count = ascending.shape[1]
    spread: Floats = (
        ascending[:, int(0.9 * (count - 1))] - ascending[:, int(0.1 * (count - 1))]
    )
    return spread


def _log_softmax(logits: Floats) -> Floats:
    best = logits.max(1)
    away = logits - best[:, None]
    raised = np.exp(away)
    total = raised[:, 0] + raised[:, 1] + raised[:, 2]
    log_probability: Floats = away - np.log(total)[:, None]
    return log_probability


def _margin(by_action: Floats, action: Actions) -> Floats:
    """Return the score of the chosen action less that of the other side's best.

    Where HOLD and SELL both mean flat (or HOLD and BUY long), the other side is the
    remaining action, and the mask leaves only one that trades.
    """
    trade = np.maximum(by_action[:, Action.BUY], by_action[:, Action.SELL])
    hold = by_action[:, Action.HOLD]
    return np.where(action == Action.HOLD, hold - trade, trade - hold)
