"""``silver.quotes``: one best bid and offer; identical ones are numbered."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from silver.lineage import lineage, missing, no_number
from silver.times import nanoseconds_to_timestamp


def to_struct() -> Column:
    """Return the table's row of a parsed message, as one struct."""
    event_time = nanoseconds_to_timestamp(F.col("event_ns"))
    columns = [
        event_time.alias("event_time"),
        F.col("tick.d.S").alias("symbol"),
        F.col("event_ns").alias("event_time_ns"),
        _hash().alias("quote_hash"),
        _occurrence().alias("occurrence"),
        F.col("tick.d.bx").alias("bid_exchange"),
        F.col("tick.d.bp").alias("bid_price"),
        F.col("tick.d.bs").alias("bid_size"),
        F.col("tick.d.ax").alias("ask_exchange"),
        F.col("tick.d.ap").alias("ask_price"),
        F.col("tick.d.as").alias("ask_size"),
        F.col("tick.d.c").alias("conditions"),
        F.col("tick.d.z").alias("tape"),
        *lineage(),
        F.to_date(event_time).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two copies of one quote."""
    return F.concat_ws("|", "tick.d.S", "event_ns", _hash(), _occurrence())


def reject_reason() -> Column:
    """Return why a message of type ``q`` is no quote, or null."""
    required = {
        "bid_price": F.col("tick.d.bp"),
        "bid_size": F.col("tick.d.bs"),
        "ask_price": F.col("tick.d.ap"),
        "ask_size": F.col("tick.d.as"),
    }
    prices = {name: required[name] for name in ("bid_price", "ask_price")}
    sizes = required["bid_size"], required["ask_size"]
    return F.coalesce(
        missing(required),
        no_number(prices),
        F.when((sizes[0] < 0) | (sizes[1] < 0), F.lit("size is negative")),
    )


def _hash() -> Column:
    fields = ("bx", "bp", "bs", "ax", "ap", "as", "c", "z")
    return F.xxhash64(*(F.col(f"tick.d.{field}") for field in fields))


def _occurrence() -> Column:
    return F.coalesce("tick.o", F.lit(0))
