"""The kernel of ``indicators``, in machine code.

What a symbol's next bar needs is a row of integers and a row of floats. Only the entry
is cached on disk: the parts are compiled into it.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]
Records = NDArray[np.void]

MINUTE_NS = 60_000_000_000

# Columns of the counts; the last two by lane.
SESSION, WINDOW_START_NS, _BARS_SEEN, _RETURNS_SEEN, _BARS, _RETURNS = 0, 1, 2, 3, 4, 6
COUNTS = 8
# Columns of the values: rings of the newest bars, each with its sums of 5 and of 15;
# then, for each lane, what recurs.
_RING = 64  # a power of two that holds an hour and the bar before it
_MASK = _RING - 1
_CLOSE, _SQUARE, _VOLUME = 0, 3 * _RING, 6 * _RING
_SUM_5, _SUM_15 = _RING, 2 * _RING
_LANES = 9 * _RING
_EMA, _GAIN, _LOSS, _MACD_FAST, _MACD_SLOW, _MACD_SIGNAL, _LANE = 0, 3, 4, 5, 6, 7, 8
VALUES = _LANES + 2 * _LANE
# A lane begins with the first bar of the previous session, or of this one.
_PREVIOUS, _THIS = 0, 1
_EMA_PERIODS = (5, 15, 60)

# The "numpy" division is C's, which gives inf or NaN for 0; Python's would check.
# Inlined parts halve the time of a bar, and that of compiling.
_part = numba.njit(error_model="numpy", inline="always")


@numba.njit(cache=True, error_model="numpy")
def advance(counts: Counts, values: Values, bars: Records, features: Records) -> int:
    """Return the place of the first bar that does not continue, or -1."""
    for i in range(bars.size):
        bar, row = bars[i], features[i]
        count, value = counts[bar.symbol], values[bar.symbol]
        if bar.window_start_ns <= count[WINDOW_START_NS]:
            return i
        is_first = bar.session != count[SESSION]
        _describe_time(count, bar, is_first, row)
        if is_first:
            _open_session(count, value, bar)
        _remember(count, value, bar, is_first)
        _recur(count, value, _PREVIOUS)
        _recur(count, value, _THIS)
        _describe_windows(count, value, row)
        _describe_deviations(count, value, row)
        _describe_recursions(count, value, row)
        row.spread_bps = _spread_bps(bar.bid_price, bar.ask_price)
    return -1


@_part
def _describe_time(
    count: Counts, bar: np.record, is_first: bool, row: np.record
) -> None:
    end_ns = bar.window_start_ns + MINUTE_NS
    row.minutes_since_open = (end_ns - bar.session_open_ns) // MINUTE_NS
    row.minutes_to_close = (bar.session_close_ns - end_ns) // MINUTE_NS
    due_ns = bar.session_open_ns
    if not is_first:
        due_ns = count[WINDOW_START_NS] + MINUTE_NS
    row.missing_minutes = max(0, (bar.window_start_ns - due_ns) // MINUTE_NS)


@_part
def _open_session(count: Counts, value: Values, bar: np.record) -> None:
    """Go on with what began with the previous session's first bar; begin the next."""
    # A symbol without a bar in the previous session has nothing to go on with.
    follows = bar.session == count[SESSION] + 1
    for counted in (_BARS, _RETURNS):
        count[counted + _PREVIOUS] = count[counted + _THIS] if follows else 0
        count[counted + _THIS] = 0
    count[SESSION] = bar.session
    for i in range(_LANES, _LANES + _LANE):
        value[i] = value[i + _LANE] / bar.split_ratio if follows else 0.0
        value[i + _LANE] = 0.0
    if bar.split_ratio != 1.0:
        for i in range(3 * _RING):
            value[_CLOSE + i] /= bar.split_ratio
            value[_VOLUME + i] *= bar.split_ratio


@_part
def _remember(count: Counts, value: Values, bar: np.record, is_first: bool) -> None:
    """Put the bar into the windows."""
    count[WINDOW_START_NS] = bar.window_start_ns
    count[_BARS_SEEN] += 1
    count[_BARS + _PREVIOUS] += 1
    count[_BARS + _THIS] += 1
    now = count[_BARS_SEEN]
    _push(value, _CLOSE, now, bar.close)
    _push(value, _VOLUME, now, bar.volume)
    if not is_first:
        count[_RETURNS_SEEN] += 1
        count[_RETURNS + _PREVIOUS] += 1
        count[_RETURNS + _THIS] += 1
        step = _return(value, now, 1)
        _push(value, _SQUARE, count[_RETURNS_SEEN], step * step)


