"""What the agent sees: scale-free numbers for the network, raw ones for people.

A network input must mean the same at 10 and at 1,000 USD, on a quiet and on a wild day:
returns and distances count in units of the symbol's own volatility, so no price enters.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from conf.market.indicators import FEATURES, advance, new_state
from models.account import Accounts
from models.tape import Floats, Integers, Tape

CLIP = 5.0
"""No network input is further from 0: an outlier must not decide alone."""

LEAST_UNIT = 1e-5
"""Log-return below which a bar's move is the tick size's noise."""

MARKET_INPUTS = (
    "return_1m", "return_5m", "return_15m", "return_1h",
    "sma_5m", "sma_15m", "sma_1h", "ema_5m", "ema_15m", "ema_1h",
    "rsi_14", "macd_histogram", "bollinger_z_20", "volume_z_20",
    "spread", "volatility_ratio", "elapsed_share", "missing",
)  # fmt: skip
"""Inputs of one bar, in the network's order, before those of the account."""

ACCOUNT_INPUTS = ("position", "cash_share", "open_profit", "portfolio_value")
"""Inputs of the account, in the network's order, after those of the market."""

INPUTS = (*MARKET_INPUTS, *ACCOUNT_INPUTS)
"""What a network sees, in its order."""

DISPLAYED = {
    "current_price": "close",
    "volume": "volume",
    "bid_ask_spread_bps": "spread_bps",
    "rsi": "rsi_14",
    "macd": "macd_12_26",
    "macd_signal": "macd_signal_9",
    "moving_average_5m": "sma_5m",
    "moving_average_15m": "sma_15m",
    "moving_average_1h": "sma_1h",
    "price_change": "price_change",
    "volatility": "volatility_1h",
}
"""Raw value that a person reads -> column of ``silver.features``."""

_AVERAGES = ("sma_5m", "sma_15m", "sma_1h", "ema_5m", "ema_15m", "ema_1h")
_BARS_OF_RETURN = {"return_1m": 1, "return_5m": 5, "return_15m": 15, "return_1h": 60}
# A profit of a day counts like this many ordinary bars.
_BARS_OF_PROFIT = 60

Columns = Mapping[str, Floats]


def columns_of(bars: NDArray[np.void]) -> dict[str, Floats]:
    """Return the columns of ``silver.features``, and ``close``, of one symbol's bars.

    Args:
        bars: Ascending, of the type ``conf.market.indicators.BAR``.
    """
    rows = advance(new_state(1), bars)[1]
    columns = {name: rows[name].astype(np.float64) for name in FEATURES.names or ()}
    return columns | {"close": bars["close"]}


def ordinary_return(columns: Columns) -> Floats:
    """Return the size of one bar's ordinary log-return, as known at each bar's end.

    It is the last hour's realised volatility per bar, the last quarter's until there
    has been an hour, and NaN until there has been a quarter.
    """
    hour = columns["volatility_1h"] / np.sqrt(60)
    quarter = columns["volatility_15m"] / np.sqrt(15)
    known: Floats = np.where(np.isnan(hour), quarter, hour)
    return np.maximum(known, LEAST_UNIT)


def market_inputs(columns: Columns) -> Floats:
    """Return the network's inputs for rows of ``silver.features``.

    Args:
        columns: The columns of ``silver.features``, with ``close`` in USD. Rows may be
            of any bars: no input depends on another row.

    Returns:
        A row per bar, a column per name in ``MARKET_INPUTS``. What has not warmed up is
        0: the network sees its ordinary value.
    """
    unit = ordinary_return(columns)
    close = columns["close"]
    inputs = {
        name: np.log1p(columns[name]) / (unit * np.sqrt(bars))
        for name, bars in _BARS_OF_RETURN.items()
    }
    inputs |= {name: np.log(close / columns[name]) / unit for name in _AVERAGES}
    length = columns["minutes_since_open"] + columns["minutes_to_close"]
    inputs |= {
        "rsi_14": (columns["rsi_14"] - 50) / 25,
        "macd_histogram": columns["macd_histogram"] / (close * unit),
        "bollinger_z_20": columns["bollinger_z_20"],
        "volume_z_20": columns["volume_z_20"],
        "spread": columns["spread_bps"] * 1e-4 / unit,
        "volatility_ratio": _log_ratio(columns),
        "elapsed_share": 2 * columns["minutes_since_open"] / np.maximum(length, 1) - 1,
        "missing": np.log1p(np.maximum(columns["missing_minutes"], 0)),
    }
    return bounded(np.stack([inputs[name] for name in MARKET_INPUTS], 1))


def _log_ratio(columns: Columns) -> Floats:
    """Return how wild the last quarter was beside the last hour."""
    quarter = np.maximum(columns["volatility_15m"] / np.sqrt(15), LEAST_UNIT)
    hour = np.maximum(columns["volatility_1h"] / np.sqrt(60), LEAST_UNIT)
    ratio: Floats = np.log(quarter / hour)
    return ratio


def account_inputs(
    accounts: Accounts, mark: Floats, unit: Floats, begun_with: Floats
) -> Floats:
    """Return the network's inputs for accounts: a column per ``ACCOUNT_INPUTS``.

    Args:
        accounts: What is held when the decision is made.
        mark: USD at which the shares are valued.
        unit: Size of an ordinary log-return of one bar.
        begun_with: USD that the accounts began the episode with.
    """
    value = accounts.value(mark)
    open_profit = np.where(accounts.is_long, np.log(mark / accounts.paid), 0.0)
    far = np.maximum(unit, LEAST_UNIT) * np.sqrt(_BARS_OF_PROFIT)
    inputs = {
        "position": np.where(accounts.is_long, 1.0, -1.0),
        "cash_share": 2 * accounts.cash / value - 1,
        "open_profit": open_profit / far,
        "portfolio_value": np.log(value / begun_with) / far,
    }
    return bounded(np.stack([inputs[name] for name in ACCOUNT_INPUTS], 1))


def bounded(inputs: Floats) -> Floats:
    """Return inputs without NaN, none further from 0 than ``CLIP``."""
    known = np.nan_to_num(inputs, nan=0.0, posinf=CLIP, neginf=-CLIP)
    return np.clip(known, -CLIP, CLIP)


def observations(
    tape: Tape, at: Integers, accounts: Accounts, begun_with: Floats
) -> Floats:
    """Return what the agent sees at some rows of a tape, one account each."""
    of_accounts = account_inputs(accounts, tape.mark[at], tape.unit[at], begun_with)
    return np.hstack([tape.features[at], of_accounts])


def displayed(columns: Columns, row: int, accounts: Accounts) -> dict[str, float]:
    """Return the raw values of one bar and of the first account, for people."""
    close = columns["close"][row]
    market = {name: float(columns[source][row]) for name, source in DISPLAYED.items()}
    return market | {
        "position": float(accounts.shares[0]),
        "cash_balance": float(accounts.cash[0]),
        "portfolio_value": float(accounts.value(np.asarray([close]))[0]),
    }
