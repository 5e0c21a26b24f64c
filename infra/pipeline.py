"""All layers in one Spark driver: ``python -m infra.pipeline``.

Writes ``<var>/run/lake.json`` each second for the supervisor and, on SIGTERM, lets each
query finish what is there, in the order of the flow, before it stops.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import SparkSession

import bronze.job
import gold.job
import silver.job
import silver.late
from conf import logs
from conf.errors import TickhouseError
from conf.kinesis import open_client
from conf.lake.maintenance import drop_oldest_day
from conf.lake.session import build_session
from conf.lake.streams import Checkpoint, Query
from conf.lake.tables import MODEL_RUNS, RESULTS, TABLES
from conf.settings import Settings
from infra.local.disk import OVER_BUDGET
from infra.local.state import DiskStatus, read
from infra.minutes import start
from infra.rehearsal import rehearse
from infra.status import Status, main
from producer.kinesis import ensure_stream

_WRITTEN_APART = {RESULTS.writer, MODEL_RUNS.writer}
_log = logs.get_logger(__name__)


class Queries:
    """The layers' queries, in the order of the flow."""

    def __init__(self, spark: SparkSession, chosen: Settings, status: Status) -> None:
        self._context = spark, chosen, status.on_batch
        self._bronze = bronze.job.start(spark, chosen)
        self._silver = silver.job.start(*self._context)
        self._late = silver.late.start(*self._context)
        self._gold = gold.job.start(*self._context)
        self._minutes = (
            start(chosen, status, spark) if chosen.lake.engine == "spark" else ()
        )

    def __iter__(self) -> Iterator[Query]:
        yield from (self._bronze, self._silver, self._late, self._gold)
        yield from self._minutes

    def finish(self) -> None:
        """Let each query process all that is there, in the order of the flow.

        What arrives in Kinesis from now on stays there: a producer may go on.
        """
        spark, chosen, _ = self._context
        self._bronze.stop()
        self._bronze = bronze.job.start(spark, chosen, ending=datetime.now(UTC))
        self._bronze.processAllAvailable()
        self._bronze.stop()
        self._silver.processAllAvailable()
        self._late = silver.late.finish(self._late, *self._context)
        gold.job.finish(self._gold)
        for derived in self._minutes:
            derived.processAllAvailable()
        for query in self:
            query.stop()


def watch(
    queries: Queries,
    status: Status,
    stop: threading.Event,
    keep_budget: Callable[[], None],
) -> None:
    """Return when ``stop`` is set.

    Raises:
        Exception: A query ended; its own error.
    """
    while not stop.wait(1.0):
        for query in queries:
            status.on_progress(query)
            error = query.exception()
            if error is not None:
                raise error
        keep_budget()
        status.write()


class DiskBudget:
    """Drops the oldest closed day while the supervisor says that there is too much.

    Args:
        reading: The supervisor's file; without one, nothing is dropped.
        root: The lake.
    """

    def __init__(self, reading: Path, root: str) -> None:
        self._reading, self._root = reading, root
        self._acted_on_ns = 0

    def keep(self) -> None:
        """Drop a day if there is a new reading and it is over the budget."""
        if not self._reading.exists():
            return
        written_ns = self._reading.stat().st_mtime_ns
        if written_ns == self._acted_on_ns:
            return
        self._acted_on_ns = written_ns
        told = read(self._reading, DiskStatus)
        if told is not None and told.state == OVER_BUDGET:
            # Of its results, validation itself deletes the old ones; what was trained
            # is small, and cannot be had again.
            own = [t for t in TABLES.values() if t.writer not in _WRITTEN_APART]
            day = drop_oldest_day(self._root, own)
            _log.warning("over the disk budget", used_gb=told.used_gb, dropped=day)


def _run(chosen: Settings, status: Status, stop: threading.Event) -> None:
    status.write()
    # Spark reads before the producer writes: on an empty endpoint nobody else made it.
    ensure_stream(open_client(chosen.kinesis), chosen.kinesis)
    spark = build_session(chosen)
    # One that comes back finds rows waiting: they are rehearsal enough.
    comes_back = Checkpoint(chosen.lake, silver.job.QUERY).has_begun()
    if chosen.spark.rehearse and not comes_back:
        status.note(state="rehearsing")
        rehearse(spark, chosen)
    queries = Queries(spark, chosen, status)
    url = spark.sparkContext.uiWebUrl
    status.note(state="live", ui_url=url)
    _log.info("live", ui=url)
    budget = DiskBudget(status.path.with_name("disk.json"), chosen.lake.root)
    watch(queries, status, stop, budget.keep)
    status.note(state="draining")
    queries.finish()
    for query in queries:
        status.on_progress(query)
    status.note(state="stopped")
    spark.stop()


if __name__ == "__main__":
    try:
        sys.exit(main("lake", __doc__, _run))
    except TickhouseError as error:
        sys.exit(f"tickhouse: {error}")
