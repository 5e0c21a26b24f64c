"""``bronze.records`` -> the silver tables: one hot query, and one for late rows.

Both queries read bronze. The late one merges the records that the producer marked as
late, at the cadence of bars; the hot one merges all others, so its bounds stay narrow.
A record is the business of exactly one.
"""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf import logs, settings
from conf.errors import FixSetup
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import Fence, open_fence
from conf.lake.session import build_session
from conf.lake.streams import (
    BatchReport,
    OnBatch,
    checkpoint_of,
    ignore_report,
    read_stream,
    transaction_of,
)
from conf.lake.tables import BARS, QUOTES, RECORDS, REJECTS, TRADES
from conf.settings import Settings
from silver.messages import keep_one_copy, to_messages

QUERY = "silver"
LATE_QUERY = "silver_late"
_TABLES = (TRADES, QUOTES, BARS, REJECTS)
_HOT_FILES, _LATE_FILES = 20, 120


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> list[StreamingQuery]:
    """Start the hot and the late query.

    Raises:
        FixSetup: Another driver writes silver, or a table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS, *_TABLES])
    fence = open_fence(lake.root, QUERY, lake.lease_s)
    return [
        _start_query(spark, chosen, fence, QUERY, on_batch),
        _start_query(spark, chosen, fence, LATE_QUERY, on_batch),
    ]


def _start_query(
    spark: SparkSession, chosen: Settings, fence: Fence, query: str, on_batch: OnBatch
) -> StreamingQuery:
    lake, is_late = chosen.lake, query == LATE_QUERY
    committer = open_committer(lake, fence)

    def merge(batch: DataFrame, batch_id: int) -> None:
        session = batch.sparkSession
        rows, ages = 0, _Ages()
        with committer.hold(keep_one_copy(batch)) as held:
            for contract in _TABLES:
                transaction = transaction_of(
                    session, lake, query, contract.name, batch_id
                )
                taken = held.rows_of(contract)
                rows += committer.insert_missing(contract, taken, transaction).rows
                ages.see(taken)
        on_batch(ages.report(query, rows))

    records = read_stream(
        spark, lake, RECORDS, max_files=_LATE_FILES if is_late else _HOT_FILES
    )
    messages = to_messages(records, lake.future_max_s, late=is_late)
    every = f"{lake.late_trigger_s} seconds" if is_late else "0 seconds"
    return (
        messages.writeStream.queryName(query)
        .option("checkpointLocation", checkpoint_of(lake, query))
        .trigger(processingTime=every)
        .foreachBatch(merge)
        .start()
    )


class _Ages:
    """Oldest and newest receive time of a batch, where the engine has them at hand."""

    def __init__(self) -> None:
        self._times: list[datetime] = []

    def see(self, rows: Any) -> None:  # noqa: ANN401 (an engine's own rows)
        if isinstance(rows, pa.Table) and "receive_time" in rows.column_names:
            span = pc.min_max(rows["receive_time"]).as_py()
            self._times += [time for time in span.values() if time is not None]

    def report(self, query: str, rows: int) -> BatchReport:
        if not self._times:
            return BatchReport(query, rows)
        now = datetime.now(UTC)
        oldest, newest = min(self._times), max(self._times)
        return BatchReport(
            query, rows, (now - oldest).total_seconds(), (now - newest).total_seconds()
        )


def main() -> None:
    """Run the layer alone: ``python -m silver.job``."""
    chosen = settings.load()
    logs.configure(QUERY, level=chosen.log_level)
    try:
        queries = start(build_session(chosen, QUERY), chosen)
    except FixSetup as error:
        raise SystemExit(f"tickhouse: {error}") from error
    for query in queries:
        query.awaitTermination()


if __name__ == "__main__":
    main()
