"""``silver.statuses``: halts, resumptions and price bands (limit up, limit down)."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from silver.lineage import lineage, missing, no_number
from silver.times import nanoseconds_to_timestamp

_STATUS = {
    "status_code": "sc",
    "status_message": "sm",
    "reason_code": "rc",
    "reason_message": "rm",
}
_BAND = {"limit_up_price": "u", "limit_down_price": "d", "indicator": "i"}
_FIELDS = {**_STATUS, **_BAND}


def to_struct() -> Column:
    """Return the table's row of a parsed message, as one struct."""
    event_time = nanoseconds_to_timestamp(F.col("event_ns"))
    columns = [
        event_time.alias("event_time"),
        F.col("tick.d.S").alias("symbol"),
        F.col("event_ns").alias("event_time_ns"),
        _hash().alias("message_hash"),
        _channel().alias("channel"),
        *(F.col(f"other.d.{wire}").alias(name) for name, wire in _FIELDS.items()),
        F.col("tick.d.z").alias("tape"),
        *lineage(),
        F.to_date(event_time).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two copies of one message."""
    return F.concat_ws("|", "tick.d.S", "event_ns", _hash())


def reject_reason() -> Column:
    """Return why a message of type ``s`` or ``l`` is no status, or null."""
    band = {name: F.col(f"other.d.{wire}") for name, wire in _BAND.items()}
    prices = {name: band[name] for name in ("limit_up_price", "limit_down_price")}
    return F.coalesce(
        F.when(F.col("T") == "s", missing({"status_code": F.col("other.d.sc")})),
        F.when(F.col("T") == "l", missing(band)),
        no_number(prices),
    )


def _channel() -> Column:
    return F.when(F.col("T") == "s", F.lit("status")).otherwise(F.lit("luld"))


def _hash() -> Column:
    fields = (f"other.d.{wire}" for wire in _FIELDS.values())
    return F.xxhash64("T", *fields, "tick.d.z")
