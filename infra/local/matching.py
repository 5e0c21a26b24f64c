"""Which trade each correction and cancel of the truth means, found by SQL of its own.

A message names a trade of its trading date by symbol, venue, id, price and size. What
corrects a trade can be corrected in turn, and leads back to the first one.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

import duckdb

STATE_COLUMNS = ("match_state", "trade_event_time_ns")
_NAME = "trading_date, symbol, exchange, trade_id, price, size"
# The night from 20:00 in New York belongs to the next date.
TRADING_DATE = (
    "(timezone('America/New_York', make_timestamp({})"
    " AT TIME ZONE 'UTC') + INTERVAL 4 HOUR)::DATE"
)
_DATED = f"{TRADING_DATE.format('event_time_us')} AS trading_date"


def expect_states(db: duckdb.DuckDBPyConnection) -> None:
    """Give each row of ``expected_corrections`` its states.

    Each message is pending when it comes; once all is in, it is matched if it means
    one trade, ambiguous if it means several.
    """
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE prints AS
        WITH RECURSIVE
        corrections AS (
            SELECT *, {_DATED} FROM expected_corrections
            WHERE action = 'correct'
        ),
        prints AS (
            SELECT {_DATED}, symbol, exchange, trade_id, price,
                size, event_time_ns AS root_ns
            FROM expected_trades
            UNION
            SELECT trading_date, symbol, exchange, corrected_trade_id, corrected_price,
                corrected_size, root_ns
            FROM corrections JOIN prints USING ({_NAME})
        )
        SELECT * FROM prints
        """
    )
    db.execute(
        f"""
        CREATE OR REPLACE TABLE expected_corrections AS
        WITH dated AS (
            SELECT *, {_DATED} FROM expected_corrections
        ),
        meant AS (
            SELECT place, count(*) AS roots, min(root_ns) AS root_ns
            FROM dated JOIN prints USING ({_NAME}) GROUP BY place
        )
        SELECT *, 'pending' AS match_state, NULL::BIGINT AS trade_event_time_ns
        FROM expected_corrections
        UNION ALL BY NAME
        SELECT e.*,
            CASE WHEN roots = 1 THEN 'matched' ELSE 'ambiguous' END AS match_state,
            CASE WHEN roots = 1 THEN root_ns END AS trade_event_time_ns
        FROM expected_corrections AS e JOIN meant USING (place)
        """
    )
