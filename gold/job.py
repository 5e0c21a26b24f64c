"""``silver.trades`` -> ``gold.symbol_stats``: adds what each batch brings."""

from datetime import UTC, datetime

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.latest import open_latest
from conf.lake.roots import table_uri
from conf.lake.session import run_alone
from conf.lake.streams import (
    BatchReport,
    Checkpoint,
    OnBatch,
    ignore_report,
    keep_doing,
    read_stream,
)
from conf.lake.tables import RECORDS, SYMBOL_STATS, TRADES
from conf.logs import get_logger
from conf.settings import Settings
from gold import signals
from gold.export import export_closed_days
from gold.latest import LatestStats
from gold.market_clock import MarketClock
from gold.recount import recount
from gold.symbol_stats import to_partials, to_prices
from gold.windows import Windows, ignore_rows

QUERY = "gold"
_FILES = 40
_CLOSE_EVERY_S = 1.0
_EXPORT_EVERY_S = 600.0
_log = get_logger(__name__)


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query that keeps the statistics, and the timer that closes windows.

    Raises:
        FixSetup: Another driver writes gold, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS, TRADES, SYMBOL_STATS])
    fence = open_fence(lake.root, QUERY, lake.lease_s)
    committer = open_committer(lake, fence)
    checkpoint = Checkpoint(lake, QUERY)
    first = None if checkpoint.has_begun() else recount(spark, lake, fence, committer)
    source = DeltaTable(table_uri(lake.root, TRADES))
    store = open_latest(lake.root, chosen.latest)
    latest = None if store is None else LatestStats(store, lake.root)
    windows = Windows(lake.root, committer, latest.offer if latest else ignore_rows)

    def add(batch: DataFrame, batch_id: int) -> None:
        once = checkpoint.transaction(batch.sparkSession, SYMBOL_STATS, batch_id)
        source.update_incremental()
        version = source.version()
        with committer.hold(to_partials(batch)) as held:
            written = windows.add(held.arrow().to_pylist(), version, once)
        on_batch(BatchReport(QUERY, written))

    trades = read_stream(spark, lake, TRADES, max_files=_FILES, first_version=first)
    query = (
        to_prices(trades)
        .writeStream.queryName(QUERY)
        .option("checkpointLocation", checkpoint.location)
        .trigger(processingTime="0 seconds")
        .foreachBatch(add)
        .start()
    )
    clock = MarketClock(lake.root)
    keep_doing(query, "close", _CLOSE_EVERY_S, lambda: _close(windows, clock))
    keep_doing(query, "export", _EXPORT_EVERY_S, lambda: _export(lake.root))
    if latest:
        keep_doing(query, "latest", chosen.latest.every_s, latest.flush, latest.close)
    return query


def _close(windows: Windows, clock: MarketClock) -> None:
    """Close the windows that no trade closes."""
    if windows.await_clock():
        market_time = clock.read(datetime.now(UTC))
        if market_time is not None:
            windows.close(market_time)


def _export(root: str) -> None:
    for day in export_closed_days(root):
        _log.info("exported", table=SYMBOL_STATS.name, day=day)


if __name__ == "__main__":
    run_alone(QUERY, start, signals.start)
