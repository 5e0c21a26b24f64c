"""Recounts gold's one-minute statistics from the trades that were sent.

Counts, volumes, extremes and sums are integers and must be equal; what is derived
from them may differ in the last digits. Price ranges are the writer's choice: each
must hold as many trades as it says.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

import math
from collections import Counter
from fractions import Fraction
from typing import Any

import duckdb

from infra.local.comparison import EXAMPLES, TableReport, fetch

Minute = dict[str, Any]
Key = tuple[str, int]

# Official prices repeat an auction's print; the oracle keeps a list of its own.
OFFICIAL_PRICES = ("M", "Q", "9")
_RELATIVE_ERROR = 1e-9
_EXACT = (
    "day",
    "hour",
    "window_end_us",
    "trade_count",
    "volume",
    "price_min",
    "price_max",
    "price_sum_e6",
    "price_sum_squares_e12",
)


def judge_stats(db: duckdb.DuckDBPyConnection) -> TableReport:
    """Compare ``stored_symbol_stats`` with a recount of ``expected_trades``.

    Args:
        db: Holds both, and gets ``expected_minutes``.
    """
    load_effective_trades(db)
    expected = {_key(minute): minute for minute in _recounted(db)}
    stored = _stored(db)
    misfiled = _wrong_buckets(db)
    copies = {key: n for key, n in Counter(map(_key, stored)).items() if n > 1}
    altered = [
        {"expected": expected.get(_key(minute)), "stored": minute, "differs": differs}
        for minute in stored
        if (differs := _differences(expected.get(_key(minute)), minute, misfiled))
    ]
    lost = [m for key, m in expected.items() if key not in set(map(_key, stored))]
    return TableReport(
        table="gold.symbol_stats",
        expected=len(expected),
        stored=len(stored),
        lost=len(lost),
        duplicated=sum(copies.values()) - len(copies),
        altered=len(altered),
        examples={
            "lost": lost[:EXAMPLES],
            "duplicated": [m for m in stored if _key(m) in copies][:EXAMPLES],
            "altered": altered[:EXAMPLES],
        },
    )


def load_effective_trades(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``effective_trades``: those that count, with their minute."""
    official = ", ".join(f"'{code}'" for code in OFFICIAL_PRICES)
    db.execute(
        f"""
        CREATE OR REPLACE TABLE effective_trades AS
        SELECT *, event_time_us // 60000000 * 60000000 AS window_start_us,
            round(price * 1e6)::BIGINT AS price_e6
        FROM expected_trades
        WHERE NOT list_has_any(coalesce(conditions, []), [{official}])
        """
    )


def _recounted(db: duckdb.DuckDBPyConnection) -> list[Minute]:
    return fetch(
        db,
        """
        SELECT symbol, window_start_us, make_timestamp(window_start_us)::DATE AS day,
            hour(make_timestamp(window_start_us)) AS hour,
            window_start_us + 60000000 AS window_end_us,
            count(*) AS trade_count, sum(size) AS volume,
            min(price) AS price_min, max(price) AS price_max,
            sum(price_e6) AS price_sum_e6,
            sum(price_e6::HUGEINT * price_e6) AS price_sum_squares_e12
        FROM effective_trades GROUP BY symbol, window_start_us
        """,
    )


def _stored(db: duckdb.DuckDBPyConnection) -> list[Minute]:
    return fetch(
        db,
        """
        SELECT symbol, epoch_us(window_start) AS window_start_us, day, hour,
            epoch_us(window_end) AS window_end_us, trade_count, volume,
            price_min, price_max, price_mean, price_variance, price_stddev,
            price_sum_e6::HUGEINT AS price_sum_e6,
            price_sum_squares_e12::HUGEINT AS price_sum_squares_e12,
            list_sum([b.trade_count FOR b IN price_buckets]) AS bucket_trades
        FROM stored_symbol_stats WHERE window_length_s = 60
        """,
    )


def _wrong_buckets(db: duckdb.DuckDBPyConnection) -> set[Key]:
    """Return the minutes with a price range that does not hold what it says."""
    found = db.execute(
        """
        WITH buckets AS (
            SELECT DISTINCT symbol, epoch_us(window_start) AS window_start_us,
                unnest(price_buckets, recursive := true)
            FROM stored_symbol_stats WHERE window_length_s = 60
        )
        SELECT DISTINCT symbol, window_start_us FROM (
            SELECT b.symbol, b.window_start_us, b.low_e6, b.trade_count
            FROM buckets AS b LEFT JOIN effective_trades AS t
                ON t.symbol = b.symbol AND t.window_start_us = b.window_start_us
                AND t.price_e6 >= b.low_e6 AND t.price_e6 < b.high_e6
            GROUP BY ALL HAVING count(t.price_e6) <> b.trade_count
        )
        """
    )
    return set(found.fetchall())


def _differences(
    expected: Minute | None, stored: Minute, misfiled: set[Key]
) -> list[str]:
    """Return the columns of a stored minute that are wrong."""
    if expected is None:
        return ["symbol", "window_start_us"]
    wrong = [name for name in _EXACT if expected[name] != stored[name]]
    wrong += [
        name
        for name, value in _moments(expected).items()
        if not _is_close(stored[name], value)
    ]
    buckets_agree = stored["bucket_trades"] == expected["trade_count"]
    if not buckets_agree or _key(stored) in misfiled:
        wrong.append("price_buckets")
    return wrong


def _moments(minute: Minute) -> dict[str, float | None]:
    """Return mean and sample variance in USD, computed without rounding."""
    n = minute["trade_count"]
    total = Fraction(int(minute["price_sum_e6"]), 10**6)
    squares = Fraction(int(minute["price_sum_squares_e12"]), 10**12)
    variance = float((squares - total**2 / n) / (n - 1)) if n > 1 else None
    return {
        "price_mean": float(total / n),
        "price_variance": variance,
        "price_stddev": None if variance is None else math.sqrt(variance),
    }


def _is_close(stored: float | None, exact: float | None) -> bool:
    if stored is None or exact is None:
        return stored is exact
    return math.isclose(stored, exact, rel_tol=_RELATIVE_ERROR)


def _key(minute: Minute) -> Key:
    return minute["symbol"], minute["window_start_us"]
