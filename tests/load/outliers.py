"""How outliers are told from a market: ``python -m tests.load.outliers``.

Prints JSON: the share of planted spikes that are found, and alarms of both methods of
``gold.anomalies`` by symbol, on the simulated market in process, a session of it where
prints are rare and some hours where they are not, and on the recordings in
``$TICKHOUSE_DATA``, if there are any.
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import pyarrow as pa

from conf.lake.tables import BARS
from conf.market.bars import Bar
from conf.market.conditions import effect_of
from conf.market.effective_trades import Trade, resolve
from conf.market.rfc3339 import parse_ns
from conf.market.sessions import load_sessions
from conf.settings import SimulatorSettings
from gold.odd_bars import COLUMNS, OddBars
from gold.spikes import Context
from producer.simulator.market import Market
from silver.built_bars import moment
from tests.integration.test_recorded_trades import DAYS, TICKS, apart, bars_of, read
from tests.unit.conf.market.test_outliers import SYMBOLS, found_share, outliers_of

BEGIN_NS = 1_795_444_200 * 10**9
"""2026-11-23, 14:30 UTC: the regular open."""
HOURS = {20: 6.5, 128: 1.5}
"""By messages a second of each symbol; 6.5 are a session."""
SPIKES = ((5, 8), (8, 8), (8, 20))
"""Local standard deviations of the planted spikes, from and to."""

_KNOWN_AFTER = timedelta(seconds=61.5)
_SCHEMA = pa.schema([BARS.schema.field(name) for name in COLUMNS])


def simulated(rate_per_s: int, hours: float) -> list[Trade]:
    """Return the trades of clean hours at so many messages a second of each symbol."""
    settings = SimulatorSettings(rate_per_s=rate_per_s * len(SYMBOLS))
    market = Market(settings, list(SYMBOLS))
    end_ns, trades = BEGIN_NS + int(hours * 3_600) * 10**9, []
    for batch in market.batches(BEGIN_NS):
        for text in batch.texts:
            message = json.loads(text) if b'"T":"t"' in text else {"T": ""}
            if message["T"] == "t":
                trades.append(_trade(message))
        if trades and trades[-1].event_time_ns >= end_ns:
            return [trade for trade in trades if trade.event_time_ns < end_ns]
    raise AssertionError("the market ended")


def alarms(trades: list[Trade]) -> dict[str, dict[str, int]]:
    """Return the alarms by method and symbol."""
    prices = prices_of(trades)
    spikes = {symbol: len(outliers_of(found)) for symbol, found in prices.items()}
    bars = pa.Table.from_pylist(list(map(_row, _priced(trades))), schema=_SCHEMA)
    odd = OddBars(load_sessions()).find(bars, Context())["symbol"].to_pylist()
    return {"robust_z": spikes, "lof": {s: Counter(odd)[s] for s in prices}}


def prices_of(trades: Iterable[Trade]) -> dict[str, np.ndarray]:
    """Return the prices of each symbol's prints that set one, by time."""
    found = defaultdict(list)
    for trade in sorted(trades, key=lambda t: (t.event_time_ns, t.trade_id)):
        if effect_of(trade.conditions, trade.tape).high_low:
            found[trade.symbol].append(trade.price)
    return {symbol: np.array(prices) for symbol, prices in found.items()}


def measure() -> dict[str, object]:
    """Return all figures."""
    recall, found = {}, {}
    for rate_per_s, hours in HOURS.items():
        name = f"{rate_per_s}/s, {hours} h"
        clean = simulated(rate_per_s, hours)
        prices = prices_of(clean)
        shares = {f"{a} to {b}": found_share(prices, (a, b))[0] for a, b in SPIKES}
        recall[name], found[name] = shares, alarms(clean)
    for day in DAYS:
        if (TICKS / day).is_dir():
            trades, corrections = apart(read(day))
            effective = list(resolve(trades, corrections).apply(trades))
            found[day] = alarms(effective)
    return {"recall": recall, "alarms": found}


def _trade(message: dict) -> Trade:
    names = message["S"], message["x"], message["i"], parse_ns(message["t"])
    return Trade(*names, message["p"], message["s"], tuple(message["c"]), message["z"])


def _priced(trades: list[Trade]) -> list[Bar]:
    return [bar for bar in bars_of(trades) if bar.ohlc]


def _row(bar: Bar) -> dict[str, object]:
    start = moment(bar.window_start_ns)
    prices = dict(zip(("open", "high", "low", "close"), bar.ohlc, strict=True))
    known = {"window_start": start, "known_time": start + _KNOWN_AFTER}
    return {"symbol": bar.symbol, "volume": bar.volume, **known, **prices}


if __name__ == "__main__":
    json.dump(measure(), sys.stdout, indent=2)
