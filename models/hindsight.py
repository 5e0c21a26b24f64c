"""What somebody who knew the whole tape would have earned: an upper bound.

Exact for an agent that is long or flat: the best of two states, from the last bar back.
"""

import numpy as np

from models.account import Costs
from models.tape import Booleans, Floats, Tape


def hindsight(tape: Tape, costs: Costs) -> Booleans:
    """Return whether the best policy is long after each bar's decision.

    Args:
        tape: What is traded; where it has no quote, nothing can be ordered.
        costs: Of every order.
    """
    kept, bought, sold = _gains(tape, costs)
    bars = len(kept)
    # Best log-growth from each bar on, flat and long, and what is held then.
    flat, long = 0.0, 0.0
    from_flat, from_long = np.zeros(bars, np.bool_), np.zeros(bars, np.bool_)
    for bar in range(bars - 1, -1, -1):
        buy, keep, sell = bought[bar] + long, kept[bar] + long, sold[bar] + flat
        from_flat[bar], from_long[bar] = buy > flat, keep >= sell
        flat, long = max(flat, buy), max(keep, sell)
    positions = np.zeros(len(tape), np.bool_)
    is_long = False
    for bar in range(bars):
        is_long = bool(from_long[bar] if is_long else from_flat[bar])
        positions[bar] = is_long
    return positions


def _gains(tape: Tape, costs: Costs) -> tuple[Floats, Floats, Floats]:
    """Return log-growth to the next bar of who stays long, who buys, and who sells."""
    now, following = tape.mark[:-1], tape.mark[1:]
    bid, ask = tape.bid[:-1], tape.ask[:-1]
    bought = np.log(following / costs.buy_price(bid, ask))
    sold = np.log(costs.sell_price(bid, ask) / now)
    never = -np.inf
    return (
        np.log(following / now),
        np.nan_to_num(bought, nan=never),
        np.nan_to_num(sold, nan=never),
    )
