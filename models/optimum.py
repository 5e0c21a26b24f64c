"""The best that can be done in a market whose forecast is a Markov chain.

Relative value iteration (Puterman 1994, 8.5) for the greatest mean net log-return per
bar of an agent that is long or flat and pays for each change.
"""

from dataclasses import dataclass

import numpy as np

from models.tape import Booleans, Floats

_TOLERANCE = 1e-13
_MOST_SWEEPS = 20_000


@dataclass(frozen=True)
class Optimum:
    """The best policy: two thresholds of the state, apart because changing costs.

    Attributes:
        gain: Mean net log-return per bar of the best policy.
        buy_above: State from which a flat agent buys.
        sell_below: State below which a long agent sells.
    """

    gain: float
    buy_above: float
    sell_below: float

    def wants_long(self, state: Floats, is_long: Booleans) -> Booleans:
        """Return what the best policy holds next."""
        wants: Booleans = state >= np.where(is_long, self.sell_below, self.buy_above)
        return wants


def best_policy(
    states: Floats, transition: Floats, forecast: Floats, cost: float
) -> Optimum:
    """Return the best policy of a chain.

    Args:
        states: Ascending values of the state.
        transition: Probability of the column's state after the row's; rows sum to 1.
        forecast: Expected log-return of the next bar in each state, ascending.
        cost: Log-return that a change of position costs.

    Raises:
        ValueError: The sweeps did not converge.
    """
    flat, long = np.zeros(len(states)), np.zeros(len(states))
    for _ in range(_MOST_SWEEPS):
        go_flat, go_long = transition @ flat, forecast + transition @ long
        new_flat = np.maximum(go_flat, go_long - cost)
        new_long = np.maximum(go_long, go_flat - cost)
        gain = new_flat[0] - flat[0]
        new_flat, new_long = new_flat - new_flat[0], new_long - new_flat[0]
        change = max(np.abs(new_flat - flat).max(), np.abs(new_long - long).max())
        flat, long = new_flat, new_long
        if change < _TOLERANCE:
            break
    else:
        raise ValueError(f"value iteration changes by {change} after its last sweep")
    go_flat, go_long = transition @ flat, forecast + transition @ long
    return Optimum(
        gain=float(gain),
        buy_above=_first(states, go_long - cost > go_flat),
        sell_below=_first(states, go_long > go_flat - cost),
    )


def _first(states: Floats, holds: Booleans) -> float:
    """Return the first state from which something holds; infinity if it never does."""
    return float(states[np.argmax(holds)]) if holds.any() else float("inf")


def autoregressive_chain(rho: float, points: int = 401) -> tuple[Floats, Floats]:
    """Return states and transitions of an AR(1) of unit variance on a grid."""
    states = np.linspace(-4, 4, points)
    spread = np.sqrt(1 - rho**2)
    density = np.exp(-0.5 * ((states[None] - rho * states[:, None]) / spread) ** 2)
    return states, density / density.sum(1, keepdims=True)


def belief_chain(
    drift: float, sigma: float, switch: float, points: int = 401
) -> tuple[Floats, Floats]:
    """Return log-odds of the upper of two regimes, and how they move bar by bar.

    The log-return has mean ``drift`` or ``-drift`` and spread ``sigma``; the regime
    switches with probability ``switch``. An observed return moves the log-odds by
    ``2 * drift * r / sigma**2`` (Hamilton's filter), then the switch draws them in.
    """
    limit = np.log((1 - switch) / switch)
    states = np.linspace(-limit, limit, points)
    shocks, weights = np.polynomial.hermite_e.hermegauss(41)
    transition = np.zeros((points, points))
    for is_up in (False, True):
        chance = 1 / (1 + np.exp(-states if is_up else states))
        returns = (drift if is_up else -drift) + sigma * shocks
        moved = switched(states[:, None] + 2 * drift * returns[None] / sigma**2, switch)
        place = np.clip((moved + limit) / (states[1] - states[0]), 0, points - 1)
        below = np.minimum(place.astype(np.int64), points - 2)
        above_share = place - below
        rows = np.broadcast_to(np.arange(points)[:, None], below.shape)
        mass = chance[:, None] * weights / weights.sum()
        np.add.at(transition, (rows, below), mass * (1 - above_share))
        np.add.at(transition, (rows, below + 1), mass * above_share)
    return states, transition


def switched(log_odds: Floats, switch: float) -> Floats:
    """Return log-odds after the regime may have switched."""
    up = 1 / (1 + np.exp(-log_odds))
    after = up * (1 - switch) + (1 - up) * switch
    odds: Floats = np.log(after / (1 - after))
    return odds
