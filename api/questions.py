"""Questions to one table as DuckDB's SQL: fixed text, bound values.

``{rows}`` stands for the files that can hold an answer. Every order is total, so that
a page can go on behind the last key of the one before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api.requests import BarsQuery, QuotesQuery, StatsQuery, TradesQuery
from api.snapshots import from_microseconds, microseconds
from conf.lake.tables import BARS, QUOTES, SYMBOL_STATS, TRADES, TableContract

Row = Mapping[str, Any]
_MOST_NS = 2**63 - 1
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)

_TRADES = """
SELECT symbol, event_time, event_time_ns, exchange, trade_id, price, size,
    coalesce(conditions, []) AS conditions, tape, receive_time, arrival_time,
    ingest_time
FROM {rows} WHERE {where}
ORDER BY event_time_ns DESC, symbol DESC, exchange DESC, trade_id DESC LIMIT ?
"""
_QUOTES = """
SELECT symbol, event_time, event_time_ns, quote_hash, occurrence, bid_exchange,
    bid_price, bid_size, ask_exchange, ask_price, ask_size,
    coalesce(conditions, []) AS conditions, tape, receive_time, arrival_time,
    ingest_time
FROM {rows} WHERE {where}
ORDER BY event_time_ns DESC, symbol DESC, quote_hash DESC, occurrence DESC LIMIT ?
"""
_BARS = """
WITH minutes AS (
    SELECT * FROM {rows} WHERE {where} AND source = 'alpaca' AND bar_length_s = 60
    QUALIFY row_number() OVER (PARTITION BY window_start ORDER BY revision DESC) = 1
)
SELECT symbol, time_bucket(to_seconds(?), window_start, EPOCH_START) AS window_start,
    arg_min(open, minutes.window_start) AS open, max(high) AS high, min(low) AS low,
    arg_max(close, minutes.window_start) AS close, sum(volume)::BIGINT AS volume,
    CASE WHEN count(trade_count) = count(*) THEN sum(trade_count)::BIGINT END
        AS trade_count,
    CASE WHEN count(vwap) = count(*) THEN
        coalesce(sum(vwap * volume) / nullif(sum(volume), 0), avg(vwap)) END AS vwap,
    max(revision) AS revision, max(known_time) AS known_time
FROM minutes GROUP BY ALL ORDER BY 2 DESC LIMIT ?
""".replace("EPOCH_START", "TIMESTAMPTZ '1970-01-01 00:00:00+00'")
_STATS_COLUMNS = """symbol, window_start, window_end, window_length_s, trade_count,
    volume, price_min, price_max, price_mean, price_variance, price_stddev, is_final,
    source_version, updated_time"""
_STATS_OF_SYMBOL = f"""
SELECT {_STATS_COLUMNS} FROM {{rows}} WHERE {{where}}
ORDER BY window_start DESC LIMIT ?
"""  # noqa: S608 (names of the contract)
NEWEST_STATS = f"""
SELECT {_STATS_COLUMNS} FROM {{rows}} WHERE trade_count > 0
QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY window_start DESC) = 1
ORDER BY symbol
"""  # noqa: S608 (names of the contract)
NEWEST_TRADES = """
SELECT symbol, max_by(struct_pack(price, size, event_time, event_time_ns, exchange,
    trade_id), event_time_ns) AS newest
FROM {rows} GROUP BY symbol
"""
NEWEST_QUOTES = """
SELECT symbol, max_by(struct_pack(bid_price, bid_size, ask_price, ask_size, event_time),
    event_time_ns) AS newest
FROM {rows} GROUP BY symbol
"""
REFERENCES = """
SELECT symbol,
    max_by(close, window_start) FILTER (kind = 'history' OR window_start < ?)
        AS previous_close,
    min_by(open, window_start) FILTER (kind <> 'history' AND window_start >= ?)
        AS session_open
