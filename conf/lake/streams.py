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
    query: StreamingQuery,
    name: str,
    every_s: float,
    do: Callable[[], object],
    at_end: Callable[[], object] = lambda: None,
) -> None:
    """Do something again and again in a thread beside a query, and once when it ended.

    What fails is logged and tried again the next time: the query goes on.

    Args:
        query: It runs.
        name: Of the thread.
        every_s: Time between two times.
        do: Called first after ``every_s``.
        at_end: Called within a second after the query ended.
    """

    def keep() -> None:
        pause, due_s = threading.Event(), time.monotonic() + every_s
        while query.isActive:
            pause.wait(min(_TICK_S, every_s))
            if time.monotonic() >= due_s and query.isActive:
                _attempt(name, do)
                due_s = time.monotonic() + every_s
        _attempt(name, at_end)

    threading.Thread(target=keep, name=name, daemon=True).start()


def _attempt(name: str, do: Callable[[], object]) -> None:
    try:
        do()
    except Exception:
        _log.exception("failed; the next time tries again", doing=name)


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

    def transaction(
        self, spark: SparkSession, contract: TableContract, batch_id: int
    ) -> Transaction:
        """Name the commit of one batch into one table; the query must be running.

        A deleted checkpoint begins again with batch 0 under another id, so its batches
        are not taken for the ones that were committed before.
        """
        if self._id is None:
            (line,) = spark.read.text(f"{self.location}/metadata").collect()
            self._id = str(json.loads(line[0])["id"])
        return Transaction(f"{contract.name}/{self._query}/{self._id}", batch_id)
