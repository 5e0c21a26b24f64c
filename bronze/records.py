"""``bronze.records``: one row per Kinesis record, payload untouched."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.lake.tables import RECORDS


def to_records(kinesis: DataFrame) -> DataFrame:
    """Name the columns of the source as the contract does.

    Args:
        kinesis: Rows of the format ``kinesis``; streaming or bounded.

    Returns:
        The columns of ``bronze.records``, one row per Kinesis record.
    """
    return kinesis.select(
        F.col("approximateArrivalTimestamp").alias("arrival_time"),
        F.col("shardId").alias("shard_id"),
        F.col("sequenceNumber").alias("sequence_number"),
        F.col("partitionKey").alias("partition_key"),
        F.current_timestamp().alias("ingest_time"),
        F.col("data"),
        F.to_date("approximateArrivalTimestamp").alias("day"),
    ).select(*RECORDS.column_names)
