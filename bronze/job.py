"""Kinesis -> ``bronze.records``: reads settings, opens, wires, appends."""

import json

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from bronze.kinesis_source import KinesisSource
from bronze.records import to_records
from bronze.resume import last_sequence_numbers
from conf.lake.create import ensure_tables
from conf.lake.fence import open_fence
from conf.lake.roots import table_uri
from conf.lake.session import run_alone
from conf.lake.streams import Checkpoint
from conf.lake.tables import RECORDS
from conf.settings import Settings

QUERY = "bronze"


def start(spark: SparkSession, chosen: Settings) -> StreamingQuery:
    """Start the query that lands Kinesis records in bronze.

    Raises:
        FixSetup: Another driver writes bronze, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS])
    open_fence(lake.root, QUERY, lake.lease_s)
    # Delta's own sink stores (query id, batch id) with each commit: a batch that is
    # repeated after a crash, or by a driver that was replaced, adds nothing.
    return (
        to_records(_read_kinesis(spark, chosen))
        .coalesce(1)
        .writeStream.format("delta")
        .queryName(QUERY)
        .option("checkpointLocation", Checkpoint(lake, QUERY).location)
        .trigger(processingTime=f"{lake.trigger_ms} milliseconds")
        .start(table_uri(lake.root, RECORDS))
    )


def _read_kinesis(spark: SparkSession, chosen: Settings) -> DataFrame:
    kinesis = chosen.kinesis
    spark.dataSource.register(KinesisSource)
    reader = (
        spark.readStream.format(KinesisSource.name())
        .option("streamName", kinesis.stream_name)
        .option("region", kinesis.region)
        .option("initialPosition", kinesis.initial_position)
        .option("maxBatchBytes", kinesis.batch_max_bytes)
    )
    if kinesis.resume == "bronze":
        # Without a checkpoint, what bronze holds is the only memory of what was read.
        held = last_sequence_numbers(chosen.lake, QUERY)
        reader = reader.option("startAfter", json.dumps(held))
    if kinesis.endpoint_url:
        reader = reader.option("endpointUrl", kinesis.endpoint_url)
    return reader.load()


if __name__ == "__main__":
    run_alone(QUERY, start)
