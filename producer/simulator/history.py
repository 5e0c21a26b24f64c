"""Minute bars of the sessions before the market started, as Alpaca's REST serves them.

The bars walk backwards from the price at which the market opens, so that the last of
them meets the first live trade.
"""

import functools
import zlib
from collections.abc import Sequence
from itertools import repeat

import numpy as np

from conf.market.rfc3339 import format_ns
from conf.market.wire import Bar
from producer.simulator.listing import listing
from producer.simulator.prints import VOLATILITY
from producer.simulator.sessions import Session
from producer.simulator.slots import MINUTE_NS

TRADES_PER_MINUTE = 400
TRADE_SHARES = 200
"""Mean size of a trade."""
MINUTE_VOLATILITY = VOLATILITY * 60**0.5


class History:
    """The bars of some sessions.

    Args:
        seed: Same seed, same sessions, same bars.
        sessions: When they were, oldest first; whole minutes.
    """

    def __init__(self, seed: int, sessions: Sequence[Session]) -> None:
        self._seed, self._sessions = seed, sessions
        self.span: Session = sessions[0][0], sessions[-1][1]
        self.bars = functools.cache(self._bars)

    def _bars(self, symbol: str) -> list[Bar]:
        starts_ns = [
            start_ns
            for session in self._sessions
            for start_ns in range(*session, MINUTE_NS)
        ]
        minutes = len(starts_ns)
        rng = np.random.default_rng([self._seed, zlib.crc32(symbol.encode())])
        steps = rng.standard_normal(minutes) * MINUTE_VOLATILITY
        # summed from the end: the last close is where the live market starts
        edges = np.exp(-np.cumsum(np.append(0.0, steps))[::-1])
        edges = np.rint(edges * listing(symbol).price_cents)
        opens, closes = edges[:-1], edges[1:]
        reach = np.abs(rng.standard_normal((2, minutes))) * MINUTE_VOLATILITY * opens
        highs = np.maximum(opens, closes) + np.rint(reach[0])
        lows = np.maximum(np.minimum(opens, closes) - np.rint(reach[1]), 1.0)
        trade_counts = 1 + rng.poisson(TRADES_PER_MINUTE, minutes)
        return list(
            map(
                Bar,
                repeat(symbol),
                *((cents / 100).tolist() for cents in (opens, highs, lows, closes)),
                (trade_counts * TRADE_SHARES).tolist(),
                map(format_ns, starts_ns),
                trade_counts.tolist(),
                np.round((opens + closes) / 200, 6).tolist(),
            )
        )
