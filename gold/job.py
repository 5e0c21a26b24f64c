"""``silver.trades`` -> ``gold.symbol_stats``: adds what each batch brings."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from conf import logs, settings
from conf.errors import FixSetup
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import open_fence
from conf.lake.roots import table_uri
from conf.lake.session import build_session
from conf.lake.streams import (
    BatchReport,
    OnBatch,
    checkpoint_of,
    ignore_report,
    read_stream,
    transaction_of,
)
from conf.lake.tables import SYMBOL_STATS, TRADES
from conf.settings import LakeSettings, Settings
from gold.symbol_stats import fold, to_partials, to_prices, touched

QUERY = "gold"
_FILES = 40


def start(
    spark: SparkSession, chosen: Settings, on_batch: OnBatch = ignore_report
) -> StreamingQuery:
    """Start the query that keeps the statistics.

    Raises:
        FixSetup: Another driver writes gold, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [TRADES, SYMBOL_STATS])
    fence = open_fence(lake.root, QUERY, lake.lease_s)
    committer = open_committer(lake, fence)

    def add(batch: DataFrame, batch_id: int) -> None:
        transaction = transaction_of(
            batch.sparkSession, lake, QUERY, SYMBOL_STATS.name, batch_id
        )
        source_version = DeltaTable(table_uri(lake.root, TRADES)).version()
        with committer.hold(to_partials(batch)) as held:
            partials = held.arrow().to_pylist()
            rows = fold(
                _current(lake, partials),
                partials,
                source_version=source_version,
                updated_time=datetime.now(UTC),
            )
            written = committer.upsert(SYMBOL_STATS, rows, transaction)
        on_batch(BatchReport(QUERY, written.rows))

    return (
        to_prices(read_stream(spark, lake, TRADES, max_files=_FILES))
        .writeStream.queryName(QUERY)
        .option("checkpointLocation", checkpoint_of(lake, QUERY))
        .trigger(processingTime="0 seconds")
        .foreachBatch(add)
        .start()
    )


def _current(
    lake: LakeSettings, partials: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the table's rows of the touched windows, and those not final yet."""
    keys = touched(partials)
    starts = {start for _, start in keys}
    table = DeltaTable(table_uri(lake.root, SYMBOL_STATS))
    days = {start.date() for start in starts}
    wanted = pc.field("day").isin(list(days)) & (
        pc.field("window_start").isin(list(starts)) | ~pc.field("is_final")
    )
    rows = table.to_pyarrow_dataset().to_table(filter=wanted)
    return cast("list[dict[str, Any]]", rows.to_pylist())


def main() -> None:
    """Run the layer alone: ``python -m gold.job``."""
    chosen = settings.load()
    logs.configure(QUERY, level=chosen.log_level)
    try:
        start(build_session(chosen, QUERY), chosen).awaitTermination()
    except FixSetup as error:
        raise SystemExit(f"tickhouse: {error}") from error


if __name__ == "__main__":
    main()
