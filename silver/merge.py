"""Bronze records of one kind -> the silver tables, each message once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter

from conf.lake.commit import Committer
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.streams import (
    BatchReport,
    Checkpoint,
    OnBatch,
    read_stream,
)
from conf.lake.tables import (
    BARS,
    CORRECTIONS,
    GAPS,
    ORDERS,
    QUOTES,
    RECORDS,
    REJECTS,
    STATUSES,
    TRADES,
    TableContract,
)
from conf.settings import LakeSettings, Settings
from silver.messages import EVENT, to_messages

TABLES = (TRADES, QUOTES, BARS, CORRECTIONS, STATUSES, ORDERS, GAPS, REJECTS)


def _nothing_more(_: LakeSettings, __: Committer) -> int:
    return 0


@dataclass(frozen=True)
class Part:
    """What one of silver's queries does.

    Attributes:
        query: Name of the query and of its checkpoint.
        late: Which records: those that the producer marked as late, or all others.
        max_files: Bronze commits that one batch takes at most.
        then: Called after each batch; returns the rows that it wrote.
    """

    query: str
    late: bool
    max_files: int
    then: Callable[[LakeSettings, Committer], int] = _nothing_more


def merging(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch, part: Part
) -> DataStreamWriter:
    """Return the query that merges the late, or all other, records; not yet started.

    Args:
        spark: Session of the driver.
        chosen: Where the lake is and who commits to it.
        on_batch: Told of each batch.
        part: Which records, and how many at a time.

    Raises:
        FixSetup: Another driver writes silver, or a table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS, *TABLES])
    committer = open_committer(lake, open_fence(lake.root, "silver", lake.lease_s))
    checkpoint = Checkpoint(lake, part.query)

    def merge(batch: DataFrame, batch_id: int) -> None:
        with committer.hold(batch, one_per=EVENT) as held:
            present = [c for c in TABLES if c.name in held.tables()]
            rows = {contract.name: held.rows_of(contract) for contract in present}

            def insert(contract: TableContract) -> int:
                once = checkpoint.transaction(batch.sparkSession, contract, batch_id)
                mine = rows[contract.name]
                return committer.insert_missing(contract, mine, once).rows

            inserted = sum(committer.each(insert, present))
        inserted += part.then(lake, committer)
        on_batch(BatchReport(part.query, inserted, *_ages(rows.values())))

    records = read_stream(spark, lake, RECORDS, max_files=part.max_files)
    return (
        to_messages(records, lake.future_max_s, late=part.late)
        .writeStream.queryName(part.query)
        .option("checkpointLocation", checkpoint.location)
        .foreachBatch(merge)
    )


def _ages(tables: Iterable[Any]) -> tuple[float | None, float | None]:
    """Return the age of the oldest and newest row, where they are at hand as Arrow."""
    times = [
        time
        for rows in tables
        if isinstance(rows, pa.Table) and "receive_time" in rows.column_names
        for time in pc.min_max(rows["receive_time"]).as_py().values()
        if time is not None
    ]
    now = datetime.now(UTC)
    if not times:
        return None, None
    return (now - min(times)).total_seconds(), (now - max(times)).total_seconds()
