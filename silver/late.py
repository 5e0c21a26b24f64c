"""Late records -> the silver tables, and corrections to their trades, at leisure.

Their own query keeps the bounds of the hot one narrow: a trade six hours old must not
make each merge look through six hours of files.
"""

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.streams import OnBatch, ignore_report
from conf.settings import Settings
from silver.matching import match_corrections
from silver.merge import Part, merging

QUERY = "silver_late"
_FILES = 120


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query; it wakes each ``lake.late_trigger_s``.

    Raises:
        FixSetup: Another driver writes silver, or a table is of another version.
    """
    writer = _merging(spark, chosen, on_batch)
    every = f"{chosen.lake.late_trigger_s} seconds"
    return writer.trigger(processingTime=every).start()


def finish(
    query: StreamingQuery,
    spark: SparkSession,
    chosen: Settings,
    on_batch: OnBatch = ignore_report,
) -> StreamingQuery:
    """Merge and match what is there now, without waiting for the next wake-up.

    Returns:
        The ended query that took over from ``query``.
    """
    query.stop()
    last = _merging(spark, chosen, on_batch).trigger(availableNow=True).start()
    last.awaitTermination()
    lake = chosen.lake
    fence = open_fence(lake.root, "silver", lake.lease_s)
    match_corrections(lake, open_committer(lake, fence))
    return last


def _merging(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch
) -> DataStreamWriter:
    return merging(
        spark,
        chosen,
        on_batch,
        Part(QUERY, late=True, max_files=_FILES, then=match_corrections),
    )
