"""Reads the lake without Spark: rows of a table, SQL over all of it, or for research.

``scan`` gives the rows of one table as its contract says, ``connect`` a DuckDB
connection with a view for each table, and ``open_lake`` what a researcher asks for:
a symbol and a span, at any version, as Arrow, pandas or polars.
"""

from collections.abc import Iterable, Sequence
from functools import partialmethod
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from conf.errors import FixSetup
from conf.lake import views
from conf.lake.files import offline_connection, rows_of_version
from conf.lake.manifest import Cut, Manifest, pin, tie
from conf.lake.roots import table_uri
from conf.lake.selection import (
    Moment,
    Selection,
    Span,
    needing_files,
    symbol_condition,
    to_moment,
)
from conf.lake.splits import read_splits
from conf.lake.tables import (
    BARS,
    CORRECTIONS,
    FEATURES,
    GAPS,
    QUOTES,
    SIGNALS,
    STATUSES,
    SYMBOL_STATS,
    TABLES,
    TRADES,
    TableContract,
)
from conf.lake.versions import AsOf, known_table, open_table

_NEW_YORK = ZoneInfo("America/New_York")


def connect(root: str, manifest: Manifest | None = None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection with one view ``layer.table`` per existing table.

    A table whose facts are revised has a view ``layer.table_current`` of the newest row
    of each, and a table macro ``layer.table_known_at(time)`` of what was known at a
    market time. ``silver.trades_with_quotes``, ``silver.bars_adjusted`` and
    ``silver.bar_differences`` are in ``conf.lake.views``.

    Args:
        root: The lake.
        manifest: The versions to show; by default the newest, and ``refresh`` moves on.
    """
    connection = offline_connection()
    refresh(connection, root, manifest)
    return connection


def refresh(
    connection: duckdb.DuckDBPyConnection, root: str, manifest: Manifest | None = None
) -> None:
    """Point every view at the newest version of its table, or at the manifest's.

    Raises:
        FixSetup: Files of a version were removed.
    """
    for contract in TABLES.values():
        as_of = None if manifest is None else manifest.versions.get(contract.name)
        is_there = DeltaTable.is_deltatable(table_uri(root, contract))
        if is_there and (manifest is None or as_of is not None):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {contract.layer}")
            table = open_table(root, contract, as_of)
            with needing_files():
                rows = rows_of_version(connection, contract, table)
                _create_view(connection, contract.name, rows)
            _create_known_views(connection, contract)
    _create_joined_views(connection, root, manifest)


def scan(
    root: str,
    contract: TableContract,
    *,
    columns: Sequence[str] | None = None,
    where: str = "true",
    version: int | None = None,
) -> pa.Table:
    """Return rows of one table, typed as its contract says.

    Args:
        root: The lake.
        contract: The table.
        columns: Names, in the order wanted; by default all.
        where: SQL over the columns. A condition on a partition column (``day``) skips
            the files of the others.
        version: Delta version; by default the newest.

    Raises:
        deltalake.exceptions.TableNotFoundError: There is no such table.
    """
    names = list(columns or contract.column_names)
    table = DeltaTable(table_uri(root, contract), version=version)
    with offline_connection() as connection:
        relation = connection.sql(rows_of_version(connection, contract, table))
        rows = relation.filter(where).select(*names).to_arrow_table()
    return rows.cast(pa.schema([contract.schema.field(name) for name in names]))


class Lake:
    """A lake for research: rows by symbol and span, at any version.

    Args:
        root: URI or folder of the lake.
        cut: Read everything at these versions, see ``conf.lake.manifest.tie``; by
            default each reading shows what is newest then.

    Attributes:
        manifest: The versions that are read; None if the newest.
    """

    def __init__(self, root: str, cut: Cut | None = None) -> None:
        self.root = root
        self.manifest = None if cut is None else tie(root, cut)
        self._connection = offline_connection()

    def read(
        self,
        contract: TableContract | str,
        symbols: str | Iterable[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        as_of: AsOf | None = None,
        known_at: Moment | None = None,
    ) -> Selection:
        """Return the rows of any table, by symbol and then time.

        Args:
            contract: The table, or its name: ``silver.trades``.
            symbols: One or several; by default all.
            start: Of the table's event time, inclusive.
            end: Exclusive. Files of days outside the span are not opened.
            as_of: Version of this table, or a time of its commits.
            known_at: Only what was known at this market time, in its newest revision;
                by default every revision. For tables that have revisions.

        Raises:
            FixSetup: There is no such table, or the version cannot be read.
        """
        if isinstance(contract, str):
            contract = known_table(contract)
        rows = self._rows(contract, symbols, Span.of(start, end), as_of)
        if known_at is not None:
            known = f"TIMESTAMPTZ '{to_moment(known_at).isoformat()}'"
            rows = f"({views.known_at(contract, rows, known)})"
        order = [n for n in ("symbol",) if n in contract.column_names]
        return self._select(rows, *order, contract.event_column)

    trades = partialmethod(read, TRADES)
    quotes = partialmethod(read, QUOTES)
    bars = partialmethod(read, BARS)
    features = partialmethod(read, FEATURES)
    corrections = partialmethod(read, CORRECTIONS)
    gaps = partialmethod(read, GAPS)
    stats = partialmethod(read, SYMBOL_STATS)

    def trades_with_quotes(
        self,
        symbols: str | Iterable[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> Selection:
        """Return each trade with the quote that prevailed; see ``conf.lake.views``."""
        span = Span.of(start, end)
        trades = self._rows(TRADES, symbols, span)
        quotes = self._rows(QUOTES, symbols, span.with_the_day_before())
        joined = views.trades_with_quotes(trades, quotes)
        return self._select(f"({joined})", "symbol", "event_time_ns")

    def bars_adjusted(
        self,
        symbols: str | Iterable[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> Selection:
        """Return the newest bars, adjusted for splits; see ``conf.lake.views``."""
        bars = views.known_at(BARS, self._rows(BARS, symbols, Span.of(start, end)))
        self._connection.register("splits", _splits(self.root, self.manifest))
        adjusted = views.bars_adjusted(f"({bars})", "splits")
        return self._select(f"({adjusted})", "symbol", "window_start")

    def sql(self, statement: str) -> Selection:
        """Return the rows of one SELECT over every table and view; see ``connect``."""
        refresh(self._connection, self.root, self.manifest)
        with needing_files():
            return Selection(self._connection.sql(statement))

    def pin(self, name: str, reason: str) -> Manifest:
        """Keep the versions of this lake readable; see ``conf.lake.manifest.pin``."""
        return pin(self.root, name, reason=reason, cut=self.manifest)

    def _rows(
        self,
        contract: TableContract,
        symbols: str | Iterable[str] | None,
        span: Span,
        as_of: AsOf | None = None,
    ) -> str:
        if as_of is None and self.manifest is not None:
            as_of = self.manifest.versions.get(contract.name)
            if as_of is None:
                raise FixSetup(contract.name, "is not in the manifest", "Take another")
        if not DeltaTable.is_deltatable(table_uri(self.root, contract)):
            raise FixSetup(contract.name, f"is not in {self.root}", "`make run`")
        table = open_table(self.root, contract, as_of)
        rows = rows_of_version(self._connection, contract, table, span.pruning())
        where = " AND ".join(
            [*symbol_condition(symbols), *span.conditions(contract.event_column)]
        )
        return f"(SELECT * FROM ({rows}) WHERE {where or 'true'})"  # noqa: S608

    def _select(self, rows: str, *order: str) -> Selection:
        with needing_files():
            found = self._connection.sql(f"FROM {rows}")
        return Selection(found.order(", ".join(order)))


def open_lake(root: str, cut: Cut | None = None) -> Lake:
    """Open a lake for research; see ``Lake``.

    Raises:
        FixSetup: There is no such pin, or a version cannot be read any more.
    """
    return Lake(root, cut)


def _create_known_views(
    connection: duckdb.DuckDBPyConnection, contract: TableContract
) -> None:
    if views.is_revised(contract):
        name = contract.name
        _create_view(connection, f"{name}_current", views.known_at(contract, name))
        known = views.known_at(contract, name, "moment")
        connection.execute(
            f"CREATE OR REPLACE MACRO {name}_known_at(moment) AS TABLE {known}"
        )


def _create_joined_views(
    connection: duckdb.DuckDBPyConnection, root: str, manifest: Manifest | None
) -> None:
    made = {f"{s}.{n}" for s, n in connection.execute(_VIEWS).fetchall()}
    if {TRADES.name, QUOTES.name} <= made:
        joined = views.trades_with_quotes(TRADES.name, QUOTES.name)
        _create_view(connection, "silver.trades_with_quotes", joined)
    if BARS.name in made:
        connection.execute("CREATE SCHEMA IF NOT EXISTS reference")
        connection.register("splits_read", _splits(root, manifest))
        connection.execute(
            "CREATE OR REPLACE TABLE reference.splits AS FROM splits_read"
        )
        adjusted = views.bars_adjusted(f"{BARS.name}_current", "reference.splits")
        _create_view(connection, "silver.bars_adjusted", adjusted)
        differences = views.bar_differences(f"{BARS.name}_current")
        _create_view(connection, "silver.bar_differences", differences)
    current = f"{FEATURES.name}_current"
    if {FEATURES.name, STATUSES.name, GAPS.name} <= made:
        told = current, STATUSES.name, f"{GAPS.name}_current"
        explained = views.features_with_gaps(*told)
        _create_view(connection, "silver.features_with_gaps", explained)
    if {SIGNALS.name, FEATURES.name, BARS.name} <= made:
        read = SIGNALS.name, current, f"{BARS.name}_current"
        marked = views.signals_with_revisions(*read)
        _create_view(connection, "gold.signals_with_revisions", marked)


_VIEWS = "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"


def _splits(root: str, manifest: Manifest | None) -> pa.Table:
    until = None if manifest is None else manifest.as_of.astimezone(_NEW_YORK).date()
    return read_splits(root, until)


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, rows: str) -> None:
    connection.execute(f"CREATE OR REPLACE VIEW {name} AS {rows}")
