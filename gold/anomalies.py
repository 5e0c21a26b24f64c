"""``silver.trades`` -> ``gold.anomalies``: price spikes, in their context."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
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
from conf.lake.tables import ANOMALIES, STATUSES, TRADES
from conf.settings import LakeSettings, Settings
from gold.spikes import COLUMNS, Context, Spikes

QUERY = "gold_anomalies"
_FILES, _EVERY_S = 200, 10
WARM_UP = timedelta(minutes=5)
"""So much of what came before is read again after a restart, to know the scales."""
HALT_CODES = frozenset({"H", "P", "2"})
"""Status codes that stop trading: tape C's H and P (a pause), tapes A and B's 2."""


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query; it wakes each ten seconds.

    Raises:
        FixSetup: Another driver writes gold, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [TRADES, STATUSES, ANOMALIES])
    committer = open_committer(lake, open_fence(lake.root, "gold", lake.lease_s))
    checkpoint = Checkpoint(lake, QUERY)
    detector = Detector(lake)

    def find(batch: DataFrame, batch_id: int) -> None:
        once = checkpoint.transaction(batch.sparkSession, ANOMALIES, batch_id)
        with committer.hold(batch) as held:
            found = detector.find(held.arrow())
        written = committer.insert_missing(ANOMALIES, found, once)
        on_batch(BatchReport(QUERY, written.rows))

    return (
        read_stream(spark, lake, TRADES, max_files=_FILES)
        .where("kind = 'data'")
        .select(*COLUMNS)
        .writeStream.queryName(QUERY)
        .option("checkpointLocation", checkpoint.location)
        .trigger(processingTime=f"{_EVERY_S} seconds")
        .foreachBatch(find)
        .start()
    )


class Detector:
    """Finds spikes in the batches of one query; warm after a restart too."""

    def __init__(self, lake: LakeSettings) -> None:
        self._trades = DeltaTable(table_uri(lake.root, TRADES))
        self._statuses = DeltaTable(table_uri(lake.root, STATUSES))
        self._spikes = Spikes()
        self._is_warm = False

    def find(self, trades: pa.Table) -> pa.Table:
        """Return the spikes among the trades of the next batch."""
        newest: datetime | None = pc.max(trades["event_time"]).as_py()
        if newest is None:
            return ANOMALIES.schema.empty_table()
        newest = newest.replace(tzinfo=UTC)
        context = self._context(newest.date())
        if not self._is_warm:
            self._spikes.find(self._before(trades, newest - WARM_UP), context)
            self._is_warm = True
        return self._spikes.find(trades, context)

    def _before(self, trades: pa.Table, since: datetime) -> pa.Table:
        """Return what the table has from ``since`` until the batch begins."""
        self._trades.update_incremental()
        times = trades["event_time"].cast(pa.timestamp("us", "UTC"))
        first = pc.min(times.filter(pc.greater_equal(times, pa.scalar(since)))).as_py()
        time, day = pc.field("event_time"), pc.field("day")
        dataset = self._trades.to_pyarrow_dataset()
        return dataset.to_table(
            list(COLUMNS),
            (day >= since.date())
            & (time >= since)
            & (time < first)
            & (pc.field("kind") == "data"),
        )

    def _context(self, day: date) -> Context:
        """Return the halts and price bands of a day and the one before."""
        self._statuses.update_incremental()
        days = [day, day - timedelta(days=1)]
        columns = [
            "symbol",
            "event_time_ns",
            "status_code",
            "limit_down_price",
            "limit_up_price",
        ]
        rows = self._statuses.to_pyarrow_dataset().to_table(
            columns, pc.field("day").isin(days)
        )
        halts = defaultdict[str, list[int]](list)
        bands = defaultdict[str, list[tuple[int, float, float]]](list)
        for row in rows.sort_by("event_time_ns").to_pylist():
            moment_ns = row["event_time_ns"]
            if row["status_code"] in HALT_CODES:
                halts[row["symbol"]].append(moment_ns)
            elif row["limit_up_price"] is not None:
                band = moment_ns, row["limit_down_price"], row["limit_up_price"]
                bands[row["symbol"]].append(band)
        return Context(halts, bands)


if __name__ == "__main__":
    run_alone(QUERY, start)
