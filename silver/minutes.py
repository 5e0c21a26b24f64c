"""Closed minutes -> bars of effective trades and their features, at bar cadence.

No Spark job: a second's rows are one small file, read from the tables' logs as they
come; once a minute, when the market clock has passed its end, what changed is compared
with what the tables say, and written. All state is in the tables, but for how far they
were read: a file beside the checkpoints, written after both commits. Rows that are read
again change nothing, so a crash anywhere is safe, and so is deleting the file.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from conf.lake import periodic
from conf.lake.changes import Changes
from conf.lake.commit import Committer, Transaction
from conf.lake.create import ensure_tables
from conf.lake.engine import open_beside
from conf.lake.market_clock import MarketClock
from conf.lake.roots import table_uri
from conf.lake.streams import BatchReport, OnBatch, ignore_report
from conf.lake.tables import (
    BARS,
    CORRECTIONS,
    FEATURES,
    QUOTES,
    RECORDS,
    TRADES,
    TableContract,
)
from conf.logs import get_logger
from conf.market.bar_book import MINUTE_NS, NEVER_NS, BarBook, Window
from conf.market.indicators import BAR, advance, new_state
from conf.market.sessions import load_sessions
from conf.settings import LakeSettings, Settings
from silver.bar_revisions import BAR_COLUMNS, BarRevisions
from silver.built_bars import (
    CORRECTION_COLUMNS,
    TRADE_COLUMNS,
    TradeArchive,
    bars_of,
    matched,
    moment,
    nanoseconds,
    to_table,
)
from silver.features import Features
from silver.last_quotes import QUOTE_COLUMNS, LastQuotes

QUERY = "silver_minutes"
GRACE_NS = 1_500_000_000
"""A minute closes when the market clock has passed its end by so much."""
_STATISTICS_NS = 1_000_000
"""Spark cuts the times in a file's statistics to milliseconds."""
_EVERY_S = 1.0
_QUIET_S = 2.0
_KEPT_NS = 8 * 60 * MINUTE_NS
_FUTURE_MINUTES = 2
_COLUMNS = {
    TRADES: TRADE_COLUMNS,
    QUOTES: QUOTE_COLUMNS,
    CORRECTIONS: CORRECTION_COLUMNS,
    BARS: BAR_COLUMNS,
}
_log = get_logger(__name__)

Offsets = tuple[int | None, ...]
"""The version up to which each of ``_COLUMNS`` has been read."""


def start(
    spark: SparkSession | None,
    chosen: Settings,
    on_batch: OnBatch = ignore_report,
) -> periodic.PeriodicQuery:
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
    ensure_tables(lake.root, [RECORDS, *_COLUMNS, FEATURES])
    committer = open_beside(lake, "silver", spark)
    minutes = Minutes(lake, committer, on_batch)
    return periodic.PeriodicQuery(QUERY, minutes.look, _EVERY_S)


def warm_up() -> None:
    """Compile, or load, what the first closed minute would wait for."""
    load_sessions()
    advance(new_state(1), np.empty(0, BAR))


