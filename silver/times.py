"""Times of the wire: RFC 3339 text with up to nine decimals, and nanoseconds."""

from pyspark.sql import Column
from pyspark.sql import functions as F

_RFC3339_UTC = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"


def event_time_ns(text: Column) -> Column:
    """Return nanoseconds since 1970 UTC, or null if the text is no such time.

    Spark's timestamps end at microseconds, so seconds and decimals are read apart.
    A year before 1678 or after 2261 has no such number: null, not an error.
    """
    seconds = F.unix_seconds(
        F.try_to_timestamp(F.substring(text, 1, 19), F.lit("yyyy-MM-dd'T'HH:mm:ss"))
    )
    decimals = F.rpad(F.regexp_replace(F.substring(text, 21, 9), "Z", ""), 9, "0")
    whole = F.try_multiply(seconds, F.lit(1_000_000_000))
    nanoseconds = F.try_add(whole, decimals.cast("bigint"))
    return F.when(text.rlike(_RFC3339_UTC), nanoseconds)


def nanoseconds_to_timestamp(nanoseconds: Column) -> Column:
    """Return the timestamp, cut to microseconds; null stays null."""
    return F.timestamp_micros(F.call_function("div", nanoseconds, F.lit(1000)))
