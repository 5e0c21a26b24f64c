"""The simulated market on which the demo model learns: `hidden`, quoted and traded.

The planted market publishes prices alone. A model that serves sees spreads and volumes
too, and must have learnt that they vary.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.observation import columns_of, market_inputs, ordinary_return
from models.planted import BPS, SIGMA, hidden, minute_bars
from models.tape import Tape

if TYPE_CHECKING:
    from models.train import Recipe

BARS = 100_000
_NARROWEST, _WIDEST = 0.3 * BPS, 2.0 * BPS
_VOLUME_SPREAD = 0.5


def demo_tape(bars: int = BARS, seed: int = 1) -> Tape:
    """Return a drawn market whose half spread wanders between 0.3 and 2 bps."""
    rng = np.random.default_rng(seed)
    market = hidden()
    path = market.draw(bars, rng)
    half_spread = rng.uniform(_NARROWEST, _WIDEST, bars)
    rows = minute_bars(path.price)
    rows["volume"] = 1_000 * np.exp(_VOLUME_SPREAD * rng.standard_normal(bars))
    rows["bid_price"] = path.price * (1 - half_spread)
    rows["ask_price"] = path.price * (1 + half_spread)
    columns = columns_of(rows)
    return Tape(
        time_ns=rows["window_start_ns"],
        session=rows["session"],
        features=market_inputs(columns),
        mark=path.price,
        bid=rows["bid_price"],
        ask=rows["ask_price"],
        unit=np.nan_to_num(ordinary_return(columns), nan=SIGMA),
    )


def recipe(steps: int) -> "Recipe":
    """Return how the demo model is trained: a net small enough to be committed.

    Needs the dependency group ``rl``.
    """
    from models.train import RECIPES  # noqa: PLC0415 (serving does without torch)

    usual = RECIPES["maskable-ppo"]
    net = usual.settings["policy_kwargs"] | {"net_arch": [32, 32]}
    settings = usual.settings | {"policy_kwargs": net}
    return replace(usual, steps=steps, settings=settings)
