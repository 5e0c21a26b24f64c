"""Recounts what the closed minutes made of the trades: our bars, and their features.

Our bars, as they are at last, must equal those that the truth's effective trades make,
digit by digit. Of the features those are checked that SQL can say in one line: changes,
returns, simple means, the Bollinger band, the last quote and its spread. They are
computed from all of the table's bars, which are judged by then, and share no line with
the kernel.

A minute that closes after the newest tick was received may be there or not; if it is,
it must be right.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from pathlib import Path

import duckdb
from deltalake import DeltaTable

from conf.lake.files import rows_of_version
from conf.lake.tables import TABLES
from infra.local.comparison import TableReport, compare, count, rows
from infra.local.matching import TRADING_DATE

_MINUTE_US = 60_000_000
_CLOSED_AFTER_US = _MINUTE_US + 1_500_000
_MINUTE = f"// {_MINUTE_US} * {_MINUTE_US}"
_FEED_ORDER = "event_time_ns, trade_id, exchange"

# Which prints set no price of a minute; B and E mean one thing on each of the tapes.
_NO_PRICE = ("C", "G", "H", "I", "N", "P", "R", "U", "V", "W", "Z", "4", "7", "8")
_NO_PRICE_ON = {"B": "tape IN ('A', 'B')", "E": "tape IN ('C', 'O')"}

_BAR = ["open", "high", "low", "close", "volume", "trade_count", "vwap"]

_RETURN = "(close - lag(close, {0}) OVER bars) / lag(close, {0}) OVER bars"
_MEAN = "avg(close) OVER (bars ROWS {} PRECEDING)"
_BAND = f"{_MEAN.format(19)} {{}} 2 * stddev_pop(close) OVER (bars ROWS 19 PRECEDING)"
_FEATURES = {
    "price_change": (2, "close - lag(close) OVER bars"),
    "return_1m": (2, _RETURN.format(1)),
    "return_5m": (6, _RETURN.format(5)),
    "return_15m": (16, _RETURN.format(15)),
    "return_1h": (61, _RETURN.format(60)),
    "sma_5m": (5, _MEAN.format(4)),
    "sma_15m": (15, _MEAN.format(14)),
    "sma_1h": (60, _MEAN.format(59)),
    "bollinger_middle_20": (20, _MEAN.format(19)),
    "bollinger_upper_20": (20, _BAND.format("+")),
    "bollinger_lower_20": (20, _BAND.format("-")),
}
"""Feature -> the bars that it needs, and SQL over the bars up to its own."""
_RELATIVE_ERROR = 1e-9


def judge(db: duckdb.DuckDBPyConnection, lake: Path) -> list[TableReport]:
    """Compare our bars and the features of a lake at rest with a recount.

    Args:
        db: As ``oracle.judge`` leaves it.
        lake: Folder of the tables.
    """
    load(db, lake)
    db.execute(
        """
        CREATE OR REPLACE TABLE clock AS SELECT max(market_us) AS now_us FROM (
            SELECT market_us FROM stored_trades
            UNION ALL SELECT market_us FROM stored_quotes
        )
        """
    )
    return [_judge_bars(db), _judge_features(db)]


def load(db: duckdb.DuckDBPyConnection, lake: Path) -> None:
    """Make ``minute_bars``, ``minute_features`` and ``chosen_bars``.

    Of each minute the bar that counts is chosen: history's, else ours, else Alpaca's.
    """
    minute = "epoch_us(window_start) AS window_start_us"
    for name in ("bars", "features"):
        contract = TABLES[f"silver.{name}"]
        held = rows_of_version(db, contract, DeltaTable(lake / contract.path))
        db.execute(
            f"""
            CREATE OR REPLACE TABLE minute_{name} AS
            SELECT *, {minute} FROM ({held}) WHERE bar_length_s = 60
            """
        )
    date = TRADING_DATE.format("window_start_us")
    db.execute(
        f"""
        CREATE OR REPLACE TABLE chosen_bars AS
        WITH newest AS (
            SELECT *, CASE WHEN source = 'trades' THEN 1
                WHEN kind = 'history' THEN 0 ELSE 2 END AS rank
            FROM minute_bars
            QUALIFY 1 = row_number() OVER (
                PARTITION BY symbol, window_start_us, source
                ORDER BY known_time DESC, revision DESC
            )
        )
        SELECT symbol, window_start_us, close, volume, {date} AS trading_date
        FROM newest WHERE close IS NOT NULL
        QUALIFY 1 = row_number() OVER (
            PARTITION BY symbol, window_start_us ORDER BY rank
        )
        """
    )


def _is_closed(start_us: str) -> str:
    return f"{start_us} + {_CLOSED_AFTER_US} <= (SELECT now_us FROM clock)"


def _judge_bars(db: duckdb.DuckDBPyConnection) -> TableReport:
    columns = ", ".join(("symbol", "window_start_us", *_BAR))
    sets_no_price = " OR ".join(
        [
            f"list_has_any(codes, {list(_NO_PRICE)})",
            *(f"('{c}' IN codes AND {tape})" for c, tape in _NO_PRICE_ON.items()),
        ]
    )
    db.execute(
        f"""
        CREATE OR REPLACE TABLE held_bars AS
        SELECT {columns} FROM minute_bars WHERE source = 'trades'
        QUALIFY revision = max(revision) OVER (PARTITION BY symbol, window_start_us);
        CREATE OR REPLACE TABLE owed_bars AS
        WITH windows AS (
            SELECT DISTINCT symbol, event_time_us {_MINUTE} AS window_start_us
            FROM expected_trades
        ),
        prints AS (
            SELECT *, coalesce(conditions, []) AS codes, price_e6 / 1e6 AS usd,
                ({sets_no_price}) IS NOT TRUE AS prices
            FROM effective_trades
        ),
        built AS (
            SELECT symbol, window_start_us, count(*) AS trade_count,
                sum(size)::BIGINT AS volume,
                first(usd ORDER BY {_FEED_ORDER}) FILTER (prices) AS open,
                max(usd) FILTER (prices) AS high, min(usd) FILTER (prices) AS low,
                last(usd ORDER BY {_FEED_ORDER}) FILTER (prices) AS close,
                sum(price_e6::HUGEINT * size) FILTER (prices)
                    / (sum(size) FILTER (prices) * 1e6) AS vwap
            FROM prints GROUP BY ALL
        )
        SELECT symbol, window_start_us, open, high, low, close, vwap,
            coalesce(volume, 0) AS volume, coalesce(trade_count, 0) AS trade_count
        FROM windows LEFT JOIN built USING (symbol, window_start_us)
        WHERE (open IS NOT NULL AND {_is_closed("window_start_us")})
            OR (symbol, window_start_us) IN (
                SELECT (symbol, window_start_us) FROM held_bars
            )
        """
    )
    return compare(
        db,
        "silver.built_bars",
        expected="owed_bars",
        stored="held_bars",
        columns=columns.split(", "),
    )


def _judge_features(db: duckdb.DuckDBPyConnection) -> TableReport:
    _derive_features(db)
    _find_last_quotes(db)
    _compare_features(db)
    lost = "FROM features_beside WHERE NOT is_stored"
    copies = "FROM features_beside WHERE is_stored AND copy > 1"
    altered = "FROM features_beside WHERE is_stored AND len(differs) > 0"
    return TableReport(
        table="silver.features",
        expected=count(db, "FROM features_beside WHERE is_owed AND copy = 1"),
        stored=count(db, "FROM features_beside WHERE is_stored"),
        lost=count(db, lost),
        duplicated=count(db, copies),
        altered=count(db, altered),
        examples={
            "lost": rows(db, lost),
            "duplicated": rows(db, copies),
            "altered": rows(db, altered),
        },
    )


def _derive_features(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``owed_features``: what follows from the bars that count."""
    formulas = ", ".join(f"{sql} AS {name}" for name, (_, sql) in _FEATURES.items())
    db.execute(
        f"""
        CREATE OR REPLACE TABLE owed_features AS
        SELECT symbol, window_start_us, {formulas},
            lag(window_start_us) OVER bars AS before_us,
            trading_date = lag(trading_date) OVER bars AS continues
        FROM chosen_bars
        WINDOW bars AS (PARTITION BY symbol ORDER BY window_start_us)
        """
    )


