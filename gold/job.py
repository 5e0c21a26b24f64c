"""``silver.trades`` -> ``gold.symbol_stats``: adds what each batch brings."""

import threading
from datetime import UTC, datetime

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.roots import table_uri
from conf.lake.session import run_alone
from conf.lake.streams import (
    BatchReport,
    Checkpoint,
    OnBatch,
    ignore_report,
    read_stream,
)
from conf.lake.tables import RECORDS, SYMBOL_STATS, TRADES
from conf.logs import get_logger
from conf.settings import Settings
from gold.market_clock import MarketClock
from gold.recount import recount
from gold.symbol_stats import to_partials, to_prices
from gold.windows import Windows

QUERY = "gold"
_FILES = 40
_CLOSE_EVERY_S = 1.0
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
    windows = Windows(lake.root, committer)

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
    threading.Thread(
        target=_keep_closing, args=(query, windows, clock), name="close", daemon=True
    ).start()
    return query


def _keep_closing(query: StreamingQuery, windows: Windows, clock: MarketClock) -> None:
    """Close the windows that no trade closes, as long as the query runs."""
    pause = threading.Event()
    while query.isActive:
        pause.wait(_CLOSE_EVERY_S)
        if not (query.isActive and windows.await_clock()):
            continue
        try:
            market_time = clock.read(datetime.now(UTC))
            if market_time is not None:
                windows.close(market_time)
        except Exception:
            _log.exception("windows stay open; the next second tries again")


if __name__ == "__main__":
    run_alone(QUERY, start)
