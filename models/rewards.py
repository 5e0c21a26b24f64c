"""What a step earns. All come from the account's value before and after it."""

from typing import Literal

import numpy as np

from models.tape import Booleans, Floats

RewardName = Literal["simple", "profit", "log", "sharpe"]
"""simple: (V_t - V_{t-1}) / V_{t-1}; the product of 1 + r is the equity's ratio.
profit: V_t - V_{t-1} in USD; the sum is the equity change.
log: ln V_t / V_{t-1}, net of cost; the sum is the equity's log change.
sharpe: the differential Sharpe ratio of the simple return.
"""

_ADAPTATION = 0.01
_LEAST_VARIANCE = 1e-12


class Rewards:
    """Rewards of some accounts; keeps what the differential Sharpe ratio needs."""

    def __init__(self, name: RewardName, count: int) -> None:
        self._name = name
        self._mean, self._square = np.zeros(count), np.zeros(count)

    def forget(self, which: Booleans) -> None:
        """Begin an episode for some accounts."""
        self._mean[which] = self._square[which] = 0.0

    def earned(self, before: Floats, after: Floats) -> Floats:
        """Return the reward of a step from the values before and after it, in USD."""
        if self._name == "log":
            return np.log(after / before)
        if self._name == "profit":
            return after - before
        simple = (after - before) / before
        return simple if self._name == "simple" else self._differential_sharpe(simple)

    def _differential_sharpe(self, simple: Floats) -> Floats:
        """Moody and Saffell (1998), equation 14: dS/d(eta) at the newest return.

        Until the returns have varied the ratio is not defined, and the reward is 0.
        """
        mean, square = self._mean, self._square
        to_mean, to_square = simple - mean, simple**2 - square
        variance = square - mean**2
        defined = variance > _LEAST_VARIANCE
        spread = np.where(defined, variance, 1.0) ** 1.5
        change = (square * to_mean - mean * to_square / 2) / spread
        self._mean = mean + _ADAPTATION * to_mean
        self._square = square + _ADAPTATION * to_square
        return np.where(defined, change, 0.0)
