"""What each symbol is like: its tape, its price level, how wide and how busy."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TEST_SYMBOL = "FAKEPACA"
"""The one symbol of Alpaca's test stream."""

EXCHANGES = "DQPKZNVJ"
"""Reporting exchanges by Alpaca's letters, the busiest first (D = off exchange)."""

EXCHANGE_SHARES = (0.36, 0.18, 0.12, 0.11, 0.09, 0.07, 0.04, 0.03)

_DEFAULTS = {
    "AAPL": ("C", 231.00), "MSFT": ("C", 428.00), "TSLA": ("C", 342.00),
    "NVDA": ("C", 141.00), "GOOGL": ("C", 176.00), "AMZN": ("C", 202.00),
    "SPY": ("B", 594.00), "QQQ": ("C", 505.00), "IWM": ("B", 239.00),
    "META": ("C", 563.00), "AMD": ("C", 138.00), "NFLX": ("C", 897.00),
    "INTC": ("C", 24.50), "JPM": ("A", 248.00), "BAC": ("A", 46.90),
    "XOM": ("A", 121.00), "DIS": ("A", 115.00), "BA": ("A", 149.00),
    "KO": ("A", 63.90), "WMT": ("A", 90.40), "V": ("A", 309.00),
    "CSCO": ("C", 58.50), "PFE": ("A", 25.50), "T": ("A", 23.10),
    TEST_SYMBOL: ("A", 133.85),
}  # fmt: skip

LOT = 100
"""Shares of a round lot."""

_ZIPF_EXPONENT = 0.6
_ZIPF_OFFSET = 5


class Listing(NamedTuple):
    """One symbol of the simulated market."""

    symbol: str
    tape: str
    """A (NYSE), B (regional, the ETFs) or C (Nasdaq)."""
    price_cents: int
    """Where its random walk starts."""
    half_spread_cents: int


def listing(symbol: str) -> Listing:
    """Return what a symbol is like; unknown ones get it from a hash of their name."""
    tape, price = _DEFAULTS.get(symbol) or _invented(symbol)
    return Listing(symbol, tape, round(price * 100), 1 + int(price > 300))


def symbol_weights(count: int) -> NDArray[np.float64]:
    """Return each symbol's share of the traffic, in order, Zipf-like; sum 1.

    The offset keeps the first of 24 symbols within three times the last, so that all
    of them have 50 to 300 messages a second at 2,000 to 4,096 a second in total.
    """
    weights = (np.arange(count) + 1.0 + _ZIPF_OFFSET) ** -_ZIPF_EXPONENT
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def with_symbol(symbols: Sequence[str], extra: str | None) -> list[str]:
    """Return the symbols without repetition, ``extra`` among them."""
    return list(dict.fromkeys([*symbols, *([extra] if extra else [])]))


def _invented(symbol: str) -> tuple[str, float]:
    digest = zlib.crc32(symbol.encode())
    return "ABC"[digest % 3], 5.0 + digest // 3 % 49_500 / 100
