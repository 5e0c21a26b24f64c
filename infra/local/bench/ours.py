"""Tickhouse itself: bronze's rows are put there, silver's two queries do the rest."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

import silver.job
import silver.late
from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.session import build_session
from conf.lake.tables import RECORDS
from conf.settings import LakeSettings, Settings
from infra.local.bench.contender import OURS

_APP_ID = "bench"


class Tickhouse:
    """The driver, fed one second after another.

    Args:
        folder: Holds its tables and checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        lake = LakeSettings(
            root=str(folder / "lake"), checkpoints=str(folder / "points"), lease_s=1
        )
        self._settings = Settings(lake=lake)
        ensure_tables(lake.root, [RECORDS])
        self._bronze = DeltaTable(table_uri(lake.root, RECORDS))
        self._spark = build_session(self._settings, "bench")
        self._hot = silver.job.start(self._spark, self._settings)
        self._late = silver.late.start(self._spark, self._settings)

    def next_second(self) -> int:
        """See ``Contender.next_second``: bronze's sink is exactly-once, as Spark's."""
        last = self._bronze.transaction_version(_APP_ID)
        return 0 if last is None else last + 1

    def take(self, first: int, records: Sequence[Path]) -> None:
        """See ``Contender.take``: bronze commits each second, silver what is there."""
        for number, path in enumerate(records, start=first):
            once = CommitProperties(app_transactions=[Transaction(_APP_ID, number)])
            rows = pq.read_table(path)
            write_deltalake(self._bronze, rows, mode="append", commit_properties=once)
        self._hot.processAllAvailable()

    def finish(self) -> None:
        """Merge the late records that came since the late query last woke."""
        self._hot.processAllAvailable()
        silver.late.finish(self._late, self._spark, self._settings)
        self._hot.stop()
        self._spark.stop()


VARIANTS = {OURS: Tickhouse}
