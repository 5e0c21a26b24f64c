"""Counts the windows anew whose trades were corrected or cancelled.

``silver.corrections`` says which trade each message means; a window's row says how many
of them it reflects. Where the two differ the window is counted from effective trades,
as far as the query has read: nothing else need be remembered, whatever is restarted.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.commit import ranges_of
from conf.lake.files import offline_connection
from conf.lake.roots import table_uri
from conf.lake.rows import find_rows
from conf.lake.tables import CORRECTIONS, SYMBOL_STATS, TRADES
from conf.logs import get_logger
from conf.market.conditions import NO_VOLUME
from conf.market.effective_trades import Correction, Trade, resolve
from gold.symbol_stats import Key, Row
from gold.windows import IS_MINUTE, Counted, Windows

MATCHED = "matched"
_AT_ONCE = 200
_MINUTE = timedelta(minutes=1)
_CORRECTION_COLUMNS = [
    "symbol",
    "exchange",
    "event_time_ns",
    "trade_id",
    "price",
    "size",
    "corrected_trade_id",
    "corrected_price",
    "corrected_size",
    "corrected_conditions",
    "trade_event_time_ns",
]
_TRADE_COLUMNS = [
    "symbol",
    "exchange",
    "trade_id",
    "event_time",
    "event_time_ns",
    "price",
    "size",
    "conditions",
]
_log = get_logger(__name__)


class CorrectedWindows:
    """Finds windows that do not reflect all corrections, and restates them.

    Args:
        root: The lake; its tables exist.
        windows: The table's rows.
    """

    def __init__(self, root: str, windows: Windows) -> None:
        self._windows = windows
        self._corrections = DeltaTable(table_uri(root, CORRECTIONS))
        self._stats = DeltaTable(table_uri(root, SYMBOL_STATS))
        self._trades = DeltaTable(table_uri(root, TRADES))
        self._looked_at: int | None = None

    def restate(self) -> int:
        """Restate what is not up to date; return how many rows were replaced.

        A correction whose trade the query has not read yet waits for the next call.
        """
        self._corrections.update_incremental()
        version = self._corrections.version()
        if version == self._looked_at:
            return 0
        matched = self._matched()
        stale = self._stale(matched)
        restated = sum(
            self._restate(stale[first : first + _AT_ONCE], matched)
            for first in range(0, len(stale), _AT_ONCE)
        )
        if restated == len(stale):
            self._looked_at = version
        if restated:
            _log.info("corrected windows are counted anew", windows=restated)
        return restated

    def _matched(self) -> pa.Table:
        """Return the corrections of the newest two days; at first, of all."""
        days = sorted({str(p["day"]) for p in self._corrections.partitions()})
        chosen = pc.scalar(True)
        if self._looked_at is not None:
            newest = [datetime.fromisoformat(day).date() for day in days[-2:]]
            chosen = pc.field("day").isin(newest)
        matched = {"match_state": [MATCHED]}
        return find_rows(
            self._corrections, CORRECTIONS, _CORRECTION_COLUMNS, chosen, matched
        )

    def _stale(self, matched: pa.Table) -> list[Key]:
        """Return the windows that reflect another number of corrections, by time."""
        if not matched.num_rows:
            return []
        self._stats.update_incremental()
        span = pc.min_max(matched["trade_event_time_ns"]).as_py()
        first, last = (_minute(span[name]) for name in ("min", "max"))
        reflected = self._stats.to_pyarrow_dataset().to_table(
            ["symbol", "window_start", "correction_count"],
            IS_MINUTE
            & (pc.field("day") >= first.date())
            & (pc.field("day") <= last.date()),
        )
        with offline_connection(threads="1") as db:
            db.register("matched", matched)
            db.register("reflected", reflected)
            found = db.execute(_STALE).fetchall()
        return [(symbol, _moment(start_us)) for symbol, start_us in found]

    def _restate(self, stale: Sequence[Key], matched: pa.Table) -> int:
        return self._windows.restate(
            lambda version: count_effective(
                self._reported(stale, version), matched, stale
            )
        )

    def _reported(self, windows: Sequence[Key], version: int) -> pa.Table:
        """Return the trades of some windows, and perhaps more, as reported."""
        self._trades.load_as_version(version)
        starts = [start for _, start in windows]
        time = pc.field("event_time")
        bounds = pc.scalar(False)
        for low, high in ranges_of(starts):
            bounds |= (time >= low) & (time < high + _MINUTE)
        return self._trades.to_pyarrow_dataset().to_table(
            _TRADE_COLUMNS,
            pc.field("day").isin(list({start.date() for start in starts})) & bounds,
        )


def count_effective(
    reported: pa.Table, matched: pa.Table, windows: Sequence[Key]
) -> Counted:
    """Count windows of one minute from effective trades.

    Args:
        reported: Trades of ``silver.trades``; those of the windows among them.
        matched: Rows of ``silver.corrections`` in the state matched.
        windows: The windows to count.
    """
    with offline_connection(threads="1") as db:
        db.register("all_trades", reported)
        db.register("all_matched", matched)
        keys = {
            "symbol": [symbol for symbol, _ in windows],
            "start_us": [_microseconds(start) for _, start in windows],
        }
        db.register("windows", pa.table(keys))
        db.execute(_SELECT)
        meant = [Correction.of(row) for row in _rows(db, "SELECT * FROM matched")]
        named = [_trade(row) for row in _rows(db, "SELECT * FROM named")]
        resolution = resolve(named, meant)
        now = [trade for trade in resolution.replaced.values() if trade is not None]
        db.register("replaced", _keys(list(resolution.replaced)))
        db.register("corrected", _table(now))
        found = (resolution.matches[correction].trade for correction in meant)
        reflected = Counter(
            (trade.symbol, _minute(trade.event_time_ns)) for trade in found if trade
        )
        counts = {window: reflected[window] for window in windows}
        return Counted(_rows(db, _PARTIALS), counts)


# Times are compared as integers: microseconds of the venue's clock.
_STALE = """
WITH meant AS (
    SELECT symbol, trade_event_time_ns // 60000000000 * 60000000 AS start_us,
        count(*) AS correction_count
    FROM matched GROUP BY ALL
)
SELECT m.symbol, start_us
FROM meant AS m LEFT JOIN reflected AS r
    ON r.symbol = m.symbol AND epoch_us(r.window_start) = start_us
