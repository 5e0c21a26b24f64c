"""Rows of the lake's tables, as they are now or as a manifest pins them.

Live decisions, backtests and replays read through this one door. Arrow's dataset skips
files by Delta's statistics, so a question about a minute opens the files of a minute.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from conf.errors import FixSetup
from conf.lake.manifest import Manifest
from conf.lake.roots import table_uri
from conf.lake.rows import ANY_TEXT, Texts, find_rows
from conf.lake.tables import BARS, FEATURES, QUOTES, STATUSES, TableContract
from conf.lake.versions import open_table
from conf.market.bars import MINUTE_S
from conf.market.indicators import FEATURES as VALUES
from conf.market.wire import HALT_CODES
from models.fills import QUOTE_COLUMNS, Order, around
from models.tape import Floats

FEATURE_COLUMNS = (
    "symbol",
    "window_start",
    "revision",
    "window_end",
    "known_time",
    "bar_source",
    "bar_revision",
    *(VALUES.names or ()),
)
_OF_BAR = ("open", "close", "volume")
_BAR_KEY = ("symbol", "window_start", "source", "revision")
"""Halted, on the tape of Nasdaq and on those of NYSE."""


class LakeRows:
    """Reads some tables of a lake.

    Args:
        root: The lake.
        manifest: The versions to read; by default the newest, whenever it is asked.
    """

    def __init__(self, root: str, manifest: Manifest | None = None) -> None:
        self._root, self._manifest = root, manifest
        self._tables: dict[str, DeltaTable] = {}

    def find(
        self,
        contract: TableContract,
        columns: Sequence[str],
        where: ds.Expression,
        of: Texts = ANY_TEXT,
    ) -> pa.Table:
        """Return the rows that meet a condition, typed as the contract says.

        Args:
            contract: The table.
            columns: Those wanted.
            where: On days, times and numbers: by these files are skipped.
            of: The texts wanted, by column.

        Raises:
            FixSetup: The table is not in the lake, or not in the manifest.
        """
        return find_rows(self._open(contract), contract, columns, where, of)

    def first_known(self, where: ds.Expression, of: Texts = ANY_TEXT) -> pa.Table:
        """Return the first revision of the features of minutes, with their close.

        Returns:
            ``FEATURE_COLUMNS``, ``open``, ``close``, ``volume``; by symbol and window.
        """
        where &= (pc.field("revision") == 0) & (pc.field("bar_length_s") == MINUTE_S)
        return self.with_prices(self.find(FEATURES, FEATURE_COLUMNS, where, of))

    def with_prices(self, features: pa.Table) -> pa.Table:
        """Return rows of features with ``_OF_BAR`` of the bar that they read.

        Raises:
            FixSetup: A bar is not there.
        """
        ordered = features.sort_by(
            [(n, "ascending") for n in ("symbol", "window_start")]
        )
        if not ordered.num_rows:
            for name in _OF_BAR:
                ordered = ordered.append_column(name, pa.array([], pa.float64()))
            return ordered
        spanned = pc.min_max(ordered["window_start"]).as_py()
        start = pc.field("window_start")
        bars = self.find(
            BARS,
            (*_BAR_KEY, *_OF_BAR),
            on_days(spanned["min"].date(), spanned["max"].date())
            & (start >= spanned["min"])
            & (start <= spanned["max"])
            & (pc.field("bar_length_s") == MINUTE_S),
        )
        names = ("symbol", "window_start", "bar_source", "bar_revision")
        priced = ordered.join(bars, list(names), list(_BAR_KEY), "left outer")
        if priced["close"].null_count:
            raise FixSetup(
                BARS.name, "lacks bars that silver.features read", "Restore the lake"
            )
        return priced.sort_by([(n, "ascending") for n in names[:2]])

    def halted(self, symbols: Sequence[str], known_ns: int) -> set[str]:
        """Return which symbols were halted as was known at a market time.

        The newest status counts, of those that were read at that time or before.
        """
        clock = pa.scalar(known_ns // 1_000, pa.timestamp("us", tz="UTC"))
        today = clock.as_py().date()
        told = self.find(
            STATUSES,
            ("symbol", "event_time_ns", "status_code"),
            on_days(today - timedelta(days=1), today)
            & (pc.field("market_time") <= clock),
            {"symbol": symbols, "channel": ["status"]},
        )
        newest = {
            row["symbol"]: row["status_code"]
            for row in told.sort_by("event_time_ns").to_pylist()
        }
        return {symbol for symbol, code in newest.items() if code in HALT_CODES}

    def quotes_around(self, orders: Sequence[Order]) -> pa.Table:
        """Return the quotes that may fill some orders."""
        symbols = {order.symbol for order in orders}
        return self.find(QUOTES, QUOTE_COLUMNS, around(orders), {"symbol": symbols})

    def _open(self, contract: TableContract) -> DeltaTable:
        if self._manifest is not None:
            return self._pinned(contract, self._manifest)
        table = self._tables.get(contract.name)
        if table is None:
            uri = table_uri(self._root, contract)
            if not DeltaTable.is_deltatable(uri):
                raise FixSetup(contract.name, f"is not in {self._root}", "`make run`")
            table = self._tables[contract.name] = DeltaTable(uri)
        else:
            table.update_incremental()
        return table

    def _pinned(self, contract: TableContract, manifest: Manifest) -> DeltaTable:
        if contract.name not in self._tables:
            version = manifest.versions.get(contract.name)
            if version is None:
                raise FixSetup(contract.name, "is not in the manifest", "Take another")
            self._tables[contract.name] = open_table(self._root, contract, version)
        return self._tables[contract.name]


def newest_day(root: str, manifest: Manifest) -> date:
    """Return the newest UTC day of ``silver.features``, by its log alone.

    Raises:
        FixSetup: There is none yet.
    """
    version = manifest.versions.get(FEATURES.name)
    parts = [] if version is None else open_table(root, FEATURES, version).partitions()
    if not parts:
        raise FixSetup(FEATURES.name, f"has no rows in {root}", "`make run`")
    return max(date.fromisoformat(str(part["day"])) for part in parts)


def values_of(features: pa.Table) -> dict[str, Floats]:
    """Return the columns that ``models.observation`` reads; null is NaN."""
    names = (*(VALUES.names or ()), "close", "volume")
    return {name: features[name].to_numpy().astype(np.float64) for name in names}


def on_days(first: date, last: date) -> ds.Expression:
    """Return a condition on the partition: UTC days, both inclusive."""
    return pc.field("day").isin(list(_days(first, last)))


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def as_known(features: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows of each moment at which some became known, in their order."""
    for moment in pc.unique(features["known_time"]).sort():
        yield features.filter(pc.field("known_time") == moment)
