"""``silver.rejects``: messages that could not be accepted, each with its reason."""

from pyspark.sql import Column
from pyspark.sql import functions as F


def to_struct() -> Column:
    """Return the table's row of a judged message, as one struct."""
    columns = [
        F.col("arrival_time"),
        F.col("shard_id"),
        F.col("sequence_number"),
        F.col("position"),
        F.col("reason"),
        F.col("T").alias("message_type"),
        F.col("symbol").alias("symbol"),
        F.col("message"),
        F.col("ingest_time"),
        F.to_date("arrival_time").alias("day"),
    ]
    return F.struct(*columns)


def key() -> Column:
    """Return text that is equal for two readings of one line of one record."""
    return F.concat_ws("|", "shard_id", "sequence_number", "position")
