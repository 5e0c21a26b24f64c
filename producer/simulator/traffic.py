"""Which symbol takes which slot: Zipf-like shares, bursts, one hot symbol."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from producer.simulator.listing import symbol_weights

BURST_EVERY_S = 3.0
BURST_SECONDS = (0.1, 0.6)
BURST_PEAK = (3.0, 20.0)
"""How many times its mean a symbol sends during a burst: from, to."""
BURST_SHARE_MAX = 0.8
"""Of all slots; so the busiest symbols peak lower than the quiet ones."""


class _Burst(NamedTuple):
    symbol: int
    share: float
    until_slot: int


class Traffic:
    """Draws the symbol of each slot.

    Args:
        symbols: How many there are, the busiest first.
        rate_per_s: Slots a second that they share.
        hot: Index of the symbol with slots of its own, evenly spread; None for none.
        hot_rate_per_s: How many of those a second.
    """

    def __init__(
        self, symbols: int, rate_per_s: int, hot: int | None, hot_rate_per_s: int
    ) -> None:
        self._weights = symbol_weights(symbols)
        self._cumulative = np.cumsum(self._weights)[:-1]
        self._base_rate = rate_per_s
        self._hot = hot
        self._hot_rate = 0 if hot is None else hot_rate_per_s
        self.rate_per_s = rate_per_s + self._hot_rate
        self._burst = _Burst(symbol=0, share=0.0, until_slot=0)

    def mean_rates(self) -> NDArray[np.float64]:
        """Return each symbol's messages per second in the long run."""
        rates = self._weights * self._base_rate
        if self._hot is not None:
            rates[self._hot] += self._hot_rate
        return rates

    def draw(
        self, first: int, count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return the symbol's index for each of ``count`` slots from ``first`` on."""
        symbols = np.searchsorted(self._cumulative, rng.random(count), side="right")
        slots = np.arange(first, first + count)
        self._maybe_burst(first, count, rng)
        bursting = rng.random(count) < self._burst.share
        symbols[bursting & (slots < self._burst.until_slot)] = self._burst.symbol
        if self._hot is not None:
            before = slots * self._hot_rate // self.rate_per_s
            after = (slots + 1) * self._hot_rate // self.rate_per_s
            symbols[after > before] = self._hot
        return symbols

    def _maybe_burst(self, first: int, count: int, rng: np.random.Generator) -> None:
        start, symbol, peak, seconds = rng.random(4)
        if first < self._burst.until_slot:
            return
        if start > count / self.rate_per_s / BURST_EVERY_S:
            return
        index = int(symbol * len(self._weights))
        share = self._weights[index] * _between(BURST_PEAK, peak)
        length = _between(BURST_SECONDS, seconds) * self.rate_per_s
        self._burst = _Burst(index, min(share, BURST_SHARE_MAX), first + int(length))


def running_total(
    keys: NDArray[np.int64], steps: NDArray[np.generic], totals: NDArray[np.generic]
) -> NDArray[np.generic]:
    """Return each event's running total of its key, and move ``totals`` on.

    Args:
        keys: Index into ``totals`` per event, in order.
        steps: What each event adds.
        totals: Totals before the first event; holds those after the last one.
    """
    if not len(keys):
        return steps
    order = np.argsort(keys, kind="stable")
    grouped = keys[order]
    sums = np.cumsum(steps[order])
    starts = np.flatnonzero(np.diff(grouped, prepend=-1))
    lengths = np.diff(starts, append=len(keys))
    before = np.where(starts > 0, sums[starts - 1], 0)
    sums += np.repeat(totals[grouped[starts]] - before, lengths)
    totals[grouped[starts]] = sums[starts + lengths - 1]
    result = np.empty_like(sums)
    result[order] = sums
    return result


def _between(limits: tuple[float, float], share: float) -> float:
    low, high = limits
    return low + (high - low) * share
