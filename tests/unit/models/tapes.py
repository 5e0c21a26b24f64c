"""Small tapes for the tests of the agent."""

import numpy as np

from models.tape import Tape


def walk(bars: int, seed: int = 0, spread_bps: float = 2.0, days: int = 1) -> Tape:
    """Return a random walk with noise as features."""
    rng = np.random.default_rng(seed)
    mark = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, bars)))
    half = spread_bps / 2 * 1e-4
    return Tape(
        time_ns=np.arange(bars, dtype=np.int64) * 60_000_000_000,
        session=np.arange(bars, dtype=np.int64) * days // bars,
        features=rng.normal(size=(bars, 3)),
        mark=mark,
        bid=mark * (1 - half),
        ask=mark * (1 + half),
        unit=np.full(bars, 1e-3),
    )
