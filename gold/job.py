"""``silver.trades`` -> ``gold.symbol_stats``: adds what each batch brings."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.commit import Committer, Transaction
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import Fence, open_fence
from conf.lake.roots import table_uri
from conf.lake.session import run_alone
from conf.lake.streams import (
    BatchReport,
    Checkpoint,
    OnBatch,
    ignore_report,
    read_stream,
)
from conf.lake.tables import SYMBOL_STATS, TRADES
from conf.settings import LakeSettings, Settings
from gold.symbol_stats import fold, to_partials, to_prices, touched

QUERY = "gold"
_FILES = 40


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query that keeps the statistics.

    Raises:
        FixSetup: Another driver writes gold, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [TRADES, SYMBOL_STATS])
    fence = open_fence(lake.root, QUERY, lake.lease_s)
    committer = open_committer(lake, fence)
    checkpoint = Checkpoint(lake, QUERY)
    source = DeltaTable(table_uri(lake.root, TRADES))
    stats = DeltaTable(table_uri(lake.root, SYMBOL_STATS))

    def add(batch: DataFrame, batch_id: int) -> None:
        once = checkpoint.transaction(batch.sparkSession, SYMBOL_STATS, batch_id)
        source.update_incremental()
        with committer.hold(to_partials(batch)) as held:
            partials = held.arrow().to_pylist()
            rows = fold(
                _current(stats, partials),
                partials,
                source_version=source.version(),
                updated_time=datetime.now(UTC),
            )
            written = committer.upsert(SYMBOL_STATS, rows, once)
        on_batch(BatchReport(QUERY, written.rows))

    first = None if checkpoint.has_begun() else recount(spark, lake, fence, committer)
    trades = read_stream(spark, lake, TRADES, max_files=_FILES, first_version=first)
    return (
        to_prices(trades)
        .writeStream.queryName(QUERY)
        .option("checkpointLocation", checkpoint.location)
        .trigger(processingTime="0 seconds")
        .foreachBatch(add)
        .start()
    )


def recount(
    spark: SparkSession, lake: LakeSettings, fence: Fence, committer: Committer
) -> int | None:
    """Count every window anew from silver, because the checkpoint is gone.

    Adding all trades again would double what the table holds.

    Returns:
        The version of ``silver.trades`` whose rows the stream must begin with, or None
        if the table is empty and there is nothing to recount.
    """
    stats = DeltaTable(table_uri(lake.root, SYMBOL_STATS))
    # A recount is a transaction of its own: the table never has this version again,
    # though silver may stand still between two recounts.
    this_recount = stats.version()
    if this_recount == 0:
        return None
    uri = table_uri(lake.root, TRADES)
    source = DeltaTable(uri)
    version = source.version()
    days = sorted({str(partition["day"]) for partition in source.partitions()})
    # Windows that only the newest version has would keep their rows and be added to.
    with fence.commit(SYMBOL_STATS.name):
        stats.delete(" OR ".join(f"day = DATE '{day}'" for day in days))
    before = spark.read.format("delta").option("versionAsOf", version - 1).load(uri)
    for day in days:
        partials = to_partials(to_prices(before.where(F.col("day") == day)))
        with committer.hold(partials) as held:
            rows = fold(
                [],
                held.arrow().to_pylist(),
                source_version=version - 1,
                updated_time=datetime.now(UTC),
            )
            once = Transaction(f"{SYMBOL_STATS.name}/recount/{day}", this_recount)
            committer.upsert(SYMBOL_STATS, rows, once)
    return version


def _current(
    table: DeltaTable, partials: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the table's rows of the touched windows, and those not final yet."""
    table.update_incremental()
    starts = {start for _, start in touched(partials)}
    if not starts:
        return []
    # A window stays open for a minute and its grace; those of yesterday's last minute
    # are closed by the first trades of today.
    recent = max(row["market_time"] for row in partials) - timedelta(minutes=10)
    days = {start.date() for start in starts} | {recent.date()}
    is_open = ~pc.field("is_final") & (pc.field("window_start") >= recent)
    wanted = pc.field("day").isin(list(days)) & (
        pc.field("window_start").isin(list(starts)) | is_open
    )
    rows = table.to_pyarrow_dataset().to_table(filter=wanted)
    return cast("list[dict[str, Any]]", rows.to_pylist())


if __name__ == "__main__":
    run_alone(QUERY, start)