def _find_last_quotes(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``last_quotes``: the sides of each minute's last one; of a tie, any."""
    db.execute(
        f"""
        CREATE OR REPLACE TABLE last_quotes AS
        WITH quoted AS (
            SELECT symbol, event_time_us {_MINUTE} AS window_start_us, event_time_ns,
                [bid_price, ask_price] AS sides
            FROM expected_quotes
        ),
        last AS (
            SELECT symbol, window_start_us, max(event_time_ns) AS event_time_ns
            FROM quoted GROUP BY ALL
        )
        SELECT symbol, window_start_us, list(sides) AS sides
        FROM quoted JOIN last USING (symbol, window_start_us, event_time_ns)
        GROUP BY ALL
        """
    )


def _compare_features(db: duckdb.DuckDBPyConnection) -> None:
    """Make ``features_beside``: each newest row beside what it should say.

    A withdrawn row, of a minute that has no bar any more, counts as none.
    """
    wrong = {
        "bar_count": "bar_count <> CASE WHEN before_us IS NULL THEN 1"
        " WHEN continues THEN count_before + 1 ELSE bar_count END",
        "bid_price, ask_price": "coalesce(NOT list_contains(sides, "
        "[bid_price, ask_price]), coalesce(bid_price, ask_price) IS NOT NULL)",
        "spread_bps": "spread_bps IS DISTINCT FROM CASE WHEN bid_price > 0 "
        "AND ask_price > 0 THEN (ask_price - bid_price) "
        "/ ((ask_price + bid_price) / 2) * 10000 END",
    } | {
        name: f"CASE WHEN bar_count < {bars} THEN s.{name} IS NOT NULL ELSE coalesce("
        f"abs(s.{name} - e.{name}) > abs(e.{name}) * {_RELATIVE_ERROR}, true) END"
        for name, (bars, _) in _FEATURES.items()
    }
    differs = ", ".join(
        f"CASE WHEN {sql} THEN '{name}' END" for name, sql in wrong.items()
    )
    db.execute(
        f"""
        CREATE OR REPLACE TABLE features_beside AS
        WITH newest AS (
            SELECT *, row_number() OVER (
                PARTITION BY symbol, window_start_us, revision
            ) AS copy
            FROM minute_features
            QUALIFY revision = max(revision) OVER (PARTITION BY symbol, window_start_us)
        ),
        stored AS (FROM newest WHERE bar_count > 0),
        counts AS (
            SELECT symbol, window_start_us AS before_us, bar_count AS count_before
            FROM stored WHERE copy = 1
        )
        SELECT symbol, window_start_us, s.bar_count IS NOT NULL AS is_stored,
            e.symbol IS NOT NULL AS is_owed, coalesce(copy, 1) AS copy,
            CASE WHEN e.symbol IS NULL THEN ['there is no such bar']
                ELSE list_filter([{differs}], lambda x: x IS NOT NULL) END AS differs,
            s, e, sides
        FROM stored AS s
            FULL JOIN owed_features AS e USING (symbol, window_start_us)
            LEFT JOIN counts USING (symbol, before_us)
            LEFT JOIN last_quotes USING (symbol, window_start_us)
        WHERE s.bar_count IS NOT NULL OR {_is_closed("window_start_us")}
        """
    )
