"""Minute bars of the session before the market started, as Alpaca's REST serves them.

The bars walk backwards from the price at which the market opens, so that the last of
them meets the first live trade.
"""

import functools
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import msgspec
import numpy as np

from conf.market.rfc3339 import format_ns, parse_ns
from conf.market.wire import Bar
from producer.simulator.listing import listing
from producer.simulator.prints import VOLATILITY
from producer.simulator.sessions import Session
from producer.simulator.slots import MINUTE_NS

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000
TRADES_PER_MINUTE = 400
TRADE_SHARES = 200
"""Mean size of a trade."""
MINUTE_VOLATILITY = VOLATILITY * 60**0.5


class BadQuery(Exception):
    """The request's query is not one that Alpaca would answer."""


class History:
    """The bars of one session.

    Args:
        seed: Same seed, same session, same bars.
        session: When it was; whole minutes.
    """

    def __init__(self, seed: int, session: Session) -> None:
        self._seed = seed
        self._session = session
        self.bars = functools.cache(self._bars)

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the answer to ``GET /v2/stocks/bars``.

        Bars are ordered by symbol, then time; ``limit`` counts them over all symbols.

        Raises:
            BadQuery: Wrong time, limit, page token or timeframe, or no symbol.
        """
        symbols = sorted(filter(None, query.get("symbols", "").split(",")))
        if not symbols or query.get("timeframe") not in ("1Min", "1T"):
            raise BadQuery("symbols and timeframe=1Min are required")
        try:
            start, end = _time(query, "start", 0), _time(query, "end", 2**62)
            limit = min(int(query.get("limit", DEFAULT_LIMIT)), MAX_LIMIT)
            skipped = int(query.get("page_token") or 0)
        except ValueError as wrong:
            raise BadQuery(str(wrong)) from wrong
        found = [
            (bar.symbol, _without_symbol(bar))
            for symbol in symbols
            for bar in self.bars(symbol)
            if start <= parse_ns(bar.event_time) <= end
        ]
        bars: dict[str, list[dict[str, Any]]] = {}
        for symbol, bar in found[skipped : skipped + limit]:
            bars.setdefault(symbol, []).append(bar)
        is_last = skipped + limit >= len(found)
        token = None if is_last else str(skipped + limit)
        return {"bars": bars, "next_page_token": token}

    def _bars(self, symbol: str) -> list[Bar]:
        starts_ns = range(*self._session, MINUTE_NS)
        minutes = len(starts_ns)
        rng = np.random.default_rng([self._seed, zlib.crc32(symbol.encode())])
        steps = rng.standard_normal(minutes) * MINUTE_VOLATILITY
        # summed from the end: the last close is where the live market starts
        edges = np.exp(-np.cumsum(np.append(0.0, steps))[::-1])
        edges = np.rint(edges * listing(symbol).price_cents)
        opens, closes = edges[:-1], edges[1:]
        reach = np.abs(rng.standard_normal((2, minutes))) * MINUTE_VOLATILITY * opens
        highs = np.maximum(opens, closes) + np.rint(reach[0])
        lows = np.maximum(np.minimum(opens, closes) - np.rint(reach[1]), 1.0)
        trade_counts = 1 + rng.poisson(TRADES_PER_MINUTE, minutes)
        return list(
            map(
                Bar,
                repeat(symbol),
                *((cents / 100).tolist() for cents in (opens, highs, lows, closes)),
                (trade_counts * TRADE_SHARES).tolist(),
                map(format_ns, starts_ns),
                trade_counts.tolist(),
                np.round((opens + closes) / 200, 6).tolist(),
            )
        )


def _without_symbol(bar: Bar) -> dict[str, Any]:
    message: dict[str, Any] = msgspec.to_builtins(bar)
    return {key: value for key, value in message.items() if key not in ("T", "S", "z")}


def _time(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1_000