class Minutes:
    """Reads ticks as they come and writes what closed minutes make of them.

    Args:
        lake: Where the tables are.
        committer: Of the layer.
        on_batch: Told of each minute that was written.
    """

    def __init__(
        self, lake: LakeSettings, committer: Committer, on_batch: OnBatch
    ) -> None:
        self._lake, self._committer, self._on_batch = lake, committer, on_batch
        self._stored = periodic.Offsets(lake, QUERY)
        self._heartbeats = MarketClock(lake.root)
        self._clock_ns = self._closed = 0
        self._known_ns = _newest_known_ns(lake.root)
        self._last_row_s = time.monotonic()
        self._begin(self._stored_offsets())

    def look(self, everything: bool = False) -> None:
        """Read what the tables gained; close the minutes that have become due.

        Args:
            everything: Ask the heartbeats for the time, however busy the market is,
                and write also what would wait for the next minute.
        """
        try:
            # What the last look saw of a batch of silver, this look has all of.
            clock_ns = self._clock_ns
            self._read()
            is_quiet = time.monotonic() - self._last_row_s > _QUIET_S
            if everything or (is_quiet and self._dirty):
                clock_ns = self._ask_heartbeats()
            minute = (clock_ns - GRACE_NS) // MINUTE_NS
            if clock_ns and (everything or minute > self._closed):
                self._close(clock_ns)
                self._closed = minute
        except FileNotFoundError as error:
            _log.warning("tables are older than their logs; begin anew", why=str(error))
            self._begin((None,) * len(_COLUMNS))

    def _begin(self, offsets: Offsets) -> None:
        self._sources = {
            contract: Changes(self._lake.root, contract, columns, after)
            for (contract, columns), after in zip(
                _COLUMNS.items(), offsets, strict=True
            )
        }
        self._bars = BarRevisions(self._lake.root)
        self._book = BarBook(TradeArchive(self._sources[TRADES]))
        self._quotes = LastQuotes(self._sources[QUOTES])
        is_new = None in offsets
        if is_new:
            self._complete_from(0)
        self._features = Features(self._lake.root, self._bars, load_sessions())
        self._dirty: dict[Window, Offsets] = {}
        if not is_new:
            known = Changes(self._lake.root, CORRECTIONS, CORRECTION_COLUMNS)
            for change in known.read():
                self._book.correct(matched(change.rows))

    def _complete_from(self, start_ns: int) -> None:
        self._book.complete_from_ns = self._quotes.complete_from_ns = start_ns

    def _read(self) -> None:
        before = self._offsets()
        takes: dict[object, Callable[[pa.Table], list[Window]]] = {
            TRADES: self._take_trades,
            QUOTES: self._take_quotes,
            CORRECTIONS: lambda rows: self._book.correct(matched(rows)),
            BARS: self._bars.see,
        }
        for contract, source in self._sources.items():
            for change in source.read():
                for window in takes[contract](change.rows):
                    self._dirty.setdefault(window, before)
        if self._clock_ns and self._book.complete_from_ns == NEVER_NS:
            # No row from before the restart can be further ahead of the clock.
            minute = self._clock_ns // MINUTE_NS + _FUTURE_MINUTES
            self._complete_from(minute * MINUTE_NS)

    def _take_trades(self, rows: pa.Table) -> list[Window]:
        self._tell_time(rows)
        return self._book.add(bars_of(rows))

    def _take_quotes(self, rows: pa.Table) -> list[Window]:
        self._tell_time(rows)
        return self._quotes.add(rows)

    def _tell_time(self, rows: pa.Table) -> None:
        if rows.num_rows:
            newest = pc.max(rows["market_time"]).as_py()
            self._clock_ns = max(self._clock_ns, nanoseconds(newest))
            self._last_row_s = time.monotonic()

    def _ask_heartbeats(self) -> int:
        told = self._heartbeats.read(datetime.now(UTC))
        return max(self._clock_ns, nanoseconds(told) if told else 0)

    def _close(self, clock_ns: int) -> None:
        due = [w for w in self._dirty if w[1] + MINUTE_NS + GRACE_NS <= clock_ns]
        # A clock that is read after a heartbeat, or a restart, may be a little behind.
        self._known_ns = max(self._known_ns, clock_ns)
        known_time = moment(self._known_ns)
        revised = self._bars.revise(self._book.bars(due), known_time)
        written = self._commit(BARS, to_table(revised))
        restated = self._features.restate(due, self._quotes.find(due), known_time)
        written += self._commit(FEATURES, restated)
        for window in due:
            del self._dirty[window]
        self._store_offsets(next(iter(self._dirty.values()), self._offsets()))
        self._forget(clock_ns)
        self._on_batch(BatchReport(QUERY, written))

    def _commit(self, contract: TableContract, rows: pa.Table) -> int:
        if not rows.num_rows:
            return 0
        # The table never has this version again.
        version = DeltaTable(table_uri(self._lake.root, contract)).version()
        once = Transaction(f"{contract.name}/{QUERY}", version)
        return self._committer.append(contract, rows, once).rows

    def _forget(self, clock_ns: int) -> None:
        """Keep in memory what late rows are likely to ask for."""
        since_ns = clock_ns - _KEPT_NS
        self._book.forget(since_ns)
        self._quotes.forget(since_ns)
        self._bars.forget(moment(clock_ns).date() - timedelta(days=1))
        self._features.forget(clock_ns)

    def _offsets(self) -> Offsets:
        return tuple(source.version for source in self._sources.values())

    def _stored_offsets(self) -> Offsets:
        stored = self._stored.read()
        return tuple(stored.get(contract.name) for contract in _COLUMNS)

    def _store_offsets(self, offsets: Offsets) -> None:
        names = (contract.name for contract in _COLUMNS)
        self._stored.write(dict(zip(names, offsets, strict=True)))


def _newest_known_ns(root: str) -> int:
    """Return when the newest revision of a bar became known, or a little later."""
    held = pa.table(DeltaTable(table_uri(root, BARS)).get_add_actions(flatten=True))
    if "max.known_time" not in held.column_names:
        return 0
    newest = pc.max(held["max.known_time"]).as_py()
    return nanoseconds(newest) + _STATISTICS_NS if newest else 0
