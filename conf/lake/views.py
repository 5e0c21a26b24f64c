"""What readers see beside the tables: SQL of the views, for DuckDB.

Facts are never rewritten, they get a later revision; ``known_at`` shows each fact as it
was known at a market time, and ``layer.table_current`` as it is known now.
"""

from conf.lake.tables import TableContract
from conf.market.bars import MINUTE_S
from conf.market.wire import HALT_CODES

_REVISION = "revision"
_LATER = {
    "silver.corrections": (
        "match_state",
        ("list_position(['pending', 'ambiguous', 'matched'], match_state)",),
    ),
    # The market clock stands still in a replay, so it does not order a gap's states.
    "silver.gaps": (
        "state",
        ("coalesce(list_position(['opened', 'late'], state), 3)", "known_time"),
    ),
}
"""Column of the key that tells the states of one fact apart, and what orders them."""


def is_revised(contract: TableContract) -> bool:
    """Tell whether a table may have several rows of one fact, told apart in its key."""
    return contract.name in _LATER or _REVISION in contract.key


def known_at(contract: TableContract, rows: str, moment: str | None = None) -> str:
    """Return SQL that yields the newest row of each fact.

    Args:
        contract: A table whose facts are revised.
        rows: Name of the rows, or SQL in parentheses.
        moment: SQL of a market time: what became known later is left out. By default
            all that is known now.
    """
    told, order = _LATER.get(contract.name, (_REVISION, ("known_time", _REVISION)))
    fact = ", ".join(name for name in contract.key if name != told)
    newest_first = ", ".join(f"{part} DESC" for part in order)
    known = "true" if moment is None else f"known_time <= {moment}"
    return f"""
        SELECT * FROM {rows} WHERE {known} QUALIFY row_number() OVER (
            PARTITION BY {fact} ORDER BY {newest_first}
        ) = 1"""  # noqa: S608 (names of the contract)


def trades_with_quotes(trades: str, quotes: str) -> str:
    """Return SQL that yields each trade with the quote that prevailed.

    That is the last quote of the symbol at or before the trade, of the same date in New
    York: no quote outlives the night. Of several at one nanosecond, the one that the
    feed brought last. Without one, the quote's columns are null.

    Args:
        trades: Name of the rows of ``silver.trades``, or SQL in parentheses.
        quotes: The same of ``silver.quotes``.
    """
    date = "CAST(timezone('America/New_York', event_time) AS DATE)"
    return f"""
        SELECT t.* EXCLUDE (quoted_date),
               q.event_time AS quote_time,
               (t.event_time_ns - q.event_time_ns) / 1e6 AS quote_age_ms,
               q.bid_price, q.bid_size, q.ask_price, q.ask_size,
               CASE WHEN q.bid_price > 0 AND q.ask_price > 0
                    THEN (q.bid_price + q.ask_price) / 2 END AS mid_price
        FROM (SELECT *, {date} AS quoted_date FROM {trades}) t
        ASOF LEFT JOIN (
            SELECT *, {date} AS quoted_date FROM {quotes}
            QUALIFY row_number() OVER (
                PARTITION BY symbol, event_time_ns
                ORDER BY receive_time DESC, length(sequence_number) DESC,
                         sequence_number DESC, position DESC
            ) = 1
        ) q ON t.symbol = q.symbol AND t.quoted_date = q.quoted_date
           AND t.event_time_ns >= q.event_time_ns"""  # noqa: S608 (our own names)


def bars_adjusted(bars: str, splits: str) -> str:
    """Return SQL that yields bars as if every known split had been in force always.

    Prices are divided by ``split_factor`` and volumes multiplied by it: the product of
    new over old shares of the splits after the bar's date in New York.

    Args:
        bars: Name of rows of ``silver.bars``, or SQL in parentheses.
        splits: The same of splits, see ``conf.lake.splits``.
    """
    prices = ", ".join(
        f"{name} / split_factor AS {name}"
        for name in ("open", "high", "low", "close", "vwap")
    )
    return f"""
        SELECT * REPLACE ({prices}, volume * split_factor AS volume)
        FROM (
            SELECT b.*, coalesce((
                SELECT product(s.new_shares / s.old_shares) FROM {splits} s
                WHERE s.symbol = b.symbol
                  AND s.ex_date > CAST(
                      timezone('America/New_York', b.window_start) AS DATE)
            ), 1.0) AS split_factor
            FROM {bars} b
        )"""  # noqa: S608 (our own names)


