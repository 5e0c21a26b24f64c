"""Late records -> the silver tables, at the cadence of bars.

Their own query keeps the bounds of the hot one narrow: a trade six hours old must not
make each merge look through six hours of files.
"""

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.streams import OnBatch, ignore_report
from conf.settings import Settings
from silver.merge import merging

QUERY = "silver_late"
_FILES = 120


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query; it wakes each ``lake.late_trigger_s``.

    Raises:
        FixSetup: Another driver writes silver, or a table is of another version.
    """
    writer = merging(spark, chosen, on_batch, QUERY, late=True, max_files=_FILES)
    every = f"{chosen.lake.late_trigger_s} seconds"
    return writer.trigger(processingTime=every).start()


def finish(
    query: StreamingQuery,
    spark: SparkSession,
    chosen: Settings,
    on_batch: OnBatch = ignore_report,
) -> StreamingQuery:
    """Merge what is there now, without waiting for the next wake-up, and end.

    Returns:
        The ended query that took over from ``query``.
    """
    query.stop()
    writer = merging(spark, chosen, on_batch, QUERY, late=True, max_files=_FILES)
    last = writer.trigger(availableNow=True).start()
    last.awaitTermination()
    return last
