"""Sliding windows of 5, 15 and 60 minutes, combined from the windows of one minute.

Sums of minutes are exact, so nothing is counted again. A window ends with every minute:
one that changes is part of as many windows as they have minutes. DuckDB adds them up,
outside the interpreter's lock: beside it, streams have their rows to move.
"""

import math
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from conf.lake.files import offline_connection
from conf.lake.tables import SYMBOL_STATS
from gold.symbol_stats import LENGTH_NAMES, WINDOW_LENGTH_S, Key, variance

LENGTHS_S = tuple(length for length in LENGTH_NAMES if length != WINDOW_LENGTH_S)
LONGEST = timedelta(seconds=max(LENGTHS_S))
STAMPS = ("is_final", "source_version", "updated_time")
"""What a row has beside what follows from its minutes."""
_SCHEMA = pa.schema([f for f in SYMBOL_STATS.schema if f.name not in STAMPS])
_EPOCH = datetime.fromtimestamp(0, UTC)


def combine(
    minutes: pa.Table,
    changed: Iterable[Key],
    ends: Collection[datetime],
    newest_end: datetime,
) -> pa.Table:
    """Return the windows of which a minute has changed, and those with some ends.

    Args:
        minutes: Rows of the table: all minutes of these windows.
        changed: Symbols and starts of minutes that have changed.
        ends: Of windows of every symbol that has a minute in them.
        newest_end: End of the newest minute: no changed window reaches beyond it.

    Returns:
        Rows of the table without ``STAMPS``.
    """
    keys = list(changed)
    told = {
        "symbol": [symbol for symbol, _ in keys],
        "start_us": [_microseconds(start) for _, start in keys],
    }
    # One thread: the queries need the other core.
    with offline_connection(threads="1") as db:
        db.register("minutes", minutes)
        types = {"symbol": pa.string(), "start_us": pa.int64()}
        db.register("changed", pa.table(told, pa.schema(types)))
        end_us = pa.array([_microseconds(end) for end in ends], pa.int64())
        db.register("ends", pa.table({"end_us": end_us}))
        db.execute(_PARTS, {"newest_us": _microseconds(newest_end)})
        sums: pa.Table = db.sql(_SUMS).to_arrow_table()
    return _with_moments(sums)


def _with_moments(sums: pa.Table) -> pa.Table:
    """Derive mean and deviations from the sums, as integers of any size."""
    names = "trade_count", "price_sum_e6", "price_sum_squares_e12"
    exact = list(zip(*(map(int, sums[n].to_pylist()) for n in names), strict=True))
    variances = [variance(*window) for window in exact]
    moments = {
        "price_mean": [total / (n * 10**6) if n else None for n, total, _ in exact],
        "price_variance": variances,
        "price_stddev": [None if v is None else math.sqrt(v) for v in variances],
    }
    for name, values in moments.items():
        sums = sums.append_column(name, pa.array(values, pa.float64()))
    return sums.select(_SCHEMA.names).cast(_SCHEMA)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


_NAMES = ", ".join(f"({length}, '{LENGTH_NAMES[length]}')" for length in LENGTHS_S)
_PARTS = f"""
CREATE TEMP TABLE minute AS
SELECT *, epoch_us(window_start) AS start_us FROM minutes;
CREATE TEMP TABLE part AS
WITH length(length_s, name) AS (VALUES {_NAMES}),
target AS (
    SELECT symbol, start_us + n * 60000000 AS end_us, length_s, name
    FROM changed, length, range(1, length_s // 60 + 1) AS r(n)
    WHERE start_us + n * 60000000 <= $newest_us
    UNION
    SELECT symbol, end_us, length_s, name FROM ends, length, minute
    WHERE start_us >= end_us - length_s * 1000000::BIGINT AND start_us < end_us
),
wanted AS (
    SELECT symbol, end_us, length_s, name, end_us - n * 60000000 AS start_us
    FROM target, range(1, length_s // 60 + 1) AS r(n)
)
SELECT symbol, end_us, length_s, name, minute.* EXCLUDE (symbol, start_us)
FROM wanted JOIN minute USING (symbol, start_us);
"""  # noqa: S608 (lengths of our own)
_SUMS = """
WITH bucket AS (
    SELECT symbol, end_us, length_s, low_e6, high_e6, sum(n)::BIGINT AS trade_count
    FROM (
        SELECT symbol, end_us, length_s, b.low_e6, b.high_e6, b.trade_count AS n
        FROM (SELECT symbol, end_us, length_s, unnest(price_buckets) AS b FROM part)
    )
    GROUP BY ALL
),
buckets AS (
    SELECT symbol, end_us, length_s,
        list({low_e6: low_e6, high_e6: high_e6, trade_count: trade_count}
             ORDER BY low_e6, high_e6) AS price_buckets
    FROM bucket GROUP BY ALL
),
sums AS (
    SELECT symbol, end_us, length_s, name AS window_length,
        sum(trade_count)::BIGINT AS trade_count, sum(volume)::BIGINT AS volume,
        min(price_min) AS price_min, max(price_max) AS price_max,
        sum(price_sum_e6::HUGEINT)::DECIMAL(38, 0) AS price_sum_e6,
        sum(price_sum_squares_e12::HUGEINT)::DECIMAL(38, 0) AS price_sum_squares_e12,
        sum(correction_count)::BIGINT AS correction_count
    FROM part GROUP BY ALL
)
SELECT * EXCLUDE (end_us, length_s, price_buckets),
    length_s AS window_length_s,
    make_timestamptz(end_us) AS window_end,
    make_timestamptz(end_us - length_s * 1000000::BIGINT) AS window_start,
    make_timestamp(end_us - length_s * 1000000::BIGINT) AS start,
    start::DATE AS day, hour(start) AS hour,
    coalesce(price_buckets, []) AS price_buckets
FROM sums LEFT JOIN buckets USING (symbol, end_us, length_s)
"""
