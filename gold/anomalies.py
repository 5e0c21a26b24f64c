"""``silver.trades``, ``silver.bars`` -> ``gold.anomalies``: outliers in their context.

No Spark job, as ``silver.minutes`` is none: rows are read from the tables' logs as they
come, and what is found is inserted unless it is there.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from conf.lake.changes import Changes
from conf.lake.commit import Committer, Transaction
from conf.lake.create import ensure_tables
from conf.lake.engine import open_beside
from conf.lake.periodic import Offsets, PeriodicQuery
from conf.lake.roots import table_uri
from conf.lake.session import run_alone
from conf.lake.streams import BatchReport, OnBatch, ignore_report
from conf.lake.tables import ANOMALIES, BARS, STATUSES, TRADES
from conf.logs import get_logger
from conf.market.outliers import PRINT, new_state, score
from conf.settings import LakeSettings, Settings
from gold import odd_bars, spikes
from gold.detectors import IS_FIRST, BarDetector, Contexts, PrintDetector

QUERY = "gold_anomalies"
_FILES, _EVERY_S = 200, 10.0
_IS_LIVE = pc.field("kind") == "data"
_IS_OURS = IS_FIRST & (pc.field("source") == "trades")
_TOLD_APART = ("bar_length_s", "revision", "source")
_log = get_logger(__name__)


def start(
    spark: SparkSession | None,
    chosen: Settings,
    on_batch: OnBatch = ignore_report,
) -> PeriodicQuery:
    """Start the query; it looks each ten seconds.

    Args:
        spark: Of the driver that this runs in; None in a process of its own, which
            only the embedded engine can.
        chosen: Which lake.
        on_batch: Told of each look that wrote.

    Raises:
        FixSetup: Another process does it, or the table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [TRADES, BARS, STATUSES, ANOMALIES])
    committer = open_beside(lake, "gold", spark)
    return PeriodicQuery(QUERY, Anomalies(lake, committer, on_batch).look, _EVERY_S)


def warm_up() -> None:
    """Compile, or load, what the first trades would wait for."""
    score(new_state(1), np.empty(0, PRINT))


class Anomalies:
    """Reads trades and bars as they come and writes which of them are outliers.

    Args:
        lake: Where the tables are.
        committer: Of the layer.
        on_batch: Told of each batch that was judged.
    """

    def __init__(
        self, lake: LakeSettings, committer: Committer, on_batch: OnBatch
    ) -> None:
        self._lake, self._committer, self._on_batch = lake, committer, on_batch
        self._stored = Offsets(lake, QUERY)
        self._table = DeltaTable(table_uri(lake.root, ANOMALIES))
        self._contexts = Contexts(lake.root)
        offsets = self._stored.read()
        self._begin_trades(offsets.get(TRADES.name))
        self._begin_bars(offsets.get(BARS.name))

    def look(self, everything: bool = False) -> None:
        """Judge what the tables gained."""
        self._judge_trades()
        self._judge_bars()
        read = {TRADES.name: self._trades.version, BARS.name: self._bars.version}
        self._stored.write(read)

    def _judge_trades(self) -> None:
        try:
            for trades in _batches(self._trades, _IS_LIVE):
                self._write(self._prints.find(trades))
        except FileNotFoundError as error:
            _log.warning("table is older than its log; begin anew", why=str(error))
            self._begin_trades(None)

    def _judge_bars(self) -> None:
        try:
            for bars in _batches(self._bars, _IS_OURS):
                self._write(self._odd_bars.find(bars))
        except FileNotFoundError as error:
            _log.warning("bars were missed: their log is older", why=str(error))
            self._begin_bars(None)

    def _begin_trades(self, after: int | None) -> None:
        columns = [*spikes.COLUMNS, "kind"]
        self._trades = Changes(self._lake.root, TRADES, columns, after)
        self._prints = PrintDetector(self._trades, self._contexts)

    def _begin_bars(self, after: int | None) -> None:
        """Read on, or from now on: bars of days gone by are not worth the time."""
        if after is None:
            after = DeltaTable(table_uri(self._lake.root, BARS)).version()
        columns = [*odd_bars.COLUMNS, *_TOLD_APART]
        self._bars = Changes(self._lake.root, BARS, columns, after)
        self._odd_bars = BarDetector(self._lake.root, self._bars, self._contexts)

    def _write(self, found: pa.Table) -> None:
        self._table.update_incremental()
        # The table never has this version again.
        once = Transaction(f"{ANOMALIES.name}/{QUERY}", self._table.version())
        written = self._committer.insert_missing(ANOMALIES, found, once)
        self._on_batch(BatchReport(QUERY, written.rows))


def _batches(changes: Changes, which: pc.Expression) -> Iterator[pa.Table]:
    """Yield what a table gained, of some hundred files at a time."""
    gained = (change.rows.filter(which) for change in changes.read())
    while files := list(islice(gained, _FILES)):
        yield pa.concat_tables(files)


if __name__ == "__main__":
    run_alone(QUERY, start)
