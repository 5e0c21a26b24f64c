"""``silver.trades`` -> ``gold.symbol_stats``: adds what each batch brings."""

from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.commit import Committer
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.latest import open_latest
from conf.lake.market_clock import MarketClock
from conf.lake.session import run_alone
from conf.lake.streams import (
    BatchReport,
    Checkpoint,
    OnBatch,
    ignore_report,
    keep_doing,
    read_stream,
)
from conf.lake.tables import CORRECTIONS, LATENCY, RECORDS, SYMBOL_STATS, TRADES
from conf.logs import get_logger
from conf.settings import Settings
from gold import signals
from gold.corrected import CorrectedWindows
from gold.export import export_closed_days
from gold.latency import Latency
from gold.latest import LatestStats
from gold.recount import recount
from gold.sliding import Sliding
from gold.symbol_stats import to_partials, to_prices
from gold.upkeep import Task, Upkeep
from gold.windows import Windows, ignore_rows

QUERY = "gold"
CORRECTED, SLIDING, LATENCIES = "gold_corrected", "gold_sliding", "gold_latency"
_FILES = 40
_CLOSE_EVERY_S, _CORRECT_EVERY_S, _SLIDE_EVERY_S, _MEASURE_EVERY_S = 1, 15, 15, 15
_EXPORT_EVERY_S = 600
_running: dict[str, list[Upkeep]] = {}
_log = get_logger(__name__)


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query that keeps the statistics, and their upkeep.

    Raises:
        FixSetup: Another driver writes gold, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS, TRADES, CORRECTIONS, SYMBOL_STATS, LATENCY])
    fence = open_fence(lake.root, QUERY, lake.lease_s)
    committer = open_committer(lake, fence)
    checkpoint = Checkpoint(lake, QUERY)
    first = None if checkpoint.has_begun() else recount(spark, lake, fence, committer)
    store = open_latest(lake.root, chosen.latest)
    latest = None if store is None else LatestStats(store, lake.root)
    windows = Windows(
        lake.root,
        committer,
        checkpoint.last_position(spark),
        on_commit=latest.offer if latest else ignore_rows,
    )

    def add(batch: DataFrame, batch_id: int) -> None:
        session = batch.sparkSession
        once = checkpoint.transaction(session, SYMBOL_STATS, batch_id)
        position = checkpoint.position(session, batch_id)
        # One task adds up a second of trades sooner than two exchange them.
        with committer.hold(to_partials(batch.coalesce(1))) as held:
            written = windows.add(held.arrow().to_pylist(), position, once)
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
    # Transactions are settings of a session: not those of the query's batches.
    own = open_committer(lake, fence, spark.newSession())
    latency = Latency(lake.root, own, windows)
    upkeep = [Upkeep(_tasks(lake.root, committer, windows, latency), on_batch)]
    if latest:
        # A store that keeps it waiting holds up nothing else.
        every_s = chosen.latest.every_s
        copy = Task("gold_latest", every_s, latest.flush, at_end=latest.close)
        upkeep.append(Upkeep([copy]))
    _running[str(query.runId)] = upkeep
    for each in upkeep:
        each.start()
    keep_doing(query, "export", _EXPORT_EVERY_S, lambda: _export(lake.root))
    return query


def finish(query: StreamingQuery) -> None:
    """Add all trades that are there, stop the query, and finish its upkeep."""
    try:
        query.processAllAvailable()
    finally:
        query.stop()
        for upkeep in _running.pop(str(query.runId)):
            upkeep.finish()


def _tasks(
    root: str, committer: Committer, windows: Windows, latency: Latency
) -> list[Task]:
    clock = MarketClock(root)
    corrected = CorrectedWindows(root, windows)
    sliding = Sliding(root, committer, windows)

    def close() -> int:
        market_time = clock.read(datetime.now(UTC)) if windows.await_clock() else None
        return 0 if market_time is None else windows.close(market_time)

    def measure() -> int:
        return latency.measure(datetime.now(UTC))

    return [
        Task("gold_closed", _CLOSE_EVERY_S, close),
        Task(CORRECTED, _CORRECT_EVERY_S, corrected.restate),
        Task(SLIDING, _SLIDE_EVERY_S, sliding.slide),
        Task(LATENCIES, _MEASURE_EVERY_S, measure),
    ]


def _export(root: str) -> None:
    for day in export_closed_days(root):
        _log.info("exported", table=SYMBOL_STATS.name, day=day)


if __name__ == "__main__":
    run_alone(QUERY, start, signals.start)
