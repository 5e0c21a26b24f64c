"""``silver.bars``: Alpaca's minute bars, as first sent and as restated."""

from datetime import timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

from silver.lineage import lineage, missing, no_number
from silver.times import nanoseconds_to_timestamp

_BAR_LENGTH_S = 60
_PRICES = {"open": "o", "high": "h", "low": "l", "close": "c"}


def to_struct() -> Column:
    """Return the table's row of a parsed message, as one struct."""
    window_start = nanoseconds_to_timestamp(F.col("event_ns"))
    columns = [
        window_start.alias("window_start"),
        F.col("tick.d.S").alias("symbol"),
        F.lit(_BAR_LENGTH_S).alias("bar_length_s"),
        F.lit("alpaca").alias("source"),
        _revision().alias("revision"),
        (window_start + F.lit(timedelta(seconds=_BAR_LENGTH_S))).alias("window_end"),
        *(F.col(f"bar.d.{wire}").alias(name) for name, wire in _PRICES.items()),
        F.col("bar.d.v").alias("volume"),
        F.col("bar.d.n").alias("trade_count"),
        F.col("bar.d.vw").alias("vwap"),
        F.col("market_time").alias("known_time"),
        *lineage(),
        F.to_date(window_start).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two copies of one revision."""
    return F.concat_ws("|", "tick.d.S", "event_ns", _revision())


def reject_reason() -> Column:
    """Return why a message of type ``b`` or ``u`` is no bar, or null."""
    prices = {name: F.col(f"bar.d.{wire}") for name, wire in _PRICES.items()}
    required = {**prices, "volume": F.col("bar.d.v")}
    trade_count = F.col("bar.d.n")
    return F.coalesce(
        missing(required),
        no_number(prices),
        F.when(~trade_count.between(0, 2**31 - 1), F.lit("trade_count is no count")),
    )


def _revision() -> Column:
    """Number a restatement by its trades: a minute is restated because one was added.

    The number must come from the message, so that a copy gets the same one.
    """
    restated = F.coalesce("bar.d.n", F.lit(1)).cast("int")
    return F.when(F.col("T") == "u", restated).otherwise(0)
