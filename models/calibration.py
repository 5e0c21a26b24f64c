"""Confidence that means something: how often the chosen side won when it scored so.

A softmax's probability is none: on planted data it was 0.33 off. An isotonic map from
the margin of a decision to how often such decisions won is 0.02 off.
"""

from dataclasses import dataclass

import numpy as np

from models.tape import Booleans, Floats, Integers

LEAST_DECISIONS = 1_000
"""Decisions under which no confidence is shown."""

_MASSES = 20


@dataclass(frozen=True)
class Calibration:
    """A monotone map from margin to the probability that the chosen side wins.

    Attributes:
        edges: Ascending margins between the steps.
        chances: Probability of each step, one more than edges; never falling.
        decisions: How many it was fitted on.
        horizon: Bars over which a side wins.
    """

    edges: Floats
    chances: Floats
    decisions: int
    horizon: int

    def confidence(self, margins: Floats) -> Floats:
        """Return the probability that the chosen side wins.

        NaN for all while fewer than ``LEAST_DECISIONS`` are known.
        """
        if self.decisions < LEAST_DECISIONS:
            return np.full(len(margins), np.nan)
        return self.chances[np.searchsorted(self.edges, margins)]


def won(
    log_prices: Floats,
    rows: Integers,
    was_long: Booleans,
    is_long: Booleans,
    horizon: int,
    cost: float,
) -> Booleans:
    """Return whether the side chosen beat the other over a horizon, net of switching.

    Args:
        log_prices: Of the bars of a tape.
        rows: Rows of the decisions; each has ``horizon`` bars after it.
        was_long: Position before each decision.
        is_long: Position after it.
        horizon: Bars.
        cost: Log-return that a change of position costs. The side that keeps the
            position does not pay it.
    """
    gained = log_prices[rows + horizon] - log_prices[rows]
    advantage = gained + np.where(was_long, cost, -cost)
    wins: Booleans = np.where(is_long, advantage > 0, advantage < 0)
    return wins


def fit(margins: Floats, wins: Booleans, horizon: int) -> Calibration:
    """Return the isotonic map of some decisions, by pooling adjacent violators.

    Decisions are put into masses of equal size first, so that one lucky decision makes
    no step.

    Raises:
        ValueError: There are fewer decisions than masses.
    """
    if len(margins) < _MASSES:
        raise ValueError(f"{len(margins)} decisions are too few to calibrate on")
    order = np.argsort(margins, kind="stable")
    steps: list[tuple[float, int, float]] = []
    for mass in np.array_split(order, _MASSES):
        step = (float(wins[mass].mean()), len(mass), float(margins[mass[-1]]))
        while steps and steps[-1][0] >= step[0]:
            chance, count, _ = steps.pop()
            pooled = (chance * count + step[0] * step[1]) / (count + step[1])
            step = (pooled, count + step[1], step[2])
        steps.append(step)
    chances, _, uppers = zip(*steps, strict=True)
    return Calibration(np.array(uppers[:-1]), np.array(chances), len(margins), horizon)


@dataclass(frozen=True)
class Reliability:
    """How calibrated confidences are: a bar per tenth of the decisions.

    Attributes:
        stated: Mean confidence of each tenth, ascending.
        happened: How often its decisions won.
        expected_error: Expected calibration error over the tenths.
        brier: Mean squared error of the confidence.
        brier_of_base: The same of always stating how often decisions win.
    """

    stated: tuple[float, ...]
    happened: tuple[float, ...]
    expected_error: float
    brier: float
    brier_of_base: float


def reliability(confidences: Floats, wins: Booleans) -> Reliability:
    """Return how calibrated some confidences were."""
    order = np.argsort(confidences, kind="stable")
    tenths = np.array_split(order, 10)
    stated = np.array([confidences[tenth].mean() for tenth in tenths])
    happened = np.array([wins[tenth].mean() for tenth in tenths])
    shares = np.array([len(tenth) / len(order) for tenth in tenths])
    base = float(wins.mean())
    return Reliability(
        stated=tuple(stated.tolist()),
        happened=tuple(happened.tolist()),
        expected_error=float((shares * np.abs(stated - happened)).sum()),
        brier=float(((confidences - wins) ** 2).mean()),
        brier_of_base=base * (1 - base),
    )
