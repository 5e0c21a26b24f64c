"""``gold.symbol_stats``: exact statistics of one symbol and window.

Sums are integers (1e-6 USD and 1e-12 USD²), so the order of trades, the cut of batches
and the engine cannot change a digit. That makes two ways equal, and a test holds them
to it: adding what each batch brings (the hot path, because silver yields each new
trade exactly once), and counting a window anew from silver (``recount``, and
``corrected`` for windows whose trades were corrected).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.lake.tables import SYMBOL_STATS
from conf.market.conditions import NO_VOLUME

WINDOW_LENGTH_S = 60
LENGTH_NAMES = {60: "1m", 300: "5m", 900: "15m", 3_600: "1h"}
"""Names of the windows' lengths in seconds."""
GRACE = timedelta(seconds=1.5)
"""A window is final when the market clock has passed its end by so much."""

Key = tuple[str, datetime]
Row = Mapping[str, Any]


def to_prices(trades: DataFrame) -> DataFrame:
    """Put each trade into its minute and its price range.

    Args:
        trades: Rows of ``silver.trades``, streaming or bounded. Prints that do not
            update volume (official opening and closing prices) are left out: they
            repeat another print.

    Returns:
        One row per trade: ``symbol``, ``window_start``, ``price``, ``size``,
        ``market_time``, ``price_e6`` and the bounds ``low_e6``, ``high_e6``.
    """
    price_e6 = F.round(F.col("price") * 1_000_000).cast("bigint")
    # A price range is a twentieth of a percent of the price's power of ten, or a cent:
    # 0.05 USD from 100 to 1,000 USD. Counting digits is exact where a logarithm is not.
    power = F.pow(F.lit(10), F.length(price_e6.cast("string")) - 1).cast("bigint")
    width = F.greatest(F.call_function("div", power, F.lit(2_000)), F.lit(10_000))
    is_official = F.arrays_overlap(
        F.coalesce("conditions", F.array().cast("array<string>")),
        F.array(*(F.lit(code) for code in sorted(NO_VOLUME))),
    )
    return trades.where(~is_official).select(
        "symbol",
        F.date_trunc("minute", "event_time").alias("window_start"),
        "price",
        "size",
        "market_time",
        price_e6.alias("price_e6"),
        (price_e6 - F.pmod(price_e6, width)).alias("low_e6"),
        (price_e6 - F.pmod(price_e6, width) + width).alias("high_e6"),
    )


def to_partials(prices: DataFrame) -> DataFrame:
    """Sum the trades of each symbol, minute and price range.

    Args:
        prices: Rows of ``to_prices``, bounded.

    Returns:
        One row per symbol, ``window_start``, ``low_e6`` and ``high_e6``:
        ``trade_count``, ``volume``, ``price_min``, ``price_max``, ``sum_e6``,
        ``sum_squares_e12`` and ``market_time``, the newest market clock seen.
    """
    exact = F.col("price_e6").cast("decimal(19,0)")
    return prices.groupBy("symbol", "window_start", "low_e6", "high_e6").agg(
        F.count("*").alias("trade_count"),
        F.sum("size").alias("volume"),
        F.min("price").alias("price_min"),
        F.max("price").alias("price_max"),
        F.sum(exact).cast("decimal(38,0)").alias("sum_e6"),
        F.sum(exact * exact).cast("decimal(38,0)").alias("sum_squares_e12"),
        F.max("market_time").alias("market_time"),
    )


@dataclass
class Window:
    """Exact sums of one symbol and minute, to which partial sums can be added."""

    trade_count: int = 0
    volume: int = 0
    price_min: float = math.inf
    price_max: float = -math.inf
    sum_e6: int = 0
    sum_squares_e12: int = 0
    buckets: dict[tuple[int, int], int] = field(
        default_factory=lambda: defaultdict(int)
    )
    correction_count: int = 0

    def add(self, partial: Row) -> None:
        """Add one row of ``to_partials``."""
        self.trade_count += partial["trade_count"]
        self.volume += partial["volume"]
        self.price_min = min(self.price_min, partial["price_min"])
        self.price_max = max(self.price_max, partial["price_max"])
        self.sum_e6 += int(partial["sum_e6"])
        self.sum_squares_e12 += int(partial["sum_squares_e12"])
        bucket = (partial["low_e6"], partial["high_e6"])
        self.buckets[bucket] += partial["trade_count"]

    @property
    def variance(self) -> float | None:
        """Sample variance in USD²; None for less than two trades."""
        return variance(self.trade_count, self.sum_e6, self.sum_squares_e12)


def variance(trade_count: int, sum_e6: int, sum_squares_e12: int) -> float | None:
    """Return the sample variance in USD², from exact sums; None for less than two."""
    n = trade_count
    if n < 2:
        return None
    return (n * sum_squares_e12 - sum_e6 * sum_e6) / (n * (n - 1) * 10**12)


