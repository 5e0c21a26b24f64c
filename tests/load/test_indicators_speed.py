"""How many bars a second the kernel takes, beside TA-Lib's streaming functions.

TA-Lib's functions look at a window and give its last value, so a stream calls each of
them once a bar. A window of two sessions yields the kernel's values; one of 100 bars is
the shortest that holds an hour's average, and yields other EMAs. Both sides take turns
on one core, and the best turn counts. Run with ``pytest -m load -s tests/load``.
"""

import json
import time
from collections.abc import Callable

import numpy as np
import pytest
from talib import stream

from conf.market.indicators import BAR, advance, new_state

pytestmark = pytest.mark.load

SYMBOLS = 32
BARS = 100_000
TWO_SESSIONS = 780
TALIB_BARS = 500
TURNS = 15


@pytest.fixture(scope="module")
def bars() -> np.ndarray:
    random = np.random.default_rng(7)
    bars = np.zeros(BARS, BAR)
    place = np.arange(BARS)
    bars["symbol"] = place % SYMBOLS
    bars["window_start_ns"] = place // SYMBOLS * 60 * 10**9
    bars["session"] = place // SYMBOLS // 390
    walk = np.cumsum(random.normal(0, 1e-3, (BARS // SYMBOLS, SYMBOLS)), axis=0)
    bars["close"] = np.round(100 * np.exp(walk.ravel()), 2)
    bars["volume"] = random.integers(1, 10_000, BARS)
    bars["bid_price"], bars["ask_price"] = bars["close"] - 0.01, bars["close"] + 0.01
    bars["split_ratio"] = 1
    return bars


@pytest.mark.parametrize("window", [100, TWO_SESSIONS])
def test_a_hundred_times_faster_than_talibs_streaming_functions(bars, window):
    closes = np.ascontiguousarray(bars["close"][::SYMBOLS])
    volume = np.ascontiguousarray(bars["volume"][::SYMBOLS])
    state = new_state(SYMBOLS)
    advance(state, bars)
    kernel_ns, talib_ns = [], []
    for _ in range(TURNS):
        kernel_ns.append(elapsed_ns(lambda: advance(state, bars)) / BARS)
        talib_ns.append(
            elapsed_ns(lambda: stream_all(closes, volume, window)) / TALIB_BARS
        )
    figures = {
        "talib_window_bars": window,
        "kernel_ns_a_bar": round(min(kernel_ns), 1),
        "talib_ns_a_bar": round(min(talib_ns), 1),
        "times_faster": round(min(talib_ns) / min(kernel_ns)),
    }
    print(json.dumps(figures))  # noqa: T201 - what this test is for

    assert figures["times_faster"] >= 100


def elapsed_ns(action: Callable[[], object]) -> int:
    start = time.perf_counter_ns()
    action()
    return time.perf_counter_ns() - start


def stream_all(closes: np.ndarray, volume: np.ndarray, window: int) -> None:
    """Call what the kernel computes, as far as TA-Lib has it, once a bar."""
    for end in range(window, window + TALIB_BARS):
        prices, shares = closes[end - window : end], volume[end - window : end]
        for period in (5, 15, 60):
            stream.SMA(prices, period)
            stream.EMA(prices, period)
            stream.ROCP(prices, period)
        stream.ROCP(prices, 1)
        stream.RSI(prices, 14)
        stream.MACD(prices, 12, 26, 9)
        stream.BBANDS(prices, 20, 2, 2)
        stream.SMA(shares, 20)
        stream.STDDEV(shares, 20, 1)
