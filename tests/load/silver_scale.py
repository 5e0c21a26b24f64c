"""Does silver slow down as its tables grow?

``python -m tests.load.silver_scale`` prints one JSON object. Two pairs take turns in
one process, so that what else the machine does meets both:

    batch   silver's own query, one second of the market at a time, 0.1 % of it up to
            six hours late, into tables of one million rows and of ten million
    commit  the committer alone, into a table of fifty commits and one of 25,000, with
            its compactions, checkpoints and one round of removing old files

Nothing may be lost or stored twice meanwhile: ``lost`` and ``duplicated`` count rows.
"""

import sys
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from deltalake import write_deltalake
from pyspark.sql import SparkSession

import silver.job
from conf import logs
from conf.lake.commit import Transaction
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.create import ensure_tables
from conf.lake.fence import Fence, open_fence
from conf.lake.maintenance import tidy_in_background
from conf.lake.roots import table_uri
from conf.lake.session import build_session
from conf.lake.tables import QUOTES, RECORDS, TRADES
from conf.settings import LakeSettings, Settings, SparkSettings
from infra.local import machine
from infra.local.bench import recording
from tests.load import grown
from tests.load.ingesting import ROWS_PER_S, rows
from tests.load.ratios import compared

_HOURS_OF_LATE = timedelta(hours=6)
_NEVER_S = 10**9
_EVENTS = (b"t", b"q")
_WARM_UP = 8
_BATCH_WITHIN_S = 120.0
_COMMITS_YOUNG = 50
Figures = dict[str, Any]


