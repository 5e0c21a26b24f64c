"""The indicators against TA-Lib and exact fractions, and their bytes under any cut."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import talib

from conf.market.indicators import (
    BAR,
    FEATURES,
    WARM_UP_BARS,
    advance,
    new_state,
    pack_state,
    unpack_state,
)

MINUTE_NS = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE_NS
BARS = 100_000


def bars_of(closes, *, session=0, symbol=0, minutes=None, volume=None):
    """Minute bars from the open of a session of 390 minutes."""
    bars = np.zeros(len(closes), BAR)
    open_ns = session * DAY_NS
    minutes = np.arange(len(closes)) if minutes is None else np.asarray(minutes)
    bars["symbol"], bars["session"] = symbol, session
    bars["window_start_ns"] = open_ns + minutes * MINUTE_NS
    bars["session_open_ns"] = open_ns
    bars["session_close_ns"] = open_ns + 390 * MINUTE_NS
    bars["close"] = closes
    bars["volume"] = 100 if volume is None else volume
    bars["bid_price"], bars["ask_price"] = bars["close"] - 0.01, bars["close"] + 0.01
    bars["split_ratio"] = 1
    return bars


def walk(count, seed=0, price=100.0):
    steps = np.random.default_rng(seed).normal(0, 1e-3, count)
    return np.round(price * np.exp(np.cumsum(steps)), 2)


def volumes(count, seed=1):
    return np.random.default_rng(seed).integers(1, 10_000, count).astype(float)


def features_of(*parts):
    return advance(new_state(1), np.concatenate(parts))[1]


def talib_features(closes, volume):
    upper, middle, lower = talib.BBANDS(closes, 20, 2, 2)
    macd, signal, histogram = talib.MACD(closes, 12, 26, 9)
    windows = {"5m": 5, "15m": 15, "1h": 60}
    return {
        **{f"sma_{name}": talib.SMA(closes, n) for name, n in windows.items()},
        **{f"ema_{name}": talib.EMA(closes, n) for name, n in windows.items()},
        **{f"return_{name}": talib.ROCP(closes, n) for name, n in windows.items()},
        "return_1m": talib.ROCP(closes, 1),
        "price_change": talib.MOM(closes, 1),
        "rsi_14": talib.RSI(closes, 14),
        "macd_12_26": macd,
        "macd_signal_9": signal,
        "macd_histogram": histogram,
        "bollinger_middle_20": middle,
        "bollinger_upper_20": upper,
        "bollinger_lower_20": lower,
        "volume_z_20": (volume - talib.SMA(volume, 20)) / talib.STDDEV(volume, 20),
    }


def relative_error(actual, expected):
    known = ~np.isnan(expected)
    assert not np.isnan(actual[known]).any()
    difference = np.abs(actual[known] - expected[known])
    return np.max(difference / np.maximum(np.abs(expected[known]), 1e-300))


def test_equal_to_talib_on_a_hundred_thousand_bars(record_property):
    closes, volume = walk(BARS), volumes(BARS)
    actual = features_of(bars_of(closes, volume=volume))
    errors = {
        name: float(relative_error(actual[name], expected))
        for name, expected in talib_features(closes, volume).items()
    }
    record_property("relative_error", errors)

    assert max(errors.values()) <= 1e-9


def test_from_the_second_session_on_equal_to_talib_of_two_sessions():
    sessions = [walk(130, seed) for seed in range(4)]
    volume = np.tile(volumes(130), 2)
    actual = features_of(
        *(
            bars_of(closes, session=n, volume=volume[:130])
            for n, closes in enumerate(sessions)
        )
    )
    for n, (previous, this) in enumerate(pairwise(sessions), start=1):
        both = np.concatenate([previous, this])
        rows = actual[n * 130 : (n + 1) * 130]
        for name, expected in talib_features(both, volume).items():
            assert relative_error(rows[name], expected[130:]) <= 1e-9, name


def test_deviations_hold_at_half_a_million_dollars():
    closes, volume = walk(300, price=500_000), volumes(300)
    actual = features_of(bars_of(closes, volume=volume))
    for i in range(60, 300):
        last = [Fraction(value) for value in closes[i - 19 : i + 1]]
        mean = sum(last) / 20
        deviation = math.sqrt(sum((x - mean) ** 2 for x in last) / 20)
        upper = float(mean) + 2 * deviation
        z = float(last[-1] - mean) / deviation
        steps = [Fraction(b) / Fraction(a) - 1 for a, b in pairwise(closes[: i + 1])]

        assert actual["bollinger_upper_20"][i] == pytest.approx(upper, rel=1e-14)
        assert actual["bollinger_z_20"][i] == pytest.approx(z, rel=1e-9, abs=1e-9)
        for name, n in {"volatility_15m": 15, "volatility_1h": 60}.items():
            realised = math.sqrt(sum(step**2 for step in steps[-n:]))
            assert actual[name][i] == pytest.approx(realised, rel=1e-12)


def test_nothing_is_known_before_it_has_warmed_up_and_everything_after():
    actual = features_of(bars_of(walk(80), volume=volumes(80)))
    assert set(WARM_UP_BARS) == {
        n for n, (t, _) in FEATURES.fields.items() if t == "f8"
    }
    for name, bars in WARM_UP_BARS.items():
        known = ~np.isnan(actual[name])
        assert known.tolist() == (actual["bar_count"] >= bars).tolist(), name


def test_what_has_no_value_is_nan():
    flat = features_of(bars_of(np.full(80, 100.0)))[-1]
    for name in ("rsi_14", "bollinger_z_20", "volume_z_20"):
        assert math.isnan(flat[name])
    assert flat["bollinger_upper_20"] == flat["bollinger_lower_20"] == 100


@pytest.mark.parametrize(
    ("bid", "ask", "spread_bps"),
    [(99.0, 101.0, 200.0), (100, 100, 0), (100.5, 99.5, -100), (0, 101, None),
     (99, 0, None), (math.nan, 101, None)],
)  # fmt: skip
def test_spread_needs_both_sides(bid, ask, spread_bps):
    bars = bars_of([100.0])
    bars["bid_price"], bars["ask_price"] = bid, ask
    (actual,) = features_of(bars)["spread_bps"]

    assert math.isnan(actual) if spread_bps is None else actual == spread_bps


def test_gaps_and_session_time_are_told():
    #  minute  -2 (pre-market)  1  2  7  389 | next session, first bar in its minute 3
    today = bars_of(walk(5), minutes=[-2, 1, 2, 7, 389])
    tomorrow = bars_of(walk(1), session=1, minutes=[3])
    actual = features_of(today, tomorrow)

    assert actual["missing_minutes"].tolist() == [0, 2, 0, 4, 381, 3]
    assert actual["minutes_since_open"].tolist() == [-1, 2, 3, 8, 390, 4]
    assert actual["minutes_to_close"].tolist() == [391, 388, 387, 382, 0, 386]
    assert actual["bar_count"].tolist() == [1, 2, 3, 4, 5, 6]


def test_the_night_between_sessions_is_no_volatility():
    calm = np.full(16, 100.0)
    actual = features_of(bars_of(calm), bars_of(calm * 2, session=1))

    assert actual["return_1m"][16] == 1
    assert actual["volatility_15m"][-1] == 0


def test_what_was_before_the_previous_session_leaves_no_trace():
    parts = [bars_of(walk(100, n), session=n, volume=volumes(100, n)) for n in range(5)]
    whole = features_of(*parts)
    for n in range(1, 5):
        alone = features_of(*parts[n - 1 : n + 1])
        assert alone[100:].tobytes() == whole[n * 100 : (n + 1) * 100].tobytes()


def test_a_symbol_that_skipped_a_session_begins_anew():
    before, after = bars_of(walk(70)), bars_of(walk(70, 1), session=2)

    assert features_of(before, after)[70:].tobytes() == features_of(after).tobytes()


def test_a_split_changes_no_feature_without_a_unit():
    closes, volume = np.round(walk(160) * 7) / 7, volumes(160)
    raw = features_of(
        bars_of(closes[:80], volume=volume[:80]),
        split := bars_of(closes[80:] / 7, session=1, volume=volume[80:] * 7),
    )
    split["split_ratio"] = 7
    actual = features_of(bars_of(closes[:80], volume=volume[:80]), split)
    adjusted = features_of(
        bars_of(closes[:80] / 7, volume=volume[:80] * 7),
        bars_of(closes[80:] / 7, session=1, volume=volume[80:] * 7),
    )
    for name in FEATURES.names:
        if name != "spread_bps":
            assert actual[name][80:] == pytest.approx(adjusted[name][80:], rel=1e-9)
    assert raw["return_1m"][80] < -0.8 < actual["return_1m"][80]


def market(seed):
    """Three sessions of three symbols, with gaps, ordered by time."""
    random = np.random.default_rng(seed)
    parts = []
    for symbol in range(3):
        for session in range(3):
            minutes = np.flatnonzero(random.random(90) < 0.9)
            parts.append(
                bars_of(
                    walk(len(minutes), int(random.integers(2**31))),
                    symbol=symbol,
                    session=session,
                    minutes=minutes,
                    volume=volumes(len(minutes), int(random.integers(2**31))),
                )
            )
    bars = np.concatenate(parts)
    return bars[np.argsort(bars["window_start_ns"], kind="stable")]


@pytest.mark.parametrize("seed", range(200))
def test_no_cut_no_restart_and_no_order_of_symbols_changes_a_byte(seed):
    bars = market(seed)
    _, expected = advance(new_state(3), bars)
    random = np.random.default_rng(seed)
    cuts = np.sort(random.integers(0, len(bars), random.integers(1, 60)))
    state, rows = new_state(3), {}
    for batch in np.split(bars, cuts):
        order = np.argsort(random.permutation(3)[batch["symbol"]], kind="stable")
        state, features = advance(unpack_state(pack_state(state)), batch[order])
        rows |= zip(map(key, batch[order]), map(bytes, features), strict=True)

    assert [rows[key(bar)] for bar in bars] == list(map(bytes, expected))


def key(bar):
    return bar["symbol"], bar["window_start_ns"]


def test_a_bar_that_does_not_continue_is_refused_and_the_state_stays():
    state, _ = advance(new_state(1), bars_of(walk(3)))
    packed = pack_state(state)
    for again in (bars_of(walk(3)), bars_of(walk(1), minutes=[2])):
        with pytest.raises(ValueError, match="bar 0 is not later"):
            advance(state, again)
    with pytest.raises(IndexError, match="no row"):
        advance(state, bars_of(walk(1), symbol=1, session=1))

    assert pack_state(state) == packed


def test_a_state_of_another_layout_is_refused():
    with pytest.raises(ValueError, match="layout"):
        unpack_state(b"state-00" + pack_state(new_state(1))[8:])


def test_no_bars_give_no_features():
    assert len(advance(new_state(2), np.empty(0, BAR))[1]) == 0
