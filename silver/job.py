"""``bronze.records`` -> the silver tables, as soon as bronze has new records."""

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.session import run_alone
from conf.lake.streams import OnBatch, ignore_report
from conf.settings import Settings
from silver import late, minutes
from silver.merge import Part, merging

QUERY = "silver"
_FILES = 20


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query for all records but the late ones.

    Raises:
        FixSetup: Another driver writes silver, or a table is of another version.
    """
    part = Part(QUERY, late=False, max_files=_FILES)
    writer = merging(spark, chosen, on_batch, part)
    return writer.trigger(processingTime="0 seconds").start()


if __name__ == "__main__":
    run_alone(QUERY, start, late.start, minutes.start)