class Lake:
    """Silver's tables with some rows, and silver's query on them.

    Args:
        spark: The driver's session; the query gets one of its own.
        folder: Is created.
        count: Rows that trades and quotes have each, of the six hours before START.
    """

    def __init__(self, spark: SparkSession, folder: Path, count: int) -> None:
        lake = LakeSettings(root=f"{folder}/lake", checkpoints=f"{folder}/points")
        self.root, self.rows, self._lease_s = lake.root, count, lake.lease_s
        self._sent, self._batch = 0, -1
        per_s = max(1, count // int(_HOURS_OF_LATE.total_seconds()))
        for contract in (TRADES, QUOTES):
            grown.fill_day(lake.root, contract, count, recording.START, per_s)
        ensure_tables(lake.root, [RECORDS])
        self._before = self._stored()
        self._query = silver.job.start(spark.newSession(), Settings(lake=lake))

    def merge(self, second: recording.Second) -> float:
        """Let silver take one second of the market; return its batch's ms."""
        bronze = table_uri(self.root, RECORDS)
        write_deltalake(bronze, second.to_bronze(), mode="append")
        self._sent += sum(sent.text[6:7] in _EVENTS for sent in second.sent)
        deadline_s = time.monotonic() + _BATCH_WITHIN_S
        while True:
            self._query.processAllAvailable()
            for progress in self._query.recentProgress:
                is_new = progress["batchId"] > self._batch
                if is_new and progress["numInputRows"] > 0:
                    self._batch = int(progress["batchId"])
                    return float(progress["durationMs"]["triggerExecution"])
            assert time.monotonic() < deadline_s, "silver took nothing"
            time.sleep(0.05)

    def close(self) -> None:
        """Stop; before its folder goes, or the driver takes itself for replaced."""
        self._query.stop()
        open_fence(self.root, "silver", self._lease_s).release()

    def surplus(self) -> int:
        """Return how many rows too many (or, negative, too few) there are."""
        return self._stored() - self._before - self._sent

    def _stored(self) -> int:
        return sum(grown.count_rows(self.root, table) for table in (TRADES, QUOTES))


def batches(lakes: list[Lake], count: int) -> Figures:
    """Measure ``count`` batches at a young lake and at a grown one, in turns."""
    market = recording.simulated(4096, seed=7, late_share=0.001)
    # Nothing is marked as late: the hot query merges it, which is the harder way.
    seconds = recording.seconds(market, late_after_s=_NEVER_S)
    taken_ms: list[list[float]] = [[], []]
    for number, second in enumerate(islice(seconds, _WARM_UP + count)):
        # Whoever comes second finds the caches of the first: they change places.
        for place in (0, 1) if number % 2 else (1, 0):
            took_ms = lakes[place].merge(second)
            if number >= _WARM_UP:
                taken_ms[place].append(took_ms)
    differences = [lake.surplus() for lake in lakes]
    return {
        "rows": {"young": lakes[0].rows, "grown": lakes[1].rows},
        **compared(*taken_ms),
        "lost": -sum(min(0, each) for each in differences),
        "duplicated": sum(max(0, each) for each in differences),
    }


def commits(scratch: Path, history: int, count: int) -> Figures:
    """Measure ``count`` commits to a young table and to one with a long log."""
    end_s = int(recording.START.timestamp())
    roots = [f"{scratch}/young", f"{scratch}/old"]
    for root, versions in zip(roots, (_COMMITS_YOUNG, history), strict=True):
        grown.write_log(root, TRADES, versions, end_s)
    before = [grown.count_rows(root, TRADES) for root in roots]
    fences = [_fence(Path(root)) for root in roots]
    committers = [
        EmbeddedCommitter(LakeSettings(root=root), fence)
        for root, fence in zip(roots, fences, strict=True)
    ]
    taken_ms: list[list[float]] = [[], []]
    for number in range(_WARM_UP + count):
        fresh = rows(TRADES, end_s + number, 1)
        once = Transaction("silver_scale", number)
        for place in (0, 1) if number % 2 else (1, 0):
            began = time.perf_counter()
            committers[place].insert_missing(TRADES, fresh, once)
            if number >= _WARM_UP:
                taken_ms[place].append((time.perf_counter() - began) * 1000)
        if number == count // 2:
            for root in roots:
                tidy_in_background(root, TRADES)
    for fence in fences:
        fence.release()
    inserted = (_WARM_UP + count) * ROWS_PER_S
    stored = [
        grown.count_rows(root, TRADES) - had
        for root, had in zip(roots, before, strict=True)
    ]
    return {
        "versions": {"young": _COMMITS_YOUNG, "grown": history},
        **compared(*taken_ms),
        "lost": sum(max(0, inserted - each) for each in stored),
        "duplicated": sum(max(0, each - inserted) for each in stored),
    }


def _fence(folder: Path) -> Fence:
    fence = Fence(folder / "_load.lease", 60, on_lost=lambda _: None)
    fence.acquire()
    return fence


def main(
    rows: Annotated[int, typer.Option(help="Of the grown tables.")] = 10_000_000,
    batches_: Annotated[int, typer.Option("--batches", help="Of each size.")] = 100,
    history: Annotated[int, typer.Option(help="Commits of the old log.")] = 25_000,
    commits_: Annotated[int, typer.Option("--commits", help="To each table.")] = 400,
    folder: Annotated[
        Path | None, typer.Option(help="Scratch; by default the system's.")
    ] = None,
) -> None:
    """Measure both pairs; 0 batches or commits leave one out."""
    logs.configure("silver_scale", level="WARNING")
    found: Figures = {"load_average": machine.load_average()}
    # A lease may be renewed once more while its folder goes.
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as named:
        scratch = Path(named)
        if commits_:
            found["commit"] = commits(scratch, history, commits_)
        if batches_:
            settings = SparkSettings(driver_memory="1g", ui_port=4240)
            spark = build_session(Settings(spark=settings), "silver_scale")
            sizes = (1_000_000, rows)
            with ExitStack() as open_lakes:
                lakes = [
                    open_lakes.enter_context(
                        closing(Lake(spark, scratch / f"{size}", size))
                    )
                    for size in sizes
                ]
                found["batch"] = batches(lakes, batches_)
            spark.stop()
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    typer.run(main)
