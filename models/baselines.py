"""What an agent must beat, on the same fills and costs.

The rules read the same inputs as the network. Exposure-matched hold is not here: it is
the benchmark of every excess return (``Trace.excess``).
"""

from collections.abc import Iterator

import numpy as np

from models.account import Action, Actions
from models.environment import Simulation
from models.observation import MARKET_INPUTS
from models.tape import Booleans, Floats, Tape
from models.traces import Policy, Trace, wanting

RANDOM_DRAWS = 100


def rules(tape: Tape) -> dict[str, Policy]:
    """Return the rules of thumb for a tape with the inputs of ``silver.features``."""
    seen = dict(zip(MARKET_INPUTS, tape.features.T, strict=True))
    rsi, band = seen["rsi_14"] * 25 + 50, seen["bollinger_z_20"]
    return {
        "flat": wanting(np.zeros(len(tape), np.bool_)),
        "hold": wanting(np.ones(len(tape), np.bool_)),
        "macd 12/26/9": wanting(seen["macd_histogram"] > 0),
        "rsi 14 30/70": wanting(_between(rsi < 30, rsi > 70)),
        "bollinger 20/2": wanting(_between(band < -2, band > 0)),
    }


def _between(enters: Booleans, leaves: Booleans) -> Booleans:
    """Return a position that lasts from where it is entered to where it is left."""
    told = np.where(leaves, -1, np.where(enters, 1, 0))
    spoken = np.maximum.accumulate(np.where(told != 0, np.arange(len(told)), -1))
    positions: Booleans = (spoken >= 0) & (told[spoken] == 1)
    return positions


def random_like(trace: Trace, seed: int) -> Iterator[Policy]:
    """Return policies that enter and leave by chance, as often as a trace did.

    Of traces laid end to end: as often as they did on the mean.
    """
    rng = np.random.default_rng(seed)
    entries = float((trace.traded & trace.is_long).sum())
    exits = float((trace.traded & ~trace.is_long).sum())
    # When an order was decided, the account was what it was before the order.
    flat_bars = float((~trace.is_long).sum()) + entries - exits
    long_bars = float(trace.is_long.sum()) + exits - entries
    enter, leave = entries / max(flat_bars, 1.0), exits / max(long_bars, 1.0)
    for _ in range(RANDOM_DRAWS):
        yield _by_chance(enter, leave, np.random.default_rng(rng.integers(2**63)))


def _by_chance(enter: float, leave: float, rng: np.random.Generator) -> Policy:
    def decide(simulation: Simulation) -> Actions:
        is_long = simulation.accounts.is_long
        acts = rng.random(len(is_long)) < np.where(is_long, leave, enter)
        sides = np.where(is_long, int(Action.SELL), int(Action.BUY))
        return np.where(acts, sides, int(Action.HOLD))

    return decide


def one_step(train: Tape, test: Tape, cost: float, penalty: float = 1.0) -> Policy:
    """Return the supervised rival: a ridge forecast of the next bar's return.

    It enters when the forecast is above the cost of a side, and leaves when it is as
    far below 0; it is fitted on the training slice alone.
    """
    following = np.diff(np.log(train.mark))
    inputs = _with_constant(train)[:-1]
    ridge = penalty * np.eye(inputs.shape[1])
    weights = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ following)
    forecast = _with_constant(test) @ weights
    return wanting(_between(forecast > cost, forecast < -cost))


def _with_constant(tape: Tape) -> Floats:
    return np.column_stack([tape.features, np.ones(len(tape))])
