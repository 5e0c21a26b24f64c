"""Indicators of minute bars: one kernel for the stream, recomputation and training.

``advance`` takes a state and bars and gives the next state and one row of features a
bar. Every row is a pure function of the symbol's bars of the previous session and of
this one up to the row, to the last bit:

- only + - * / and the square root, which IEEE 754 rounds alike on every machine, in a
  fixed order and without fastmath;
- a window of 15 is three sums of 5, one of an hour four sums of 15: no running total
  that drifts or remembers what has left it;
- what recurs (EMA, RSI, MACD) is kept twice, begun with the previous session's first
  bar and with this one's; the second becomes the first when a session opens.

A step is a bar, not a minute: no bar is invented for a minute without trades, and
``missing_minutes`` says how many there were. What has not warmed up, or is not defined
(0/0), is NaN.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from conf.market import indicator_kernel as kernel
from conf.market.indicator_kernel import Counts, Records, Values

BAR = np.dtype(
    [
        ("symbol", "i8"),  # index into the state
        ("window_start_ns", "i8"),
        ("session", "i8"),  # sessions are numbered without gaps
        ("session_open_ns", "i8"),
        ("session_close_ns", "i8"),
        ("close", "f8"),  # USD, finite and above 0
        ("volume", "f8"),  # shares
        ("bid_price", "f8"),  # USD, the quote in force at the bar's end; 0 or NaN: none
        ("ask_price", "f8"),
        ("split_ratio", "f8"),  # new shares for an old one at this session's open, or 1
    ]
)
"""One minute bar. Bars of a symbol ascend; symbols may be mixed in any way."""

_FLOATS = (
    "price_change", "return_1m", "return_5m", "return_15m", "return_1h",
    "sma_5m", "sma_15m", "sma_1h", "ema_5m", "ema_15m", "ema_1h",
    "rsi_14", "macd_12_26", "macd_signal_9", "macd_histogram",
    "bollinger_middle_20", "bollinger_upper_20", "bollinger_lower_20", "bollinger_z_20",
    "volatility_15m", "volatility_1h", "volume_z_20", "spread_bps",
)  # fmt: skip

FEATURES = np.dtype(
    [
        ("bar_count", "i8"),
        ("missing_minutes", "i8"),
        ("minutes_since_open", "i8"),
        ("minutes_to_close", "i8"),
        *((name, "f8") for name in _FLOATS),
    ]
)
"""What is known at a bar's end.

``bar_count`` is the number of bars that the recursions have seen: those since the
previous session's first. ``missing_minutes`` are those without a bar since the one
before, or since the open. Times count from and to the bar's end and are negative
outside the session. Returns and ``price_change`` (USD) may reach over a session's
open; ``volatility`` is the root of the sum of squared one-bar returns within sessions.
``volume_z_20`` and the Bollinger bands use the population's standard deviation of the
last 20 bars. ``spread_bps`` is of the mid price, negative if crossed.
"""

WARM_UP_BARS: Mapping[str, int] = MappingProxyType(
    {
        "price_change": 2, "return_1m": 2, "return_5m": 6, "return_15m": 16,
        "return_1h": 61, "sma_5m": 5, "sma_15m": 15, "sma_1h": 60, "ema_5m": 5,
        "ema_15m": 15, "ema_1h": 60, "rsi_14": 15, "macd_12_26": 26,
        "macd_signal_9": 34, "macd_histogram": 34, "bollinger_middle_20": 20,
        "bollinger_upper_20": 20, "bollinger_lower_20": 20, "bollinger_z_20": 20,
        "volatility_15m": 16, "volatility_1h": 61, "volume_z_20": 20, "spread_bps": 1,
    }
)  # fmt: skip
"""The ``bar_count`` from which a feature can have a value.

A volatility takes one bar more for each open that its window reaches over.
"""


class State(NamedTuple):
    """What the next bars of some symbols need; a row per symbol in both arrays."""

    counts: Counts
    values: Values


_NEVER = np.iinfo(np.int64).min
_LAYOUT = b"state-01"


def new_state(symbols: int) -> State:
    """Return the state of symbols that have had no bar."""
    counts = np.zeros((symbols, kernel.COUNTS), np.int64)
    counts[:, [kernel.SESSION, kernel.WINDOW_START_NS]] = _NEVER
    return State(counts, np.zeros((symbols, kernel.VALUES)))


def advance(state: State, bars: Records) -> tuple[State, Records]:
    """Take bars in and return the next state and one row of ``FEATURES`` per bar.

    The first call of a process loads the compiled kernel, or compiles it.

    Args:
        state: Is not changed.
        bars: Rows of ``BAR``, which continue the state: each later than every bar of
            its symbol before. One that is not belongs to the past, which is restated
            from the previous session's first bar.

    Raises:
        IndexError: A bar's symbol has no row in the state.
        ValueError: A bar does not continue the state.
    """
    symbols = bars["symbol"]
    if np.any((symbols < 0) | (symbols >= len(state.counts))):
        raise IndexError("a bar's symbol has no row in the state")
    following = State(state.counts.copy(), state.values.copy())
    features = np.empty(len(bars), FEATURES)
    wrong = kernel.advance(following.counts, following.values, bars, features)
    if wrong >= 0:
        raise ValueError(f"bar {wrong} is not later than its symbol's last")
    return following, features


def pack_state(state: State) -> bytes:
    """Return a state as bytes: the layout's number, then a row per symbol."""
    rows = np.hstack([state.counts, state.values.view(np.int64)])
    return _LAYOUT + rows.astype("<i8").tobytes()


def unpack_state(packed: bytes) -> State:
    """Return the state that ``pack_state`` was given.

    Raises:
        ValueError: It has the layout of another version: begin with the bars instead.
    """
    if not packed.startswith(_LAYOUT):
        raise ValueError("the state has the layout of another version")
    numbers = np.frombuffer(packed, "<i8", offset=len(_LAYOUT)).astype(np.int64)
    rows = numbers.reshape(-1, kernel.COUNTS + kernel.VALUES)
    counts, values = np.hsplit(rows, [kernel.COUNTS])
    return State(counts.copy(), values.copy().view(np.float64))
