"""Outliers among trades as they come: a robust z-score per print, O(1).

A bad print comes back and a step stays: so a print is judged when the symbol's next one
is there. It is measured against the nearer of its two neighbours if it lies beyond
both, in units of the root mean square of the moves from print to print; between them it
is as expected. A move that stays is an outlier too, but only a far greater one: where
prints are rare a market makes some of five deviations every day.

The scale resists what it looks for: a great move enters it cut to a few deviations, and
what comes back cut to fewer, but not left out: else prices that bounce between two
sides would be outliers for ever. The mean square is the larger of a slow and a fast
one, so that a burst of volatility is no burst of alarms. Moves are relative to the
price: a split or a night changes no scale.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Records = NDArray[np.void]

THRESHOLD = 4.5
"""Deviations beyond both neighbours from which a print is an outlier."""
STEP_THRESHOLD = 10.0
"""Deviations from the print before from which a print is one that the next confirms."""
WARM_UP_PRINTS = 100
"""Moves of a symbol before the first score."""

PRINT = np.dtype(
    [
        ("symbol", "i8"),  # index into the state
        ("price", "f8"),  # USD, above 0
        ("restarts", "?"),  # the first of a session or after a halt: nothing before it
    ]
)
"""One print that sets prices; those of a symbol ascend by time."""

SCORE = np.dtype([("level", "f8"), ("score", "f8"), ("is_outlier", "?")])
"""The price expected, deviations from it (NaN: too little is known), the verdict."""

# Columns of the values.
_LAST, _OPEN, _SLOW, _FAST, _VALUES = 0, 1, 2, 3, 4
_SLOW_PRINTS, _FAST_PRINTS = 500, 50
_CUT, _CUT_BACK, _UNCUT_PRINTS = 3.5, 2.0, 5
# An open is livelier than what was before it, so its first moves judge nobody.
_SETTLING_PRINTS = 5
# The smallest step of a price is a scale where nothing moves.
_TICK_USD, _TICK_BELOW_ONE_USD = 0.01, 0.0001

_part = numba.njit(error_model="numpy", inline="always")


class State(NamedTuple):
    """What the next prints of some symbols need; a row per symbol in both arrays.

    Attributes:
        counts: Moves seen.
        values: The last price that was judged and none that came back, the price to be
            judged (NaN: there is none), and the two mean squares.
    """

    counts: Counts
    values: Values


def new_state(symbols: int) -> State:
    """Return the state of symbols that have had no print."""
    values = np.zeros((symbols, _VALUES))
    values[:, [_LAST, _OPEN]] = math.nan
    return State(np.zeros(symbols, np.int64), values)


def score(state: State, prints: Records) -> tuple[State, Records]:
    """Take prints in and return the next state and what each tells of the one before.

    Args:
        state: Is not changed.
        prints: Rows of ``PRINT``. One that comes late is left out: it would be measured
            against prices of another time.

    Returns:
        With the state, a row of ``SCORE`` per print: of its symbol's print before it.

    Raises:
        IndexError: A print's symbol has no row in the state.
    """
    symbols = prints["symbol"]
    if np.any((symbols < 0) | (symbols >= len(state.counts))):
        raise IndexError("a print's symbol has no row in the state")
    following = State(state.counts.copy(), state.values.copy())
    scores = np.empty(len(prints), SCORE)
    _score(following.counts, following.values, prints, scores)
    return following, scores


@numba.njit(cache=True, error_model="numpy")
def _score(counts: Counts, values: Values, prints: Records, scores: Records) -> None:
    for i in range(prints.size):
        symbol = prints[i].symbol
        value, price = values[symbol], prints[i].price
        scores[i].level = scores[i].score = math.nan
        scores[i].is_outlier = False
        if not math.isnan(value[_OPEN]):
            # The last of a session has no next one: as if that were no other.
            after = value[_OPEN] if prints[i].restarts else price
            _settle(counts, symbol, value, after, scores[i])
        if prints[i].restarts:
            value[_LAST] = math.nan
            counts[symbol] = min(counts[symbol], WARM_UP_PRINTS - _SETTLING_PRINTS)
        value[_OPEN] = price


@_part
def _settle(
    counts: Counts, symbol: int, value: Values, after: float, verdict: np.record
) -> None:
    """Judge the open print, and take it in unless it comes back."""
    before, price = value[_LAST], value[_OPEN]
    comes_back = False
    if not math.isnan(before):
        scale = _scale(value)
        deviation = scale * before
        nearest = min(max(price, min(before, after)), max(before, after))
        comes_back = abs(price - nearest) > THRESHOLD * deviation
        comes_back &= counts[symbol] >= _UNCUT_PRINTS
        if counts[symbol] >= WARM_UP_PRINTS:
            is_step = abs(price - before) > STEP_THRESHOLD * deviation
            verdict.is_outlier = comes_back or is_step
            verdict.level = before if is_step and not comes_back else nearest
            verdict.score = (price - verdict.level) / deviation
        cut = _CUT_BACK if comes_back else _CUT
        _widen(counts, symbol, value, price / before - 1.0, cut * scale)
    if not comes_back:
        value[_LAST] = price


@_part
def _scale(value: Values) -> float:
    """Return a deviation as a share of the last price."""
    tick = (_TICK_USD if value[_LAST] >= 1.0 else _TICK_BELOW_ONE_USD) / value[_LAST]
    return float(max(tick, math.sqrt(max(value[_SLOW], value[_FAST]))))


@_part
def _widen(
    counts: Counts, symbol: int, value: Values, move: float, most: float
) -> None:
    """Take a move into both mean squares, which begin as plain means."""
    counts[symbol] += 1
    square = move * move
    if counts[symbol] > _UNCUT_PRINTS:
        square = min(square, most * most)
    value[_SLOW] += (square - value[_SLOW]) / min(counts[symbol], _SLOW_PRINTS)
    value[_FAST] += (square - value[_FAST]) / min(counts[symbol], _FAST_PRINTS)
