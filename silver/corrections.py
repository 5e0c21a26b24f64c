"""``silver.corrections``: trades that were corrected or taken back, as reported.

A message is ``pending`` when it comes: which trade it means is found later, by
``silver.matching``, which adds a row with the next state.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

from silver.lineage import lineage, missing, no_number
from silver.times import nanoseconds_to_timestamp

PENDING = "pending"
_ACTIONS = {"C": "cancel", "E": "error"}
_ORIGINAL = {"exchange": "x", "trade_id": "oi", "price": "op", "size": "os"}
_CORRECTED = {
    "corrected_trade_id": "ci",
    "corrected_price": "cp",
    "corrected_size": "cs",
}
_CANCELLED = {"exchange": "x", "trade_id": "i", "price": "p", "size": "s"}


def to_struct() -> Column:
    """Return the table's row of a parsed message, as one struct."""
    event_time = nanoseconds_to_timestamp(F.col("event_ns"))
    columns = [
        event_time.alias("event_time"),
        F.col("tick.d.S").alias("symbol"),
        F.col("event_ns").alias("event_time_ns"),
        _hash().alias("message_hash"),
        F.lit(PENDING).alias("match_state"),
        _action().alias("action"),
        *(_either(name).alias(name) for name in _ORIGINAL),
        F.col("other.d.oc").alias("conditions"),
        *(F.col(f"other.d.{wire}").alias(name) for name, wire in _CORRECTED.items()),
        F.col("other.d.cc").alias("corrected_conditions"),
        F.col("tick.d.z").alias("tape"),
        F.lit(None).cast("bigint").alias("trade_event_time_ns"),
        F.col("market_time").alias("known_time"),
        *lineage(),
        F.to_date(event_time).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two copies of one message."""
    return F.concat_ws("|", "tick.d.S", "event_ns", _hash())


def reject_reason() -> Column:
    """Return why a message of type ``c`` or ``x`` corrects nothing, or null."""
    required = {name: _either(name) for name in _ORIGINAL}
    corrected = {name: F.col(f"other.d.{wire}") for name, wire in _CORRECTED.items()}
    is_correction = F.col("T") == "c"
    return F.coalesce(
        missing(required),
        no_number({"price": required["price"]}),
        F.when(is_correction, missing(corrected)),
        no_number({"corrected_price": corrected["corrected_price"]}),
        F.when(
            (required["size"] < 0) | (corrected["corrected_size"] < 0),
            F.lit("size is negative"),
        ),
        F.when(_action().isNull(), F.lit("action is neither C nor E")),
    )


def _either(name: str) -> Column:
    """Return a field of the trade that is meant, whichever message names it."""
    corrected = F.col(f"other.d.{_ORIGINAL[name]}")
    cancelled = F.col(f"tick.d.{_CANCELLED[name]}")
    return F.when(F.col("T") == "c", corrected).otherwise(cancelled)


def _action() -> Column:
    cancels = (
        F.when(F.col("tick.d.a") == code, F.lit(name))
        for code, name in _ACTIONS.items()
    )
    return F.when(F.col("T") == "c", F.lit("correct")).otherwise(F.coalesce(*cancels))


def _hash() -> Column:
    fields = [_either(name) for name in _ORIGINAL]
    more = (f"other.d.{wire}" for wire in ("oc", *_CORRECTED.values(), "cc"))
    return F.xxhash64("T", *fields, *more, "tick.d.a", "tick.d.z")
