"""What the network sees: the same at any price, bounded, of one row alone."""

import numpy as np
import pytest

from conf.market.indicators import BAR, FEATURES, advance, new_state
from models.account import Accounts
from models.observation import (
    CLIP,
    DISPLAYED,
    MARKET_INPUTS,
    displayed,
    market_inputs,
)

MINUTE_NS = 60_000_000_000


def columns(price_level: float = 100.0, bars: int = 390) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    close = price_level * np.exp(np.cumsum(rng.normal(0, 5e-4, bars)))
    rows = np.zeros(bars, BAR)
    rows["window_start_ns"] = np.arange(bars) * MINUTE_NS
    rows["session_close_ns"] = bars * MINUTE_NS
    rows["close"] = close
    rows["volume"] = rng.integers(100, 10_000, bars)
    rows["bid_price"], rows["ask_price"] = close * 0.9999, close * 1.0001
    rows["split_ratio"] = 1
    features = advance(new_state(1), rows)[1]
    known = {name: features[name].astype(np.float64) for name in FEATURES.names or ()}
    return known | {"close": close, "volume": rows["volume"].astype(np.float64)}


def test_inputs_are_the_same_at_any_price():
    cheap, dear = market_inputs(columns(5.0)), market_inputs(columns(4_000.0))
    assert np.allclose(cheap, dear, atol=1e-6)
    assert cheap.shape == (390, len(MARKET_INPUTS))


def test_inputs_are_bounded_known_and_varied():
    inputs = market_inputs(columns())
    assert np.isfinite(inputs).all()
    assert np.abs(inputs).max() <= CLIP
    varied = dict(zip(MARKET_INPUTS, inputs[100:].std(0) > 0, strict=True))
    assert [name for name, varies in varied.items() if not varies] == ["missing"]


def test_what_has_not_warmed_up_is_the_ordinary_value():
    first = dict(zip(MARKET_INPUTS, market_inputs(columns())[0], strict=True))
    assert first["rsi_14"] == first["return_1h"] == first["sma_15m"] == 0


def test_a_row_depends_on_no_other():
    known = columns()
    alone = {name: column[200:201] for name, column in known.items()}
    assert market_inputs(alone).tobytes() == market_inputs(known)[200].tobytes()


def test_people_read_raw_values():
    known = columns()
    shown = displayed(known, 300, Accounts.opened(1, 1_000.0))
    assert shown["current_price"] == known["close"][300]
    assert shown["rsi"] == known["rsi_14"][300]
    assert shown["portfolio_value"] == shown["cash_balance"] == 1_000.0
    assert set(DISPLAYED) < set(shown)


def test_the_network_s_names_are_the_columns_order():
    inputs = market_inputs(columns())
    rsi = (columns()["rsi_14"][50:] - 50) / 25
    assert inputs[50:, MARKET_INPUTS.index("rsi_14")] == pytest.approx(rsi)
