"""``silver.trades``: one trade print as reported."""

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
        F.col("tick.d.x").alias("exchange"),
        F.col("tick.d.i").alias("trade_id"),
        F.col("tick.d.p").alias("price"),
        F.col("tick.d.s").alias("size"),
        F.col("tick.d.c").alias("conditions"),
        F.col("tick.d.z").alias("tape"),
        *lineage(),
        F.to_date(event_time).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two copies of one trade."""
    return F.concat_ws("|", "tick.d.S", "tick.d.x", "tick.d.i", "event_ns")


def reject_reason() -> Column:
    """Return why a message of type ``t`` is no trade, or null."""
    required = {
        "exchange": F.col("tick.d.x"),
        "trade_id": F.col("tick.d.i"),
        "price": F.col("tick.d.p"),
        "size": F.col("tick.d.s"),
    }
    return F.coalesce(
        missing(required),
        no_number({"price": F.col("tick.d.p")}),
        F.when(F.col("tick.d.p") == 0, F.lit("price is 0")),
        F.when(F.col("tick.d.s") < 0, F.lit("size is negative")),
        # Sizes are added up: no sum of a minute may leave 64 bits.
        F.when(F.col("tick.d.s") > 10**12, F.lit("size is no number of shares")),
    )