def bar_differences(bars: str) -> str:
    """Return SQL that yields how bars built from trades differ from Alpaca's.

    One row for each window of which both are there; ours less theirs.

    Args:
        bars: Name of the newest rows of ``silver.bars``.
    """
    names = ("open", "high", "low", "close", "volume", "trade_count", "vwap")
    differences = ", ".join(
        f"ours.{name} - theirs.{name} AS {name}_difference" for name in names
    )
    return f"""
        SELECT symbol, window_start, bar_length_s, ours.revision AS trades_revision,
               theirs.revision AS alpaca_revision, {differences}
        FROM {bars} ours JOIN {bars} theirs USING (symbol, window_start, bar_length_s)
        WHERE ours.source = 'trades' AND theirs.source = 'alpaca'"""  # noqa: S608


def features_with_gaps(features: str, statuses: str, gaps: str) -> str:
    """Return SQL that yields features and what may explain the minutes before them.

    ``halt_time`` is when trading was halted last, ``gap_states`` are the states of the
    producer's gaps of trades, both since the bar before began; null and an empty list
    if nothing was.

    Args:
        features: Name of the newest rows of ``silver.features``.
        statuses: The same of ``silver.statuses``.
        gaps: The same of ``silver.gaps``.
    """
    codes = ", ".join(f"'{code}'" for code in sorted(HALT_CODES))
    return f"""
        WITH reaching AS (
            SELECT *, window_start - to_minutes(1 + greatest(missing_minutes, 0))
                AS since FROM {features}
        )
        SELECT f.* EXCLUDE (since),
               (SELECT max(event_time) FROM {statuses} s
                WHERE s.symbol = f.symbol AND s.status_code IN ({codes})
                  AND s.event_time >= f.since AND s.event_time < f.window_end
               ) AS halt_time,
               coalesce((SELECT list_sort(list(DISTINCT state)) FROM {gaps} g
                WHERE g.symbol IN (f.symbol, '*') AND g.channel = 'trades'
                  AND g.start_time < f.window_end
                  AND coalesce(g.end_time, f.window_end) > f.since
               ), []) AS gap_states
        FROM reaching f"""  # noqa: S608 (our own names)


def signals_with_revisions(signals: str, features: str, bars: str) -> str:
    """Return SQL that yields signals, marked where what they read was revised since.

    A signal stays as it was decided. ``is_revised`` says that its minute's features or
    bar have another revision now than the ones it read, ``revised_time`` since when, by
    the market clock: that of the newest; null if not.

    Args:
        signals: Name of the rows of ``gold.signals``.
        features: Name of the newest rows of ``silver.features``.
        bars: The same of ``silver.bars``.
    """
    return f"""
        SELECT * EXCLUDE (features_since, bar_since),
               coalesce(features_since, bar_since) IS NOT NULL AS is_revised,
               greatest(features_since, bar_since) AS revised_time
        FROM (
            SELECT s.*,
                   CASE WHEN f.revision <> s.feature_revision THEN f.known_time END
                       AS features_since,
                   CASE WHEN b.revision <> s.bar_revision THEN b.known_time END
                       AS bar_since
            FROM {signals} s
            LEFT JOIN {features} f ON f.symbol = s.symbol
                AND f.window_start = s.window_start AND f.bar_length_s = {MINUTE_S}
            LEFT JOIN {bars} b ON b.symbol = s.symbol AND b.source = s.bar_source
                AND b.window_start = s.window_start AND b.bar_length_s = {MINUTE_S}
        )"""  # noqa: S608 (our own names)
