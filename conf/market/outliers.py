"""Outliers among trades as they come: a robust z-score per print, O(1).

A print is measured against the median of the five before it, in units of the root mean
square of such distances. Both resist what they look for: an outlier enters neither, and
what is nearly one enters the mean square cut to ``_CUT`` deviations. The mean square is
the larger of a slow and a fast one, so that a burst of volatility is no burst of
alarms. Distances are relative to the price: a split or a night changes no scale.

Two outliers in a row that agree are a new level, and the second is none.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Records = NDArray[np.void]

THRESHOLD = 5.3
"""Deviations beyond which a print is an outlier: 1 of 8 million Gaussian ones is."""
WARM_UP_PRINTS = 100
"""Prints of a symbol before the first score."""

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

# Columns of the counts and of the values.
_SEEN, _IN_LEVEL, _HAS_SUSPECT, _COUNTS = 0, 1, 2, 3
_LEVEL, _SLOW, _FAST, _SUSPECT, _VALUES = 0, 5, 6, 7, 8
_DEPTH = 5
_SLOW_PRINTS, _FAST_PRINTS = 500, 50
_CUT = 3.5
# The smallest step of a price is a scale where nothing moves.
_TICK_USD, _TICK_BELOW_ONE_USD = 0.01, 0.0001

_part = numba.njit(error_model="numpy", inline="always")


class State(NamedTuple):
    """What the next prints of some symbols need; a row per symbol in both arrays."""

    counts: Counts
    values: Values


def new_state(symbols: int) -> State:
    """Return the state of symbols that have had no print."""
    counts = np.zeros((symbols, _COUNTS), np.int64)
    return State(counts, np.zeros((symbols, _VALUES)))


def score(state: State, prints: Records) -> tuple[State, Records]:
    """Score prints and return the next state and one row of ``SCORE`` per print.

    Args:
        state: Is not changed.
        prints: Rows of ``PRINT``. One that comes late is left out: it would be measured
            against prices of another time.

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
        count, value = counts[prints[i].symbol], values[prints[i].symbol]
        price = prints[i].price
        if prints[i].restarts:
            count[_IN_LEVEL] = count[_HAS_SUSPECT] = 0
        scores[i].level = level = _median(count, value)
        scores[i].score = math.nan
        scores[i].is_outlier = False
        if count[_IN_LEVEL] > 0:
            distance = (price - level) / level
            scale = _scale(value, level)
            if count[_SEEN] >= WARM_UP_PRINTS:
                scores[i].score = distance / scale
                scores[i].is_outlier = _is_outlier(count, value, price, level, scale)
            if not scores[i].is_outlier:
                _widen(count, value, distance, scale)
        if not scores[i].is_outlier:
            value[_LEVEL + count[_IN_LEVEL] % _DEPTH] = price
            count[_IN_LEVEL] += 1


@_part
def _median(count: Counts, value: Values) -> float:
    """Return the median of the level's prices, the lower one of an even number."""
    size = min(count[_IN_LEVEL], _DEPTH)
    for i in range(size):
        smaller = 0
        for k in range(size):
            other = value[_LEVEL + k]
            mine = value[_LEVEL + i]
            smaller += other < mine or (other == mine and k < i)
        if smaller == (size - 1) // 2:
            return float(value[_LEVEL + i])
    return math.nan


@_part
def _scale(value: Values, level: float) -> float:
    tick = (_TICK_USD if level >= 1.0 else _TICK_BELOW_ONE_USD) / level
    return max(math.sqrt(max(value[_SLOW], value[_FAST])), tick)


@_part
def _is_outlier(
    count: Counts, value: Values, price: float, level: float, scale: float
) -> bool:
    tolerance = THRESHOLD * scale * level
    if abs(price - level) <= tolerance:
        count[_HAS_SUSPECT] = 0
        return False
    agrees = abs(price - value[_SUSPECT]) <= tolerance
    if count[_HAS_SUSPECT] and agrees:
        count[_HAS_SUSPECT] = count[_IN_LEVEL] = 0
        return False
    count[_HAS_SUSPECT] = 1
    value[_SUSPECT] = price
    return True


@_part
def _widen(count: Counts, value: Values, distance: float, scale: float) -> None:
    """Take a distance into both mean squares, which begin as plain means."""
    count[_SEEN] += 1
    square = distance * distance
    if count[_SEEN] > _DEPTH:
        square = min(square, _CUT * _CUT * scale * scale)
    value[_SLOW] += (square - value[_SLOW]) / min(count[_SEEN], _SLOW_PRINTS)
    value[_FAST] += (square - value[_FAST]) / min(count[_SEEN], _FAST_PRINTS)
