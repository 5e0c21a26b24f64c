"""What a driver tells the supervisor, and how one runs and ends."""

import json
import os
import signal
import sys
import threading
import time
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bronze.job
from conf import logs, settings
from conf.errors import FixSetup
from conf.lake.roots import absolute
from conf.lake.streams import BatchReport, Query
from conf.settings import Settings

_log = logs.get_logger(__name__)


class Status:
    """What the supervisor may know of a driver, in one small file."""

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
        is_counted = query.name == bronze.job.QUERY
        # Each report crosses from the JVM as text: all only where rows are counted.
        told = query.recentProgress if is_counted else [query.lastProgress]
        for progress in filter(None, told):
            with self._lock:
                seen = self._queries.setdefault(str(query.name), {"rows_total": 0})
                if progress["batchId"] <= seen.get("batch_id", -1):
                    continue
                seen["batch_id"] = progress["batchId"]
                seen["batch_ms"] = progress["durationMs"].get("triggerExecution")
                if is_counted:
                    self._count(seen, progress["numInputRows"])
                    seen["shard_lag_s"] = bronze.job.shard_lags_s(progress)

    def _count(self, seen: dict[str, Any], rows: int) -> None:
        """Count a batch of bronze: who writes it tells nobody else."""
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


def main(
    name: str,
    about: str | None,
    run: Callable[[Settings, Status, threading.Event], None],
) -> int:
    """Run a driver until SIGTERM or SIGINT; return the exit code.

    It takes no arguments: who asks for ``--help`` is told so, and nothing begins.

    Args:
        name: Of the process and its state file.
        about: What ``--help`` says.
        run: Returns some time after the event is set.
    """
    ArgumentParser(
        description=about, formatter_class=RawDescriptionHelpFormatter
    ).parse_args()
    chosen = settings.load()
    logs.configure(name, level=chosen.log_level)
    folder = Path(absolute(str(chosen.var))) / "run"
    folder.mkdir(parents=True, exist_ok=True)
    status = Status(folder / f"{name}.json")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        run(chosen, status, stop)
    except FixSetup as error:
        status.note(state="failed", error=str(error))
        sys.stderr.write(f"tickhouse: {error}\n")
        return 3
    except Exception as error:
        status.note(state="failed", error=str(error)[:2000])
        _log.exception("the driver stops")
        return 1
    return 0