WHERE m.correction_count <> coalesce(r.correction_count, 0)
ORDER BY start_us, m.symbol
"""
_SELECT = """
CREATE TEMP TABLE reported AS
SELECT t.*, start_us FROM all_trades AS t JOIN windows AS w
    ON t.symbol = w.symbol AND event_time_ns // 60000000000 * 60000000 = start_us;
CREATE TEMP TABLE matched AS
SELECT m.* FROM all_matched AS m JOIN windows AS w ON m.symbol = w.symbol
    AND trade_event_time_ns // 60000000000 * 60000000 = start_us;
CREATE TEMP TABLE named AS
SELECT t.* FROM reported AS t SEMI JOIN matched AS m
    ON t.symbol = m.symbol AND t.exchange = m.exchange
    AND t.event_time_ns = m.trade_event_time_ns;
"""
# The ranges are those of ``symbol_stats.to_prices``.
_PARTIALS = f"""
WITH effective AS (
    SELECT symbol, event_time_ns, price, size, conditions
    FROM reported AS t ANTI JOIN replaced AS r ON t.symbol = r.symbol
        AND t.exchange = r.exchange AND t.trade_id = r.trade_id
        AND t.event_time_ns = r.event_time_ns
    UNION ALL
    SELECT symbol, event_time_ns, price, size, conditions FROM corrected
),
priced AS (
    SELECT *, round(price * 1000000)::BIGINT AS price_e6,
        pow(10, length(price_e6::VARCHAR) - 1)::BIGINT AS power,
        greatest(power // 2000, 10000) AS width,
        price_e6 - price_e6 % width AS low_e6
    FROM effective
    WHERE NOT list_has_any(coalesce(conditions, []), {sorted(NO_VOLUME)})
)
SELECT symbol,
    make_timestamptz(event_time_ns // 60000000000 * 60000000) AS window_start,
    low_e6, low_e6 + width AS high_e6, count(*) AS trade_count,
    sum(size)::BIGINT AS volume, min(price) AS price_min, max(price) AS price_max,
    sum(price_e6)::HUGEINT AS sum_e6,
    sum(price_e6::HUGEINT * price_e6)::HUGEINT AS sum_squares_e12
FROM priced GROUP BY ALL
"""  # noqa: S608 (codes of our own)
_KEY = {
    "symbol": pa.string(),
    "exchange": pa.string(),
    "trade_id": pa.int64(),
    "event_time_ns": pa.int64(),
}
_TRADE = _KEY | {
    "price": pa.float64(),
    "size": pa.int64(),
    "conditions": pa.list_(pa.string()),
}


def _rows(db: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = db.sql(query).to_arrow_table().to_pylist()
    return rows


def _keys(keys: Sequence[tuple[str, str, int, int]]) -> pa.Table:
    rows = [dict(zip(_KEY, key, strict=True)) for key in keys]
    return pa.Table.from_pylist(rows, schema=pa.schema(_KEY))


def _table(trades: Sequence[Trade]) -> pa.Table:
    rows = [{name: getattr(trade, name) for name in _TRADE} for trade in trades]
    return pa.Table.from_pylist(rows, schema=pa.schema(_TRADE))


def _trade(row: Row) -> Trade:
    codes = row["conditions"]
    return Trade(
        **{name: row[name] for name in _TRADE if name != "conditions"},
        conditions=None if codes is None else tuple(codes),
    )


def _minute(event_time_ns: int) -> datetime:
    return _moment(event_time_ns // 60_000_000_000 * 60_000_000)


def _moment(moment_us: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=moment_us)


def _microseconds(moment: datetime) -> int:
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