def from_row(row: Row) -> Window:
    """Return the sums that a row of the table holds."""
    buckets = defaultdict[tuple[int, int], int](int)
    for bucket in row["price_buckets"]:
        buckets[(bucket["low_e6"], bucket["high_e6"])] = bucket["trade_count"]
    return Window(
        trade_count=row["trade_count"],
        volume=row["volume"],
        price_min=math.inf if row["price_min"] is None else row["price_min"],
        price_max=-math.inf if row["price_max"] is None else row["price_max"],
        sum_e6=int(row["price_sum_e6"]),
        sum_squares_e12=int(row["price_sum_squares_e12"]),
        buckets=buckets,
        correction_count=row["correction_count"],
    )


def touched(partials: Iterable[Row]) -> set[Key]:
    """Return the (symbol, window_start) that partial sums belong to."""
    return {(row["symbol"], row["window_start"]) for row in partials}


def newest_market_time(partials: Iterable[Row]) -> datetime | None:
    """Return the newest market clock that partial sums have seen."""
    return max((row["market_time"] for row in partials), default=None)


def is_due(window_start: datetime, clock: datetime) -> bool:
    """Tell whether the market clock has passed a window's end and its grace."""
    return window_start + timedelta(seconds=WINDOW_LENGTH_S) + GRACE <= clock


def fold(
    current: Iterable[Row],
    partials: Iterable[Row],
    *,
    source_version: int,
    updated_time: datetime,
    market_time: datetime | None = None,
) -> pa.Table:
    """Add partial sums to the rows that the table has.

    Args:
        current: Rows of the table for every touched window, and every window to close.
        partials: Rows of ``to_partials``.
        source_version: Version of ``silver.trades`` that the result reflects.
        updated_time: Wall clock of this change.
        market_time: Market clock; by default the newest that a partial sum has seen.

    Returns:
        Rows of the table, in its schema: the windows that changed or became final.
    """
    known = {(row["symbol"], row["window_start"]): row for row in current}
    partials = list(partials)
    windows = {key: from_row(row) for key, row in known.items()}
    for row in partials:
        windows.setdefault((row["symbol"], row["window_start"]), Window()).add(row)
    clock = market_time or newest_market_time(partials)
    changed = touched(partials)
    rows = []
    for key, window in windows.items():
        was_final = key in known and known[key]["is_final"]
        is_final = was_final or (clock is not None and is_due(key[1], clock))
        if key in changed or is_final != was_final:
            row = _to_row(key, window, is_final=is_final)
            rows.append(row | _stamp(source_version, updated_time))
    return pa.Table.from_pylist(rows, schema=SYMBOL_STATS.schema)


def restate(
    partials: Iterable[Row],
    corrections: Mapping[Key, int],
    final: Iterable[Key],
    *,
    source_version: int,
    updated_time: datetime,
) -> pa.Table:
    """Count windows anew, whatever rows the table has of them.

    Args:
        partials: Rows of ``to_partials``: of these windows, all effective trades.
        corrections: The windows, and how many corrections each of them reflects.
        final: The windows that are final.
        source_version: As for ``fold``.
        updated_time: As for ``fold``.

    Returns:
        A row of the table for each window.
    """
    windows = {key: Window(correction_count=n) for key, n in corrections.items()}
    for row in partials:
        windows[(row["symbol"], row["window_start"])].add(row)
    is_final = set(final)
    stamp = _stamp(source_version, updated_time)
    rows = [
        _to_row(key, window, is_final=key in is_final) | stamp
        for key, window in windows.items()
    ]
    return pa.Table.from_pylist(rows, schema=SYMBOL_STATS.schema)


def _stamp(source_version: int, updated_time: datetime) -> dict[str, Any]:
    return {"source_version": source_version, "updated_time": updated_time}


def _to_row(key: Key, window: Window, *, is_final: bool) -> dict[str, Any]:
    """Return a row of the table, but for its source and the time of its change."""
    symbol, start = key
    variance, count = window.variance, window.trade_count
    return {
        "window_start": start,
        "symbol": symbol,
        "window_length_s": WINDOW_LENGTH_S,
        "window_end": start + timedelta(seconds=WINDOW_LENGTH_S),
        "trade_count": count,
        "volume": window.volume,
        "price_min": window.price_min if count else None,
        "price_max": window.price_max if count else None,
        "price_mean": window.sum_e6 / (count * 10**6) if count else None,
        "price_variance": variance,
        "price_stddev": None if variance is None else math.sqrt(variance),
        "price_sum_e6": Decimal(window.sum_e6),
        "price_sum_squares_e12": Decimal(window.sum_squares_e12),
        "price_buckets": [
            {"low_e6": low, "high_e6": high, "trade_count": count}
            for (low, high), count in sorted(window.buckets.items())
        ],
        "correction_count": window.correction_count,
        "is_final": is_final,
        "day": start.date(),
        "window_length": LENGTH_NAMES[WINDOW_LENGTH_S],
        "hour": start.hour,
    }
