"""``silver.bars``: Alpaca's minute and day bars, as first sent and as restated."""

from datetime import timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

from silver.lineage import lineage, missing, no_number
from silver.times import nanoseconds_to_timestamp

_MINUTE_S, _DAY_S = 60, 86_400
_PRICES = {"open": "o", "high": "h", "low": "l", "close": "c"}


def to_struct() -> Column:
    """Return the table's row of a parsed message, as one struct."""
    window_start = nanoseconds_to_timestamp(F.col("event_ns"))
    is_day = F.col("T") == "d"
    # A day bar opens at midnight in New York. Clocks change on Sundays, when no session
    # is held, so a day is 24 hours long.
    length = F.when(is_day, F.lit(timedelta(seconds=_DAY_S))).otherwise(
        F.lit(timedelta(seconds=_MINUTE_S))
    )
    columns = [
        window_start.alias("window_start"),
        F.col("tick.d.S").alias("symbol"),
        F.when(is_day, _DAY_S).otherwise(_MINUTE_S).alias("bar_length_s"),
        F.lit("alpaca").alias("source"),
        _revision().alias("revision"),
        (window_start + length).alias("window_end"),
        *(F.col(f"other.d.{wire}").alias(name) for name, wire in _PRICES.items()),
        F.col("other.d.v").alias("volume"),
        F.col("other.d.n").alias("trade_count"),
        F.col("other.d.vw").alias("vwap"),
        F.col("market_time").alias("known_time"),
        *lineage(),
        F.to_date(window_start).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two copies of one revision."""
    day = F.when(F.col("T") == "d", F.lit("day"))
    return F.concat_ws("|", "tick.d.S", "event_ns", day, _revision())


def reject_reason() -> Column:
    """Return why a message of type ``b``, ``u`` or ``d`` is no bar, or null."""
    prices = {name: F.col(f"other.d.{wire}") for name, wire in _PRICES.items()}
    required = {**prices, "volume": F.col("other.d.v")}
    trade_count = F.col("other.d.n")
    return F.coalesce(
        missing(required),
        no_number(prices),
        # Without the number of trades the next state of the day would be a copy.
        F.when(F.col("T") == "d", missing({"trade_count": trade_count})),
        F.when(~trade_count.between(0, 2**31 - 1), F.lit("trade_count is no count")),
    )


def _revision() -> Column:
    """Number a restatement by its trades: it is sent because one was added.

    A day bar is restated each minute, and no first one is special.
    The number must come from the message, so that a copy gets the same one.
    """
    restated = F.coalesce("other.d.n", F.lit(1)).cast("int")
    return F.when(F.col("T") == "b", 0).otherwise(restated)