@_part
def _push(value: Values, ring: int, now: int, newest: float) -> None:
    """Store a value, and the sums of the last 5 and 15 with it."""
    value[ring + (now & _MASK)] = newest
    value[ring + _SUM_5 + (now & _MASK)] = _sum_last(value, ring, now, 5)
    sum_5 = ring + _SUM_5
    value[ring + _SUM_15 + (now & _MASK)] = (
        value[sum_5 + (now & _MASK)]
        + value[sum_5 + (now - 5 & _MASK)]
        + value[sum_5 + (now - 10 & _MASK)]
    )


@_part
def _sum_last(value: Values, ring: int, now: int, count: int) -> float:
    total = 0.0
    for age in range(count):
        total += value[ring + (now - age & _MASK)]
    return total


@_part
def _sum_hour(value: Values, ring: int, now: int) -> float:
    sum_15 = ring + _SUM_15
    newer = value[sum_15 + (now & _MASK)] + value[sum_15 + (now - 15 & _MASK)]
    older = value[sum_15 + (now - 30 & _MASK)] + value[sum_15 + (now - 45 & _MASK)]
    return float(newer + older)


@_part
def _sma(value: Values, now: int, period: int) -> float:
    if period == 5:
        return float(value[_CLOSE + _SUM_5 + (now & _MASK)] / 5)
    if period == 15:
        return float(value[_CLOSE + _SUM_15 + (now & _MASK)] / 15)
    return _sum_hour(value, _CLOSE, now) / 60


@_part
def _ema(newest: float, previous: float, period: int) -> float:
    return (newest - previous) * (2.0 / (period + 1)) + previous


@_part
def _recur(count: Counts, value: Values, which: int) -> None:
    """Take the newest bar into one lane, which is seeded with means, as in TA-Lib."""
    bars, now, lane = count[_BARS + which], count[_BARS_SEEN], _LANES + which * _LANE
    close = value[_CLOSE + (now & _MASK)]
    for i in range(3):
        period, at = _EMA_PERIODS[i], lane + _EMA + i
        if bars > period:
            value[at] = _ema(close, value[at], period)
        elif bars == period:
            value[at] = _sma(value, now, period)
    if bars > 1:
        _recur_rsi(value, lane, bars, close - value[_CLOSE + (now - 1 & _MASK)])
    if bars >= 26:
        _recur_macd(value, lane, bars, now)


@_part
def _recur_rsi(value: Values, lane: int, bars: int, change: float) -> None:
    """Keep Wilder's averages of gains and losses, which begin as means of 14."""
    gain, loss = max(change, 0.0), max(-change, 0.0)
    if bars > 15:
        value[lane + _GAIN] = (value[lane + _GAIN] * 13 + gain) / 14
        value[lane + _LOSS] = (value[lane + _LOSS] * 13 + loss) / 14
    else:
        value[lane + _GAIN] += gain
        value[lane + _LOSS] += loss
        if bars == 15:
            value[lane + _GAIN] /= 14
            value[lane + _LOSS] /= 14


@_part
def _recur_macd(value: Values, lane: int, bars: int, now: int) -> None:
    """Keep MACD 12/26/9; as in TA-Lib, both its averages begin with the 26th bar."""
    close = value[_CLOSE + (now & _MASK)]
    if bars == 26:
        value[lane + _MACD_FAST] = _sum_last(value, _CLOSE, now, 12) / 12
        value[lane + _MACD_SLOW] = _sum_last(value, _CLOSE, now, 26) / 26
    else:
        value[lane + _MACD_FAST] = _ema(close, value[lane + _MACD_FAST], 12)
        value[lane + _MACD_SLOW] = _ema(close, value[lane + _MACD_SLOW], 26)
    macd = value[lane + _MACD_FAST] - value[lane + _MACD_SLOW]
    signal = lane + _MACD_SIGNAL
    if bars > 34:
        value[signal] = _ema(macd, value[signal], 9)
    else:
        value[signal] += macd
        if bars == 34:
            value[signal] /= 9


