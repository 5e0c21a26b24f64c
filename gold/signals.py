"""``gold.signals``: what the champion decides on each closed bar, or why it does not.

No Spark job: a minute has a row per symbol, and a look at the log of
``silver.features`` costs a millisecond. Bars, halts and quotes are read as the tables
have them; accounts follow in ``gold.portfolio``. How far the features were read is a
file, written after both commits; what is read again finds its keys there and changes
nothing.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from conf.lake.changes import Changes
from conf.lake.commit import Committer, Transaction
from conf.lake.create import ensure_tables
from conf.lake.engine import open_beside
from conf.lake.market_clock import MarketClock
from conf.lake.periodic import PeriodicQuery
from conf.lake.roots import absolute, table_uri
from conf.lake.streams import BatchReport, OnBatch, ignore_report
from conf.lake.tables import (
    BARS,
    FEATURES,
    PORTFOLIO,
    QUOTES,
    RECORDS,
    SIGNALS,
    STATUSES,
    TableContract,
)
from conf.logs import get_logger
from conf.market.bars import MINUTE_S
from conf.settings import LakeSettings, Settings
from gold.portfolio import read_standings
from models.decisions import Row
from models.fills import nanoseconds
from models.lake_rows import FEATURE_COLUMNS, LakeRows, as_known
from models.paper import Paper
from models.serving import Serving

QUERY = "gold_signals"
_EVERY_S = 1.0
_REFRESH_S = 15.0
_PROMPT_S = 30.0
"""At a market's own pace, looks so close never meet the ends of two minutes at once."""
_MICROSECOND_NS = 1_000
_READ = (RECORDS, QUOTES, BARS, FEATURES, STATUSES)
_log = get_logger(__name__)


def start(
    spark: SparkSession | None,
    chosen: Settings,
    on_batch: OnBatch = ignore_report,
) -> PeriodicQuery:
    """Start the query; it looks each second.

    Args:
        spark: Of the driver that this runs in; None in a process of its own, which
            only the embedded engine can.
        chosen: Which lake.
        on_batch: Told of each look that wrote.

    Raises:
        FixSetup: Another process does it, or a table is of another version.
    """
    lake = chosen.lake
    ensure_tables(lake.root, [*_READ, SIGNALS, PORTFOLIO])
    committer = open_beside(lake, "gold", spark)
    serving = Serving(chosen.agent.registry)
    signals = Signals(lake, serving, committer, on_batch)
    return PeriodicQuery(QUERY, signals.look, _EVERY_S)


class Signals:
    """Reads features as they come and writes what the champion makes of them.

    Args:
        lake: Where the tables are; they exist.
        serving: Whose champion decides.
        committer: Of the layer.
        on_batch: Told of each minute that was written.
    """

    def __init__(
        self,
        lake: LakeSettings,
        serving: Serving,
        committer: Committer,
        on_batch: OnBatch,
    ) -> None:
        self._lake, self._serving = lake, serving
        self._committer, self._on_batch = committer, on_batch
        self._file = Path(absolute(lake.checkpoints)) / QUERY / "offsets.json"
        self._rows = LakeRows(lake.root)
        offset = self._stored_offset()
        self._features = self._from(offset)
        # Who begins with what comes from now on has no past to be late with.
        is_new = offset is None
        self._clock_ns = 0 if is_new else self._heartbeat_ns()
        self._looked_s = time.monotonic() if is_new else float("-inf")
        self._paper: Paper | None = None
        self._refreshed_s = float("-inf")

    def look(self, everything: bool = False) -> None:
        """Decide on the bars that became known since the last look.

        Minutes that ended after each other are decided on after each other: of a
        replay faster than the market one look meets several. After a rest they are
        not: what is known now is one moment.
        """
        self._refresh(at_once=everything)
        arrived = self._arrived()
        is_prompt = time.monotonic() - self._looked_s < _PROMPT_S
        self._looked_s = time.monotonic()
        if self._paper is not None and arrived.num_rows:
            for moment in as_known(arrived) if is_prompt else [arrived]:
                self._decide(self._paper, moment)
        self._store_offset()

    def _refresh(self, *, at_once: bool) -> None:
        """Follow the registry: a new champion begins where its accounts stand."""
        if not at_once and time.monotonic() - self._refreshed_s < _REFRESH_S:
            return
        self._refreshed_s = time.monotonic()
        refused = self._serving.refresh()
        model = self._serving.model
        if refused:
            serving = model.version if model else "none"
            _log.warning("a model was refused", reason=refused, serving=serving)
        if model and (
            self._paper is None or self._paper.model.version != model.version
        ):
            standings = read_standings(self._lake.root, model.version)
            self._paper = Paper(model, standings)
            _log.info("a model decides", version=model.version, label=model.card.label)

    def _arrived(self) -> pa.Table:
        """Return the first revisions that the table gained."""
        try:
            changes = [change.rows for change in self._features.read()]
        except FileNotFoundError:
            _log.warning("features were missed: their log is older than is kept")
            self._features = self._from(None)
            changes = []
        none = FEATURES.schema.empty_table().select(_FEATURE_COLUMNS)
        rows = pa.concat_tables([none, *changes])
        is_first = (pc.field("revision") == 0) & (pc.field("bar_length_s") == MINUTE_S)
        return rows.filter(is_first).select(FEATURE_COLUMNS)

    def _decide(self, paper: Paper, arrived: pa.Table) -> None:
        newest = nanoseconds(pc.max(arrived["known_time"]).as_py())
        # No two moments are the same: a replay must know which came first.
        self._clock_ns = max(self._clock_ns + _MICROSECOND_NS, newest)
        features = self._rows.with_prices(arrived)
        symbols = pc.unique(features["symbol"]).to_pylist()
        halted = self._rows.halted(symbols, self._clock_ns)
        told = paper.take(features, self._clock_ns, halted, self._rows.quotes_around)
        written = self._commit(PORTFOLIO, told.portfolio)
        written += self._commit(SIGNALS, told.signals)
        self._on_batch(BatchReport(QUERY, written))

    def _commit(self, contract: TableContract, rows: list[Row]) -> int:
        if not rows:
            return 0
        table = pa.Table.from_pylist(rows, schema=contract.schema)
        # The table never has this version again.
        version = DeltaTable(table_uri(self._lake.root, contract)).version()
        once = Transaction(f"{contract.name}/{QUERY}", version)
        return self._committer.insert_missing(contract, table, once).rows

    def _heartbeat_ns(self) -> int:
        """Return the market clock: a bar that was known long before it is not new."""
        told = MarketClock(self._lake.root).read(datetime.now(UTC))
        return nanoseconds(told) if told else 0

    def _from(self, offset: int | None) -> Changes:
        """Return the features after a version, or from now on: the past is over."""
        if offset is None:
            offset = DeltaTable(table_uri(self._lake.root, FEATURES)).version()
        return Changes(self._lake.root, FEATURES, _FEATURE_COLUMNS, offset)

    def _stored_offset(self) -> int | None:
        if not self._file.exists():
            return None
        return int(json.loads(self._file.read_text())[FEATURES.name])

    def _store_offset(self) -> None:
        if self._stored_offset() == self._features.version:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({FEATURES.name: self._features.version}))
        fresh.replace(self._file)


_FEATURE_COLUMNS = (*FEATURE_COLUMNS, "bar_length_s")
