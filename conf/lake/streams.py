"""What the layers' streaming queries share: reading a table, batches and reports."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.commit import Transaction
from conf.lake.periodic import PeriodicQuery
from conf.lake.roots import absolute, table_uri
from conf.lake.tables import TableContract
from conf.logs import get_logger
from conf.settings import LakeSettings

Query = StreamingQuery | PeriodicQuery
_TICK_S = 1.0
_log = get_logger(__name__)


@dataclass(frozen=True)
class Position:
    """How far a query has read the table that it streams from.

    Attributes:
        version: All of this version's rows, and of those before it, were in a batch.
        is_whole: No row of a later version was.
    """

    version: int
    is_whole: bool


@dataclass(frozen=True)
class BatchReport:
    """What one micro-batch of one query did.

    Attributes:
        query: Name of the query.
        rows: Rows it wrote.
        oldest_age_s: Wall-clock age of its oldest row when it was committed, since the
            producer received it; None when there was none.
        newest_age_s: The same of its newest row.
    """

    query: str
    rows: int
    oldest_age_s: float | None = None
    newest_age_s: float | None = None


OnBatch = Callable[[BatchReport], None]


def ignore_report(_: BatchReport) -> None:
    """Do nothing: for queries that nobody watches."""


def read_stream(
    spark: SparkSession,
    lake: LakeSettings,
    contract: TableContract,
    *,
    max_files: int,
    first_version: int | None = None,
) -> DataFrame:
    """Return a table as a stream of its appended rows.

    Args:
        spark: Session of the driver.
        lake: Where the tables are.
        contract: The table to read.
        max_files: Commits that one batch takes at most, so that a backlog is worked
            off in steps.
        first_version: Begin with this version's rows; by default with all rows that
            the table has. A checkpoint overrides it.
    """
    reader = (
        spark.readStream.format("delta")
        .option("maxFilesPerTrigger", max_files)
        # Closed days are dropped whole when the disk budget is used up.
        .option("ignoreDeletes", "true")
    )
    if first_version is not None:
        reader = reader.option("startingVersion", first_version)
    return reader.load(table_uri(lake.root, contract))


def keep_doing(
    query: StreamingQuery, name: str, every_s: float, do: Callable[[], object]
) -> None:
    """Do something again and again in a thread beside a query, until it ends.

    What fails is logged and tried again the next time: the query goes on.

    Args:
        query: It runs.
        name: Of the thread.
        every_s: Time between two times.
        do: Called first after ``every_s``.
    """

    def keep() -> None:
        pause, due_s = threading.Event(), time.monotonic() + every_s
        while query.isActive:
            pause.wait(min(_TICK_S, every_s))
            if time.monotonic() >= due_s and query.isActive:
                try:
                    do()
                except Exception:
                    _log.exception("failed; the next time tries again", doing=name)
                due_s = time.monotonic() + every_s

    threading.Thread(target=keep, name=name, daemon=True).start()


class Checkpoint:
    """The checkpoint of one query: where it is, and how its commits are named.

    Args:
        lake: Where the checkpoints are.
        query: Name of the query.
    """

    def __init__(self, lake: LakeSettings, query: str) -> None:
        self.location = f"{absolute(lake.checkpoints)}/{query}"
        self._query = query
        self._id: str | None = None

    def has_begun(self) -> bool:
        """Tell whether it has planned a batch: then it knows where to go on.

        Only a local folder can be looked into; elsewhere it is taken to be there.
        """
        if "://" in self.location:
            return True
        offsets = Path(self.location) / "offsets"
        return offsets.is_dir() and any(f.name.isdigit() for f in offsets.iterdir())

    def position(self, spark: SparkSession, batch_id: int) -> Position:
        """Return how far a batch reads, as Spark has planned it."""
        planned = json.loads(self._lines(spark, f"offsets/{batch_id}")[-1])
        version = planned["reservoirVersion"]
        if planned["isStartingVersion"]:
            return Position(version, is_whole=False)
        # Below 0 stands the end of the version before, not a file of this one.
        return Position(version - 1, is_whole=planned["index"] < 0)

    def last_position(self, spark: SparkSession) -> Position | None:
        """Return how far the query has read; None if it ended within a batch.

        That batch will be repeated, although its rows may be in the table already.
        """
        if "://" in self.location:
            return None
        planned, done = (self._newest(name) for name in ("offsets", "commits"))
        if planned is None or planned != done:
            return None
        return self.position(spark, planned)

    def transaction(
        self, spark: SparkSession, contract: TableContract, batch_id: int
    ) -> Transaction:
        """Name the commit of one batch into one table; the query must be running.

        A deleted checkpoint begins again with batch 0 under another id, so its batches
        are not taken for the ones that were committed before.
        """
        if self._id is None:
            (line,) = self._lines(spark, "metadata")
            self._id = str(json.loads(line)["id"])
        return Transaction(f"{contract.name}/{self._query}/{self._id}", batch_id)

    def _lines(self, spark: SparkSession, name: str) -> list[str]:
        """Return the lines of a small file; only Spark can look into every store."""
        if "://" in self.location:
            rows = spark.read.text(f"{self.location}/{name}").collect()
            return [str(row[0]) for row in rows]
        return (Path(self.location) / name).read_text().splitlines()

    def _newest(self, folder: str) -> int | None:
        files = (Path(self.location) / folder).glob("*")
        return max((int(f.name) for f in files if f.name.isdigit()), default=None)
