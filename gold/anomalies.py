"""``silver.trades`` -> ``gold.anomalies``: price spikes, in their context.

No Spark job, as ``silver.minutes`` is none: trades are read from the table's log as
they come, and what is found is inserted unless it is there.
"""

from collections import defaultdict
from datetime import date, datetime, timedelta
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
from conf.lake.tables import ANOMALIES, STATUSES, TRADES
from conf.logs import get_logger
from conf.market.outliers import PRINT, new_state, score
from conf.settings import LakeSettings, Settings
from gold.spikes import COLUMNS, Context, Spikes

QUERY = "gold_anomalies"
_FILES, _EVERY_S = 200, 10.0
WARM_UP = timedelta(minutes=5)
"""So much of what came before is read again after a restart, to know the scales."""
HALT_CODES = frozenset({"H", "P", "2"})
"""Status codes that stop trading: tape C's H and P (a pause), tapes A and B's 2."""
_IS_LIVE = pc.field("kind") == "data"
_LIVE = {"kind": ["data"]}
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
    ensure_tables(lake.root, [TRADES, STATUSES, ANOMALIES])
    committer = open_beside(lake, "gold", spark)
    return PeriodicQuery(QUERY, Anomalies(lake, committer, on_batch).look, _EVERY_S)


def warm_up() -> None:
    """Compile, or load, what the first trades would wait for."""
    score(new_state(1), np.empty(0, PRINT))


class Anomalies:
    """Reads trades as they come and writes which of them are spikes.

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
        self._begin(self._stored.read().get(TRADES.name))

    def look(self, everything: bool = False) -> None:
        """Judge what the table gained."""
        try:
            changes = (change.rows.filter(_IS_LIVE) for change in self._trades.read())
            while files := list(islice(changes, _FILES)):
                self._write(self._detector.find(pa.concat_tables(files)))
        except FileNotFoundError as error:
            _log.warning("table is older than its log; begin anew", why=str(error))
            self._begin(None)
        else:
            self._stored.write({TRADES.name: self._trades.version})

    def _begin(self, after: int | None) -> None:
        columns = [*COLUMNS, "kind"]
        self._trades = Changes(self._lake.root, TRADES, columns, after)
        self._detector = Detector(self._lake.root, self._trades)

    def _write(self, found: pa.Table) -> None:
        self._table.update_incremental()
        # The table never has this version again.
        once = Transaction(f"{ANOMALIES.name}/{QUERY}", self._table.version())
        written = self._committer.insert_missing(ANOMALIES, found, once)
        self._on_batch(BatchReport(QUERY, written.rows))


class Detector:
    """Finds spikes in the batches of one query; warm after a restart too.

    Args:
        root: The lake; its tables exist.
        trades: Where the batches come from.
    """

    def __init__(self, root: str, trades: Changes) -> None:
        self._trades = trades
        self._statuses = DeltaTable(table_uri(root, STATUSES))
        self._spikes = Spikes()
        self._context = Context()
        self._context_of: tuple[int, date] | None = None
        self._is_warm = False

    def find(self, trades: pa.Table) -> pa.Table:
        """Return the spikes among the trades of the next batch."""
        newest: datetime | None = pc.max(trades["event_time"]).as_py()
        if newest is None:
            return ANOMALIES.schema.empty_table()
        self._statuses.update_incremental()
        told = self._statuses.version(), newest.date()
        if told != self._context_of:
            self._context, self._context_of = self._read_context(newest.date()), told
        if not self._is_warm:
            self._spikes.find(self._before(trades, newest - WARM_UP), self._context)
            self._is_warm = True
        return self._spikes.find(trades, self._context)

    def _before(self, trades: pa.Table, since: datetime) -> pa.Table:
        """Return what the table has from ``since`` until the batch begins."""
        times = trades["event_time"]
        first = pc.min(times.filter(pc.greater_equal(times, pa.scalar(since)))).as_py()
        time, day = pc.field("event_time"), pc.field("day")
        return self._trades.find(
            (day >= since.date()) & (time >= since) & (time < first), _LIVE
        )

    def _read_context(self, day: date) -> Context:
        """Return the halts and price bands of a day and the one before."""
        days = [day, day - timedelta(days=1)]
        columns = [
            "symbol",
            "event_time_ns",
            "status_code",
            "limit_down_price",
            "limit_up_price",
        ]
        rows = self._statuses.to_pyarrow_dataset().to_table(
            columns, pc.field("day").isin(days)
        )
        halts = defaultdict[str, list[int]](list)
        bands = defaultdict[str, list[tuple[int, float, float]]](list)
        for row in rows.sort_by("event_time_ns").to_pylist():
            moment_ns = row["event_time_ns"]
            if row["status_code"] in HALT_CODES:
                halts[row["symbol"]].append(moment_ns)
            elif row["limit_up_price"] is not None:
                band = moment_ns, row["limit_down_price"], row["limit_up_price"]
                bands[row["symbol"]].append(band)
        return Context(halts, bands)


if __name__ == "__main__":
    run_alone(QUERY, start)