FROM {rows} WHERE source = 'alpaca' AND bar_length_s = 60
GROUP BY symbol
"""


@dataclass(frozen=True)
class Question:
    """A question for the newest rows of one table.

    Attributes:
        contract: The table; its event column, in the rows, is ordered newest first.
        sql: With ``{rows}`` for the files.
        values: Bound to the question marks.
        limit: The most rows it returns.
        start: No row of the answer comes from before.
        end: No row of the answer comes from after.
        partition: ``column=value`` of every row of the answer, if known.
    """

    contract: TableContract
    sql: str
    values: tuple[object, ...]
    limit: int
    start: datetime | None = None
    end: datetime | None = None
    partition: str = ""


class _Where:
    """Conditions joined by AND, with their values."""

    def __init__(self) -> None:
        self._conditions = ["true"]
        self.values: list[object] = []

    def add(self, condition: str, *values: object) -> None:
        """Add a condition, unless a value of it is None: it was not asked for."""
        if None not in values:
            self._conditions.append(condition)
            self.values += values

    def __str__(self) -> str:
        return " AND ".join(self._conditions)


def trades(query: TradesQuery) -> Question:
    """Ask for one row more than a page of trades."""
    key = "(event_time_ns, symbol, exchange, trade_id)"
    return _ticks(TRADES, _TRADES, key, query)


def quotes(query: QuotesQuery) -> Question:
    """Ask for one row more than a page of quotes."""
    key = "(event_time_ns, symbol, quote_hash, occurrence)"
    return _ticks(QUOTES, _QUOTES, key, query)


def bars(query: BarsQuery) -> Question:
    """Ask for one bar more than a page, newest first."""
    length = timedelta(seconds=query.bar_length_s)
    # A bar is whole or not at all: the bounds are those of its window, not its minutes.
    start, end = _ceiling(query.start, length), _ceiling(query.end, length)
    if query.after:
        cursor = _moment(query.after[0])
        end = min(end, cursor) if end else cursor
    where = _Where()
    where.add("symbol = ?", query.symbol)
    where.add("window_start >= ?", start)
    where.add("window_start < ?", end)
    limit = query.limit + 1
    values = (*where.values, query.bar_length_s, limit)
    sql = _BARS.replace("{where}", str(where))
    return Question(BARS, sql, values, limit, start, end)


def stats_of_symbol(query: StatsQuery) -> Question:
    """Ask for one window more than a page of one symbol's."""
    before = _moment(query.after[0]) if query.after else None
    where = _Where()
    where.add("trade_count > 0")
    where.add("symbol = ?", query.symbol)
    where.add("window_start < ?", before)
    limit = query.limit + 1
    sql = _STATS_OF_SYMBOL.replace("{where}", str(where))
    return Question(
        SYMBOL_STATS,
        sql,
        (*where.values, limit),
        limit,
        end=before,
        partition=stats_partition(query.window),
    )


def stats_partition(window: str) -> str:
    """Return the partition of ``gold.symbol_stats`` with windows of one length."""
    return f"window_length={window}/"


def _ticks(
    contract: TableContract, sql: str, key: str, query: TradesQuery | QuotesQuery
) -> Question:
    end = query.end
    if query.after:
        cursor = _moment(query.after[0] // 1000)
        end = min(end, cursor) if end else cursor
    where = _Where()
    where.add("symbol = ?", query.symbol)
    where.add("event_time_ns >= ?", _nanoseconds(query.start))
    where.add("event_time_ns < ?", _nanoseconds(query.end))
    if query.after:
        where.add("event_time_ns <= ?", query.after[0])
        where.add(f"{key} < (?, ?, ?, ?)", *query.after)
    limit = query.limit + 1
    values = (*where.values, limit)
    sql = sql.replace("{where}", str(where))
    return Question(contract, sql, values, limit, query.start, end)


def _nanoseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return max(-_MOST_NS, min(_MOST_NS, microseconds(moment) * 1000))


def _ceiling(moment: datetime | None, length: timedelta) -> datetime | None:
    """Return the first window start that is not before ``moment``."""
    if moment is None:
        return None
    length_us = length // timedelta(microseconds=1)
    return _moment(-(-microseconds(moment) // length_us) * length_us)


def _moment(moment_us: int) -> datetime:
    """Return a time; one beyond the calendar becomes its last or first."""
    try:
        return from_microseconds(moment_us)
    except OverflowError:
        return _LAST if moment_us > 0 else _FIRST
