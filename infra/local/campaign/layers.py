"""The layers over a recorded stream, with a loss of memory and a zombie on the way."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

import gold.job
import silver.job
import silver.late
from conf.errors import Fenced
from conf.lake.commit import Transaction
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import Fence, open_fence
from conf.lake.roots import table_uri
from conf.lake.tables import RECORDS, SYMBOL_STATS, TABLES
from conf.settings import Settings
from infra.local.stream_contents import stored_records

_SECOND_US = 1_000_000
_COMMITS = 3
"""Of bronze in each half."""


def build(spark: SparkSession, settings: Settings, kinesis: Path) -> None:
    """Work off a stream in two halves.

    After the first half silver and gold lose their checkpoints; at the end a driver
    that gold had replaced wakes up and commits what it had computed by then.

    Args:
        spark: Session of the drivers.
        settings: Where the lake is.
        kinesis: The emulator's database.
    """
    lake = settings.lake
    ensure_tables(lake.root, list(TABLES.values()))
    first, second = _halves(kinesis)
    with _released(settings):
        zombie = Zombie(settings)
        _work_off(spark, settings, first)
        zombie.compute()
        shutil.rmtree(lake.checkpoints)
        _work_off(spark, settings, second, last=True)
        zombie.wake()


class Zombie:
    """A driver of gold that was replaced and does not know it yet."""

    def __init__(self, settings: Settings) -> None:
        self._lake = settings.lake
        path = Path(self._lake.root) / "_leases" / "gold.json"
        fence = Fence(path, self._lake.lease_s, lambda _: None)
        fence.acquire()
        self._committer = open_committer(self._lake, fence)
        self._rows = SYMBOL_STATS.schema.empty_table()

    def compute(self) -> None:
        """Hold the statistics of this moment, as if just computed."""
        table = DeltaTable(table_uri(self._lake.root, SYMBOL_STATS))
        self._rows = table.to_pyarrow_table().cast(SYMBOL_STATS.schema)

    def wake(self) -> None:
        """Commit them now."""
        once = Transaction("zombie", 1)
        with suppress(Fenced):
            self._committer.upsert(SYMBOL_STATS, self._rows, once)


def _work_off(
    spark: SparkSession, settings: Settings, records: pa.Table, *, last: bool = False
) -> None:
    """Land records and run silver and gold until they have done all there is.

    What can wait is merged with the last ones, as the driver's drain does it.
    """
    bronze = table_uri(settings.lake.root, RECORDS)
    size = records.num_rows // _COMMITS + 1
    for first in range(0, records.num_rows, size):
        write_deltalake(bronze, records.slice(first, size), mode="append")
    hot = silver.job.start(spark, settings)
    hot.processAllAvailable()
    hot.stop()
    if last:
        late = silver.late.start(spark, settings)
        silver.late.finish(late, spark, settings)
    gold.job.finish(gold.job.start(spark, settings))


def _halves(kinesis: Path) -> tuple[pa.Table, pa.Table]:
    """Return the stream as rows of bronze, in the order of arrival, in two parts."""
    now = datetime.now(UTC)
    rows = [
        {
            "arrival_time": (arrived := datetime.fromtimestamp(us / _SECOND_US, UTC)),
            "shard_id": shard_id,
            "sequence_number": number,
            "partition_key": key,
            "ingest_time": now,
            "data": data,
            "day": arrived.date(),
        }
        for shard_id, number, key, us, data in sorted(
            stored_records(kinesis), key=lambda record: record[3]
        )
    ]
    records = pa.Table.from_pylist(rows, schema=RECORDS.schema)
    middle = records.num_rows // 2
    return records[:middle], records[middle:]


@contextmanager
def _released(settings: Settings) -> Iterator[None]:
    """Give up the leases, and with them the threads that renew them."""
    lake = settings.lake
    try:
        yield
    finally:
        for layer in ("silver", "gold"):
            open_fence(lake.root, layer, lake.lease_s).release()
