"""Kinesis -> ``bronze.records``: reads settings, opens, wires, appends.

``python -m bronze.job`` runs until it is stopped; with ``--once`` it lands what has
arrived until now and ends.
"""

import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.listener import StreamingQueryProgress
from pyspark.sql.streaming.query import StreamingQuery
from typer import Option

from bronze.kinesis_source import KinesisSource
from bronze.positions import lags_s
from bronze.records import to_records
from bronze.resume import last_positions
from conf.lake.create import ensure_tables
from conf.lake.engine import start_appending
from conf.lake.fence import open_fence
from conf.lake.maintenance import clean_log
from conf.lake.session import run_alone, run_once
from conf.lake.streams import Checkpoint, keep_doing
from conf.lake.tables import RECORDS
from conf.settings import Settings

QUERY = "bronze"
_CLEAN_EVERY_S = 3_600.0


def start(
    spark: SparkSession, chosen: Settings, ending: datetime | None = None
) -> StreamingQuery:
    """Start the query that lands Kinesis records in bronze.

    Args:
        spark: Session of the driver.
        chosen: Which stream, which lake.
        ending: Leave what arrives later; ``processAllAvailable`` then returns once all
            that arrived before is in bronze, however busy the stream is.

    Raises:
        FixSetup: Another driver writes bronze, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS])
    fence = open_fence(lake.root, QUERY, lake.lease_s)
    checkpoint = Checkpoint(lake, QUERY)
    writer = (
        to_records(_read_kinesis(spark, chosen, ending))
        .coalesce(1)
        .writeStream.queryName(QUERY)
        .option("checkpointLocation", checkpoint.location)
        .trigger(processingTime=f"{lake.trigger_ms} milliseconds")
    )
    query = start_appending(writer, lake, RECORDS, fence, checkpoint)
    # An append leaves the table's log to us.
    keep_doing(
        query, "clean log", _CLEAN_EVERY_S, lambda: clean_log(lake.root, RECORDS)
    )
    return query


def _read_kinesis(
    spark: SparkSession, chosen: Settings, ending: datetime | None
) -> DataFrame:
    kinesis = chosen.kinesis
    spark.dataSource.register(KinesisSource)
    reader = (
        spark.readStream.format(KinesisSource.name())
        .option("streamName", kinesis.stream_name)
        .option("region", kinesis.region)
        .option("initialPosition", kinesis.initial_position)
        .option("maxBatchBytes", kinesis.batch_max_bytes)
        .option("failOnDataLoss", kinesis.fail_on_data_loss)
    )
    if kinesis.resume == "bronze":
        # Without a checkpoint, what bronze holds is the only memory of what was read.
        held = last_positions(chosen.lake, QUERY)
        reader = reader.option("startAfter", json.dumps(held))
    if kinesis.endpoint_url:
        reader = reader.option("endpointUrl", kinesis.endpoint_url)
    if ending:
        reader = reader.option("endingTimestamp", ending.isoformat())
    return reader.load()


def shard_lags_s(progress: StreamingQueryProgress) -> dict[str, float]:
    """Return how far behind each shard's tip bronze was when a batch was read, in s."""
    told = json.loads(progress.json)
    began = datetime.fromisoformat(told["timestamp"])
    return lags_s(told["sources"][0]["endOffset"] or {}, began.timestamp())


def main(
    once: Annotated[
        bool, Option("--once", help="Land what has arrived until now, and end.")
    ] = False,
) -> None:
    """Land Kinesis records in bronze."""
    if once:
        run_once(QUERY, partial(start, ending=datetime.now(UTC)))
    else:
        run_alone(QUERY, start)


if __name__ == "__main__":
    typer.run(main)
