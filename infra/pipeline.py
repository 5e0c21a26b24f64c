"""All layers in one Spark driver: ``python -m infra.pipeline``.

Writes ``<var>/run/lake.json`` each second for the supervisor and, on SIGTERM, lets each
query finish what is there, in the order of the flow, before it stops.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

import bronze.job
import gold.anomalies
import gold.job
import gold.signals
import silver.job
import silver.late
import silver.minutes
from conf import logs, settings
from conf.errors import FixSetup, TickhouseError
from conf.kinesis import open_client
from conf.lake.maintenance import drop_oldest_day
from conf.lake.roots import absolute
from conf.lake.session import build_session
from conf.lake.streams import BatchReport, Checkpoint, Query
from conf.lake.tables import RESULTS, TABLES
from conf.settings import Settings
from infra.local.disk import OVER_BUDGET
from infra.local.state import DiskStatus, read
from infra.rehearsal import rehearse
from producer.kinesis import ensure_stream

_log = logs.get_logger(__name__)


class Status:
    """What the supervisor may know of the driver, in one small file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._queries: dict[str, dict[str, Any]] = {}
        self._facts: dict[str, Any] = {"state": "starting", "pid": os.getpid()}

    def note(self, **facts: object) -> None:
        """Change facts of the driver and write them."""
        with self._lock:
            self._facts.update(facts)
        self.write()

    def on_batch(self, report: BatchReport) -> None:
        """Remember what a batch did."""
        with self._lock:
            seen = self._queries.setdefault(report.query, {"rows_total": 0})
            seen["rows_total"] += report.rows
            seen |= {
                "rows": report.rows,
                "finished": time.time(),
                "oldest_age_s": report.oldest_age_s,
                "newest_age_s": report.newest_age_s,
            }

    def on_progress(self, query: Query) -> None:
        """Take what Spark says of the batches since the last look."""
        for progress in query.recentProgress:
            with self._lock:
                seen = self._queries.setdefault(str(query.name), {"rows_total": 0})
                if progress["batchId"] <= seen.get("batch_id", -1):
                    continue
                seen["batch_id"] = progress["batchId"]
                seen["batch_ms"] = progress["durationMs"].get("triggerExecution")
                if query.name == bronze.job.QUERY:
                    self._count(seen, progress["numInputRows"])
                    seen["shard_lag_s"] = bronze.job.shard_lags_s(progress)

    def _count(self, seen: dict[str, Any], rows: int) -> None:
        """Count a batch of bronze: Spark's own sink tells nobody else."""
        seen["rows"] = rows
        seen["rows_total"] += rows
        seen["finished"] = time.time()

    def write(self) -> None:
        """Replace the file at once: a reader never sees half of it."""
        with self._lock:
            text = json.dumps(
                {**self._facts, "updated": time.time(), "queries": self._queries}
            )
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)


class Queries:
    """The layers' queries, in the order of the flow."""

    def __init__(self, spark: SparkSession, chosen: Settings, status: Status) -> None:
        self._context = spark, chosen, status.on_batch
        self._bronze = bronze.job.start(spark, chosen)
        self._silver = silver.job.start(*self._context)
        self._late = silver.late.start(*self._context)
        self._gold = gold.job.start(*self._context)
        self._anomalies = gold.anomalies.start(*self._context)
        self._minutes = silver.minutes.start(*self._context)
        self._signals = gold.signals.start(*self._context)

    def __iter__(self) -> Iterator[Query]:
        yield from (self._bronze, self._silver, self._late, self._gold)
        yield from (self._anomalies, self._minutes, self._signals)

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
        self._anomalies.processAllAvailable()
        self._minutes.processAllAvailable()
        self._signals.processAllAvailable()
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
            # Of its results, validation itself deletes the old ones.
            own = [table for table in TABLES.values() if table is not RESULTS]
            day = drop_oldest_day(self._root, own)
            _log.warning("over the disk budget", used_gb=told.used_gb, dropped=day)


def main() -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    chosen = settings.load()
    logs.configure("lake", level=chosen.log_level)
    run = Path(absolute(str(chosen.var))) / "run"
    run.mkdir(parents=True, exist_ok=True)
    status = Status(run / "lake.json")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        _run(chosen, status, stop)
    except FixSetup as error:
        status.note(state="failed", error=str(error))
        sys.stderr.write(f"tickhouse: {error}\n")
        return 3
    except Exception as error:
        status.note(state="failed", error=str(error)[:2000])
        _log.exception("the driver stops")
        return 1
    return 0


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
        sys.exit(main())
    except TickhouseError as error:
        sys.exit(f"tickhouse: {error}")
