"""Runs silver and gold on a throw-away lake before the driver says that it is live.

Spark compiles a plan when it first meets it, and the JVM a method after thousands of
calls: the first minute of a cold driver is three times slower than the next. So the
real queries first work through a few seconds of a simulated market; whoever feeds the
driver then meets a warm one; one that comes back to its checkpoints finds rows waiting
and rehearses nothing. The true lake, stream and checkpoints are not touched.
"""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

import gold.anomalies
import gold.job
import silver.job
import silver.minutes
from conf.lake.create import ensure_tables
from conf.lake.fence import open_fence
from conf.lake.roots import absolute, table_uri
from conf.lake.streams import BatchReport
from conf.lake.tables import RECORDS
from conf.logs import get_logger
from conf.market.envelope import Line, encode_header, encode_line, pack
from conf.settings import DEFAULT_SYMBOLS, Settings, SimulatorSettings
from producer.simulator.market import Market

ROUNDS = 4
_MARKET = SimulatorSettings(rate_per_s=4096)
_BATCHES_PER_ROUND = 8
_log = get_logger(__name__)


def rehearse(spark: SparkSession, chosen: Settings, rounds: int = ROUNDS) -> int:
    """Run the hot queries on ``rounds`` commits of about 4,000 simulated messages.

    Returns the rows written to gold: more than 0, or nothing was warmed up.

    Args:
        spark: Session of the driver; none of its queries runs yet.
        chosen: Settings of the driver; all but the place of the lake is kept.
        rounds: How many commits of bronze to work off, one after another.
    """
    began = time.monotonic()
    folder = Path(absolute(str(chosen.var))) / "spark" / "rehearsal"
    shutil.rmtree(folder, ignore_errors=True)
    lake = chosen.lake.model_copy(
        update={"root": str(folder / "lake"), "checkpoints": str(folder / "points")}
    )
    # What is rehearsed is no value that anybody should read.
    latest = chosen.latest.model_copy(update={"store": "none"})
    scratch = chosen.model_copy(update={"lake": lake, "latest": latest})
    ensure_tables(lake.root, [RECORDS])
    bronze = DeltaTable(table_uri(lake.root, RECORDS))
    reports = list[BatchReport]()
    queries = [
        silver.job.start(spark, scratch),
        gold.job.start(spark, scratch, reports.append),
    ]
    # Kernels are compiled on these threads while Spark warms up on its own.
    with ThreadPoolExecutor(thread_name_prefix="warm-up") as pool:
        kernels = silver.minutes.warm_up, gold.anomalies.warm_up
        compiled = [pool.submit(warm_up) for warm_up in kernels]
        for records in islice(_commits(), rounds):
            write_deltalake(bronze, records, mode="append")
            for query in queries:
                query.processAllAvailable()
        for kernel in compiled:
            kernel.result()
    silver_query, gold_query = queries
    silver_query.stop()
    gold.job.finish(gold_query)
    for layer in ("silver", "gold"):
        open_fence(lake.root, layer, lake.lease_s).release()
    shutil.rmtree(folder)
    _log.info("rehearsed", rounds=rounds, seconds=round(time.monotonic() - began, 1))
    return sum(report.rows for report in reports)


def _commits() -> Iterator[pa.Table]:
    """Yield rows of bronze, as the producer and the bronze query would write them."""
    now = datetime.now(UTC)
    now_ns = time.time_ns()
    header = encode_header("data", "rehearsal", "simulator/iex")
    market = Market(_MARKET, DEFAULT_SYMBOLS).batches(now_ns - 60_000_000_000)
    sequence = 0
    while True:
        rows = []
        for batch in islice(market, _BATCHES_PER_ROUND):
            lines = [
                encode_line(Line(sequence, index, due_ns, due_ns, 0, msgspec.Raw(text)))
                for index, (due_ns, text) in enumerate(
                    zip(batch.due_ns, batch.texts, strict=True)
                )
            ]
            sequence += 1
            record = (now, "shard", str(sequence), "rehearsal", now)
            rows.append((*record, pack(header, lines), now.date()))
        columns = zip(*rows, strict=True)
        yield pa.table(
            [pa.array(c, f.type) for c, f in zip(columns, RECORDS.schema, strict=True)],
            RECORDS.schema,
        )
