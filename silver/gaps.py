"""``silver.gaps``: what may be missing, and what became of it."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from conf.market.gaps import END_STATES, OPEN_STATES
from silver.lineage import lineage, missing
from silver.times import event_time_ns, nanoseconds_to_timestamp

_TEXTS = ("gap_id", "state", "channel", "cause")


def to_struct() -> Column:
    """Return the table's row of a parsed message, as one struct."""
    start = _time("from")
    columns = [
        start.alias("start_time"),
        F.col("symbol").alias("symbol"),
        *(F.col(f"other.d.{name}").alias(name) for name in _TEXTS),
        _time("to").alias("end_time"),
        F.col("other.d.rows").alias("backfilled_rows"),
        F.col("other.d.detail").alias("detail"),
        nanoseconds_to_timestamp(F.col("event_ns")).alias("known_time"),
        *lineage(),
        F.to_date(start).alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two tellings of one transition."""
    return F.concat_ws("|", "other.d.gap_id", "other.d.state")


def reject_reason() -> Column:
    """Return why a message of type ``gap`` tells nothing of a gap, or null."""
    required = {name: F.col(f"other.d.{name}") for name in _TEXTS}
    states = (*OPEN_STATES, *END_STATES)
    return F.coalesce(
        missing({**required, "start_time": _time("from")}),
        F.when(~F.col("other.d.state").isin(*states), F.lit("unknown state")),
        F.when(
            (F.col("other.d.state") != OPEN_STATES[0]) & _time("to").isNull(),
            F.lit("end_time missing"),
        ),
    )


def _time(key: str) -> Column:
    return nanoseconds_to_timestamp(event_time_ns(F.col(f"other.d.{key}")))
