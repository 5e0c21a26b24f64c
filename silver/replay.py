"""Judge rejects again, after a rule was mended.

Each rejected message is taken from bronze, which holds it untouched, and goes the way
of any other. What is accepted now is merged by its key, so it is there once, however
often this runs and whatever a backfill brought meanwhile. The reject stays: it is a
fact of its time.
"""

from collections import Counter
from collections.abc import Mapping
from uuid import uuid4

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.lake.commit import Transaction
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.roots import table_uri
from conf.lake.session import build_session
from conf.lake.tables import RECORDS, REJECTS
from conf.settings import Settings
from silver.lines import open_records
from silver.merge import TABLES
from silver.messages import EVENT, judge

_PLACE = ["shard_id", "sequence_number"]


def replay(chosen: Settings, reason: str | None = None) -> Mapping[str, int]:
    """Judge the rejects of a lake again in a Spark driver of this process's own.

    Args:
        chosen: Which lake, and the rules.
        reason: Only those whose reason holds this text.

    Returns:
        How many rejects were judged, and the rows that each table gained.

    Raises:
        FixSetup: A driver writes silver: it must be stopped first.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [RECORDS, *TABLES])
    fence = open_fence(lake.root, REJECTS.writer, lake.lease_s)
    spark = build_session(chosen, "replay")
    try:
        return replay_in(spark, chosen, reason)
    finally:
        spark.stop()
        fence.release()


def replay_in(
    spark: SparkSession, chosen: Settings, reason: str | None = None
) -> Mapping[str, int]:
    """Judge the rejects of a lake again, day by day; see ``replay``."""
    counted = Counter[str]()
    future_max_s = chosen.lake.future_max_s
    table = DeltaTable(table_uri(chosen.lake.root, REJECTS))
    for day in sorted({str(part["day"]) for part in table.partitions()}):
        rejected = _read(spark, chosen, REJECTS.name).where(F.col("day") == day)
        if reason is not None:
            rejected = rejected.where(F.contains("reason", F.lit(reason)))
        counted["rejects judged again"] += rejected.count()
        records = _read(spark, chosen, RECORDS.name).where(F.col("day") == day)
        for late in (False, True):
            lines = _rejected_lines(records, rejected, late=late)
            counted.update(_merge(chosen, judge(lines, future_max_s, late=late)))
    return counted


def _read(spark: SparkSession, chosen: Settings, name: str) -> DataFrame:
    contract = {RECORDS.name: RECORDS, REJECTS.name: REJECTS}[name]
    return spark.read.format("delta").load(table_uri(chosen.lake.root, contract))


def _rejected_lines(
    records: DataFrame, rejected: DataFrame, *, late: bool
) -> DataFrame:
    """Return the lines that were rejected; of a record rejected whole, all lines."""
    places = rejected.select(*_PLACE, F.col("position").alias("rejected"))
    mine = records.join(F.broadcast(places.select(*_PLACE).distinct()), _PLACE)
    lines = open_records(mine, late=late)
    is_rejected = (F.col("rejected") == 0) | (F.col("rejected") == F.col("position"))
    matched = lines.join(F.broadcast(places), _PLACE).where(is_rejected)
    return matched.drop("rejected")


def _merge(chosen: Settings, messages: DataFrame) -> dict[str, int]:
    lake = chosen.lake
    committer = open_committer(
        lake, open_fence(lake.root, REJECTS.writer, lake.lease_s)
    )
    # It is idempotent by key alone, so each run may have a name of its own.
    once = Transaction(f"replay/{uuid4().hex}", 0)
    with committer.hold(messages, one_per=EVENT) as held:
        return {
            contract.name: committer.insert_missing(
                contract, held.rows_of(contract), once
            ).rows
            for contract in TABLES
            if contract.name in held.tables()
        }
