"""Recounts gold's statistics from the trades that were sent and later corrected.

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
Key = tuple[str, int, int]
"""Symbol, length in seconds and start in microseconds."""

# Official prices repeat an auction's print; the oracle keeps a list of its own.
OFFICIAL_PRICES = ("M", "Q", "9")
# A window of these lengths ends with every minute up to the market's newest one.
_LENGTHS = "(VALUES (300, '5m'), (900, '15m'), (3600, '1h')) AS l(length_s, name)"
_RELATIVE_ERROR = 1e-9
_EXACT = (
    "day",
    "hour",
    "window_length",
    "window_end_us",
    "trade_count",
    "volume",
    "price_min",
    "price_max",
    "price_sum_e6",
    "price_sum_squares_e12",
    "correction_count",
)


def judge_stats(db: duckdb.DuckDBPyConnection) -> TableReport:
    """Compare ``stored_symbol_stats`` with a recount of ``expected_trades``.

    Args:
        db: Holds both, and ``expected_corrections``.
    """
    load_counted_trades(db)
    _recount(db)
    expected = {_key(each): each for each in fetch(db, "FROM expected_windows")}
    stored = _stored(db)
    misfiled = _wrong_buckets(db) | _wrong_sums(db)
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


def load_counted_trades(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``counted_trades``: those that count, as reported, with their minute.

    And ``effective_trades``: the same once each correction has found its trade. What
    was corrected can be corrected again, and is found by what it has become.
    """
    matched = "expected_corrections WHERE match_state = 'matched'"
    db.execute(
        f"""
        CREATE OR REPLACE TABLE counted_trades AS {_counted("expected_trades")};
        CREATE OR REPLACE TEMP TABLE amended AS
        WITH RECURSIVE amended AS (
            SELECT place, 0 AS depth, action <> 'correct' AS is_gone, symbol, exchange,
                trade_event_time_ns AS event_time_ns, trade_id AS first_id,
                corrected_trade_id AS trade_id, corrected_price AS price,
                corrected_size AS size, corrected_conditions AS conditions
            FROM {matched} AND EXISTS (
                SELECT 1 FROM expected_trades AS t
                WHERE t.symbol = expected_corrections.symbol
                    AND t.exchange = expected_corrections.exchange
                    AND t.trade_id = expected_corrections.trade_id
                    AND t.event_time_ns = trade_event_time_ns
            )
            UNION ALL
            SELECT c.place, depth + 1, action <> 'correct', c.symbol, c.exchange,
                a.event_time_ns, first_id, corrected_trade_id, corrected_price,
                corrected_size, corrected_conditions
            FROM amended AS a JOIN (SELECT * FROM {matched}) AS c
                ON c.symbol = a.symbol AND c.exchange = a.exchange
                AND c.trade_event_time_ns = a.event_time_ns
                AND c.trade_id = a.trade_id AND c.price = a.price AND c.size = a.size
            WHERE NOT is_gone
        )
        SELECT * FROM amended QUALIFY 1 = row_number() OVER (
            PARTITION BY symbol, exchange, event_time_ns, first_id ORDER BY depth DESC
        );
        CREATE OR REPLACE TEMP TABLE amended_trades AS
        SELECT t.* REPLACE (
            if(a.place IS NULL, t.trade_id, a.trade_id) AS trade_id,
            if(a.place IS NULL, t.price, a.price) AS price,
            if(a.place IS NULL, t.size, a.size) AS size,
            if(a.place IS NULL, t.conditions, a.conditions) AS conditions
        )
        FROM expected_trades AS t LEFT JOIN amended AS a
            ON a.symbol = t.symbol AND a.exchange = t.exchange
            AND a.event_time_ns = t.event_time_ns AND a.first_id = t.trade_id
        WHERE a.is_gone IS NOT TRUE;
        CREATE OR REPLACE TABLE effective_trades AS {_counted("amended_trades")}
        """
    )


def _counted(trades: str) -> str:
    official = ", ".join(f"'{code}'" for code in OFFICIAL_PRICES)
    return f"""
        SELECT *, event_time_us // 60000000 * 60000000 AS window_start_us,
            round(price * 1e6)::BIGINT AS price_e6
        FROM {trades}
        WHERE NOT list_has_any(coalesce(conditions, []), [{official}])
    """