@_part
def _describe_windows(count: Counts, value: Values, row: np.record) -> None:
    bars, now = count[_BARS + _PREVIOUS], count[_BARS_SEEN]
    row.bar_count = bars
    row.price_change = math.nan
    if bars > 1:
        row.price_change = (
            value[_CLOSE + (now & _MASK)] - value[_CLOSE + (now - 1 & _MASK)]
        )
    row.return_1m = _return(value, now, 1) if bars > 1 else math.nan
    row.return_5m = _return(value, now, 5) if bars > 5 else math.nan
    row.return_15m = _return(value, now, 15) if bars > 15 else math.nan
    row.return_1h = _return(value, now, 60) if bars > 60 else math.nan
    row.sma_5m = _sma(value, now, 5) if bars >= 5 else math.nan
    row.sma_15m = _sma(value, now, 15) if bars >= 15 else math.nan
    row.sma_1h = _sma(value, now, 60) if bars >= 60 else math.nan
    returns, now = count[_RETURNS + _PREVIOUS], count[_RETURNS_SEEN]
    row.volatility_15m = row.volatility_1h = math.nan
    if returns >= 15:
        row.volatility_15m = math.sqrt(value[_SQUARE + _SUM_15 + (now & _MASK)])
    if returns >= 60:
        row.volatility_1h = math.sqrt(_sum_hour(value, _SQUARE, now))


@_part
def _return(value: Values, now: int, bars: int) -> float:
    before = value[_CLOSE + (now - bars & _MASK)]
    # The difference of two near prices is exact, a quotient near 1 is not.
    return float((value[_CLOSE + (now & _MASK)] - before) / before)


@_part
def _describe_deviations(count: Counts, value: Values, row: np.record) -> None:
    row.bollinger_middle_20 = row.bollinger_upper_20 = row.bollinger_lower_20 = math.nan
    row.bollinger_z_20 = row.volume_z_20 = math.nan
    now = count[_BARS_SEEN]
    if count[_BARS + _PREVIOUS] < 20:
        return
    middle, deviation = _mean_and_deviation(value, _CLOSE, now)
    row.bollinger_middle_20 = middle
    row.bollinger_upper_20 = middle + 2.0 * deviation
    row.bollinger_lower_20 = middle - 2.0 * deviation
    if deviation > 0.0:
        row.bollinger_z_20 = (value[_CLOSE + (now & _MASK)] - middle) / deviation
    mean, deviation = _mean_and_deviation(value, _VOLUME, now)
    if deviation > 0.0:
        row.volume_z_20 = (value[_VOLUME + (now & _MASK)] - mean) / deviation


@_part
def _mean_and_deviation(value: Values, ring: int, now: int) -> tuple[float, float]:
    """Return mean and population's standard deviation of the last 20."""
    mean = (
        value[ring + _SUM_15 + (now & _MASK)]
        + value[ring + _SUM_5 + (now - 15 & _MASK)]
    ) / 20
    # Distances from the mean: a sum of the squares themselves cancels at high prices.
    squares = 0.0
    for age in range(20):
        distance = value[ring + (now - age & _MASK)] - mean
        squares += distance * distance
    return mean, math.sqrt(squares / 20)


@_part
def _describe_recursions(count: Counts, value: Values, row: np.record) -> None:
    bars, lane = count[_BARS + _PREVIOUS], _LANES + _PREVIOUS * _LANE
    row.ema_5m = value[lane + _EMA] if bars >= 5 else math.nan
    row.ema_15m = value[lane + _EMA + 1] if bars >= 15 else math.nan
    row.ema_1h = value[lane + _EMA + 2] if bars >= 60 else math.nan
    gain, loss = value[lane + _GAIN], value[lane + _LOSS]
    row.rsi_14 = math.nan
    if bars >= 15 and gain + loss > 0.0:
        row.rsi_14 = 100.0 * (gain / (gain + loss))
    macd = value[lane + _MACD_FAST] - value[lane + _MACD_SLOW]
    signal = value[lane + _MACD_SIGNAL]
    row.macd_12_26 = macd if bars >= 26 else math.nan
    row.macd_signal_9 = signal if bars >= 34 else math.nan
    row.macd_histogram = macd - signal if bars >= 34 else math.nan


@_part
def _spread_bps(bid: float, ask: float) -> float:
    if not (bid > 0.0 and ask > 0.0):
        return math.nan
    return (ask - bid) / ((ask + bid) / 2) * 10_000
