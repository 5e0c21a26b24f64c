"""Counts every window anew from silver, because the checkpoint is gone.

Adding all trades again would double what the table holds.
"""

from datetime import UTC, datetime

from deltalake import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from conf.lake.commit import Committer, Transaction
from conf.lake.fence import Fence
from conf.lake.roots import table_uri
from conf.lake.tables import SYMBOL_STATS, TRADES
from conf.settings import LakeSettings
from gold.symbol_stats import fold, to_partials, to_prices

_ADDS_ROWS = ("MERGE", "WRITE")


def recount(
    spark: SparkSession, lake: LakeSettings, fence: Fence, committer: Committer
) -> int | None:
    """Replace the statistics of every day that silver holds.

    Returns:
        The version of ``silver.trades`` whose rows the stream must begin with, or None
        if the table is empty and there is nothing to recount.
    """
    stats = DeltaTable(table_uri(lake.root, SYMBOL_STATS))
    # A recount is a transaction of its own: the table never has this version again,
    # though silver may stand still between two recounts.
    this_recount = stats.version()
    if this_recount == 0:
        return None
    source = DeltaTable(table_uri(lake.root, TRADES))
    version, counted = source.version(), _counted_version(source)
    days = sorted({str(partition["day"]) for partition in source.partitions()})
    # Windows that only the newest version has would keep their rows and be added to.
    if days:
        with fence.commit(SYMBOL_STATS.name):
            stats.delete(" OR ".join(f"day = DATE '{day}'" for day in days))
    trades = (
        spark.read.format("delta")
        .option("versionAsOf", counted)
        .load(table_uri(lake.root, TRADES))
    )
    for day in days:
        partials = to_partials(to_prices(trades.where(F.col("day") == day)))
        with committer.hold(partials) as held:
            rows = fold(
                [],
                held.arrow().to_pylist(),
                source_version=counted,
                updated_time=datetime.now(UTC),
            )
            once = Transaction(f"{SYMBOL_STATS.name}/recount/{day}", this_recount)
            committer.upsert(SYMBOL_STATS, rows, once)
    return version


def _counted_version(trades: DeltaTable) -> int:
    """Return the version whose rows the stream will not bring.

    The stream begins with the newest commit, as it must begin with one that exists. If
    that one added rows, the version before it is counted. If it dropped a day or
    compacted files it brings none, and the version before it may have lost its files.
    """
    (newest,) = trades.history(1)
    return trades.version() - (newest["operation"] in _ADDS_ROWS)
