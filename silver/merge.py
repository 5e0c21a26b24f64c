"""Bronze records of one kind -> the silver tables, each message once."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter

from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.streams import (
    BatchReport,
    OnBatch,
    checkpoint_of,
    read_stream,
    transaction_of,
)
from conf.lake.tables import BARS, QUOTES, RECORDS, REJECTS, TRADES
from conf.settings import Settings
from silver.messages import keep_one_copy, to_messages

_TABLES = (TRADES, QUOTES, BARS, REJECTS)


def merging(
    spark: SparkSession,
    chosen: Settings,
    on_batch: OnBatch,
    query: str,
    *,
    late: bool,
    max_files: int,
) -> DataStreamWriter:
    """Return the query that merges the late, or all other, records; not yet started.

    Args:
        spark: Session of the driver.
        chosen: Where the lake is and who commits to it.
        on_batch: Told of each batch.
        query: Name of the query and of its checkpoint.
        late: Which records: those that the producer marked as late, or all others.
        max_files: Bronze commits that one batch takes at most.

    Raises:
        FixSetup: Another driver writes silver, or a table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS, *_TABLES])
    committer = open_committer(lake, open_fence(lake.root, "silver", lake.lease_s))

    def merge(batch: DataFrame, batch_id: int) -> None:
        session = batch.sparkSession
        rows, ages = 0, _Ages()
        with committer.hold(keep_one_copy(batch)) as held:
            for contract in _TABLES:
                once = transaction_of(session, lake, query, contract.name, batch_id)
                taken = held.rows_of(contract)
                rows += committer.insert_missing(contract, taken, once).rows
                ages.see(taken)
        on_batch(ages.report(query, rows))

    records = read_stream(spark, lake, RECORDS, max_files=max_files)
    return (
        to_messages(records, lake.future_max_s, late=late)
        .writeStream.queryName(query)
        .option("checkpointLocation", checkpoint_of(lake, query))
        .foreachBatch(merge)
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
