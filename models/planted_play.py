"""What a network earns on a planted market, beside the best policy."""

from dataclasses import dataclass

import numpy as np

from models.environment import Rules, Simulation
from models.optimum import Optimum
from models.planted import BPS, Market, Path
from models.scoring import Network, score
from models.tape import Floats, joined

_FRESH_PATHS = 16


@dataclass(frozen=True)
class Played:
    """What a policy earned on fresh paths of a market, per bar.

    Attributes:
        earned_bps: Forecast return while long, less costs.
        best_bps: The same of the best policy on the same paths.
        realised: Log-returns net of costs: a row per bar, a column per path.
        held: The same of an account that was always long and paid nothing.
        traded_share: Bars on which the policy traded.
        long_share: Bars on which it was long.
    """

    earned_bps: float
    best_bps: float
    realised: Floats
    held: Floats
    traded_share: float
    long_share: float

    def share_of(self, optimum: Optimum) -> float:
        """Return the policy's gain over the best one's.

        What the best policy earned on these paths beyond its known gain was luck, and
        the agent had the same: it is taken off.
        """
        gain = optimum.gain / BPS
        return (self.earned_bps - self.best_bps + gain) / gain


def play(network: Network, market: Market, bars: int, seed: int) -> Played:
    """Return what a network earns on fresh paths, without exploring."""
    paths = [
        market.draw(bars // _FRESH_PATHS, np.random.default_rng([seed, number]))
        for number in range(_FRESH_PATHS)
    ]
    is_long = _positions(network, market, paths)
    earned = np.stack([path.forecast for path in paths], 1)[:-1]
    followed = np.stack([path.next_return for path in paths], 1)[:-1]
    best_long = _best_positions(market.optimum, paths)
    traded = _trades(is_long)
    return Played(
        earned_bps=float((is_long * earned - market.cost * traded).mean() / BPS),
        best_bps=float(
            (best_long * earned - market.cost * _trades(best_long)).mean() / BPS
        ),
        realised=is_long * followed - market.cost * traded,
        held=followed,
        traded_share=float(traded.mean()),
        long_share=float(is_long.mean()),
    )


def _positions(network: Network, market: Market, paths: list[Path]) -> Floats:
    """Return whether the network is long from each bar to the next, 0 or 1."""
    tape, episodes = joined([market.tape(path) for path in paths])
    simulation = Simulation(tape, len(paths), Rules())
    simulation.begin(np.ones(len(paths), np.bool_), episodes)
    positions = np.empty((len(paths[0].state) - 1, len(paths)))
    for row in positions:
        scores = score(network, simulation.observe(), simulation.masks())
        simulation.step(scores.action)
        row[:] = simulation.accounts.is_long
    return positions


def _best_positions(optimum: Optimum, paths: list[Path]) -> Floats:
    states = np.stack([path.state for path in paths], 1)[:-1]
    positions = np.empty(states.shape)
    is_long = np.zeros(states.shape[1], np.bool_)
    for row, state in zip(positions, states, strict=True):
        is_long = optimum.wants_long(state, is_long)
        row[:] = is_long
    return positions


def _trades(positions: Floats) -> Floats:
    """Return 1 where a position differs from the one before; all begin flat."""
    flat = np.zeros((1, positions.shape[1]))
    trades: Floats = np.abs(np.diff(np.vstack([flat, positions]), axis=0))
    return trades