def _recount(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``expected_windows``: minutes in which a trade was reported or corrected.

    And the longer windows that have such a minute.
    """
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE minutes AS
        WITH corrected AS (
            SELECT symbol, count(*) AS correction_count,
                trade_event_time_ns // 60000000000 * 60000000 AS window_start_us
            FROM expected_corrections WHERE match_state = 'matched' GROUP BY ALL
        ),
        minutes AS (
            SELECT symbol, window_start_us FROM counted_trades
            UNION SELECT symbol, window_start_us FROM corrected
        ),
        effective AS (
            SELECT symbol, window_start_us, count(*) AS trade_count,
                sum(size) AS volume, min(price) AS price_min, max(price) AS price_max,
                sum(price_e6) AS price_sum_e6,
                sum(price_e6::HUGEINT * price_e6) AS price_sum_squares_e12
            FROM effective_trades GROUP BY ALL
        )
        SELECT symbol, window_start_us + 60000000 AS window_end_us,
            coalesce(trade_count, 0) AS trade_count, coalesce(volume, 0) AS volume,
            price_min, price_max, coalesce(price_sum_e6, 0) AS price_sum_e6,
            coalesce(price_sum_squares_e12, 0) AS price_sum_squares_e12,
            coalesce(correction_count, 0) AS correction_count
        FROM minutes LEFT JOIN effective USING (symbol, window_start_us)
            LEFT JOIN corrected USING (symbol, window_start_us)
        """
    )
    db.execute(
        f"""
        CREATE OR REPLACE TABLE expected_windows AS
        WITH windows AS (
            SELECT *, 60 AS window_length_s, '1m' AS window_length FROM minutes
            UNION ALL BY NAME
            SELECT symbol, {_LATER_END} AS window_end_us, length_s AS window_length_s,
                any_value(name) AS window_length, sum(trade_count) AS trade_count,
                sum(volume) AS volume, min(price_min) AS price_min,
                max(price_max) AS price_max, sum(price_sum_e6) AS price_sum_e6,
                sum(price_sum_squares_e12) AS price_sum_squares_e12,
                sum(correction_count) AS correction_count
            FROM minutes, {_LENGTHS}, range(length_s // 60) AS r(later)
            WHERE {_LATER_END} <= (SELECT max(window_end_us) FROM minutes)
            GROUP BY ALL
        )
        SELECT *, window_end_us - window_length_s * 1000000::BIGINT AS window_start_us,
            make_timestamp(window_start_us)::DATE AS day,
            hour(make_timestamp(window_start_us)) AS hour
        FROM windows
        """
    )


_LATER_END = "window_end_us + later * 60000000"


def _stored(db: duckdb.DuckDBPyConnection) -> list[Minute]:
    return fetch(
        db,
        """
        SELECT symbol, epoch_us(window_start) AS window_start_us, day, hour,
            window_length_s, window_length, epoch_us(window_end) AS window_end_us,
            trade_count, volume,
            price_min, price_max, price_mean, price_variance, price_stddev,
            price_sum_e6::HUGEINT AS price_sum_e6,
            price_sum_squares_e12::HUGEINT AS price_sum_squares_e12,
            correction_count,
            coalesce(list_sum([b.trade_count FOR b IN price_buckets]), 0)
                AS bucket_trades
        FROM stored_symbol_stats
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
        SELECT DISTINCT symbol, 60, window_start_us FROM (
            SELECT b.symbol, b.window_start_us, b.low_e6, b.trade_count
            FROM buckets AS b LEFT JOIN effective_trades AS t
                ON t.symbol = b.symbol AND t.window_start_us = b.window_start_us
                AND t.price_e6 >= b.low_e6 AND t.price_e6 < b.high_e6
            GROUP BY ALL HAVING count(t.price_e6) <> b.trade_count
        )
        """
    )
    return set(found.fetchall())


def _wrong_sums(db: duckdb.DuckDBPyConnection) -> set[Key]:
    """Return the longer windows with a price range that does not hold what it says.

    Ranges of a symbol do not overlap, whatever the window: each trade is in one.
    """
    found = db.execute(
        f"""
        WITH buckets AS (
            SELECT symbol, window_length_s, epoch_us(window_end) AS window_end_us,
                unnest(price_buckets, recursive := true)
            FROM (SELECT DISTINCT ON (symbol, window_length_s, window_end) *
                  FROM stored_symbol_stats)
        ),
        ranges AS (SELECT DISTINCT symbol, low_e6, high_e6 FROM buckets),
        prices AS (
            SELECT symbol, window_start_us + 60000000 AS window_end_us, price_e6,
                count(*) AS trade_count
            FROM effective_trades GROUP BY ALL
        ),
        summed AS (
            SELECT symbol, length_s AS window_length_s, {_LATER_END} AS window_end_us,
                low_e6, high_e6, sum(trade_count) AS trade_count
            FROM prices JOIN ranges USING (symbol), {_LENGTHS},
                range(length_s // 60) AS r(later)
            WHERE price_e6 >= low_e6 AND price_e6 < high_e6 GROUP BY ALL
        )
        SELECT DISTINCT symbol, window_length_s,
            window_end_us - window_length_s * 1000000::BIGINT
        FROM (FROM buckets WHERE window_length_s <> 60) AS b FULL JOIN summed AS s
            USING (symbol, window_length_s, window_end_us, low_e6, high_e6)
        WHERE b.trade_count IS DISTINCT FROM s.trade_count
        """
    )
    return set(found.fetchall())


def _differences(
    expected: Minute | None, stored: Minute, misfiled: set[Key]
) -> list[str]:
    """Return the columns of a stored minute that are wrong."""
    if expected is None:
        return ["symbol", "window_length_s", "window_start_us"]
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
    if not n:
        return dict.fromkeys(("price_mean", "price_variance", "price_stddev"))
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
    return minute["symbol"], minute["window_length_s"], minute["window_start_us"]
