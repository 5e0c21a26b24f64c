"""What the lake owes after faults: all that was sent, and all that was missed.

The simulator keeps what a subscriber was not handed. Trades, quotes and bars of it are
in its history, so the lake owes them like the rest. What no history has (a message that
means nothing, a status, a price band, a day bar) may be missing only where the stream
itself names the time as a gap.
"""

from pathlib import Path

import duckdb

from infra.local import truth
from infra.local.truth import MALFORMED, NORMAL, REJECT_KEY

_FILES = ("messages-*.tsv", "missed-*.tsv", "injected-*.tsv")
_UNTOLD = "'s', 'l', 'd'"
"""Types of which Alpaca keeps no history."""

_STATE = ("S", "t", "o", "h", "l", "c", "v", "n", "vw")
_KEYS = ", ".join(f"'$.{key}'" for key in _STATE)
_BAR = f"""
    text ->> '$.T' AS type,
    json_extract_string(text, ['$.S', '$.t']) AS minute,
    json_extract_string(text, [{_KEYS}]) AS state
"""
_IS_BAR = "CASE WHEN json_valid(text) THEN text ->> '$.T' IN ('b', 'u') END"

_SLACK_NS = 1_000_000_000
"""How far an interval of the gap ledger may be from the truth."""


def load(db: duckdb.DuckDBPyConnection, truth_dir: Path) -> None:
    """Make ``sent`` of ``truth`` from what was sent and what was missed, as due."""
    truth.load_sent(db, truth_dir, *_FILES)
    db.execute(
        """
        CREATE OR REPLACE TABLE sent AS
        SELECT * REPLACE (row_number() OVER (ORDER BY due_ns, place) AS place) FROM sent
        """
    )


def forgive_what_is_named(db: duckdb.DuckDBPyConnection) -> None:
    """Remove from ``sent`` what no history has, where the ledger names the time.

    Args:
        db: Holds ``sent`` and, of ``stream_contents``, ``lines``.
    """
    key = REJECT_KEY.format("text")
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE outages AS
        SELECT DISTINCT
            epoch_ns((text ->> '$.from')::TIMESTAMP_NS) AS from_ns,
            epoch_ns((text ->> '$.to')::TIMESTAMP_NS) AS to_ns
        FROM lines WHERE kind = 'gap' AND text ->> '$.to' IS NOT NULL;
        DELETE FROM sent
        WHERE CASE WHEN flag = '{MALFORMED}' THEN true
                ELSE text ->> '$.T' IN ({_UNTOLD}) END
            AND {key} NOT IN (SELECT {key} FROM lines)
            AND EXISTS (
                SELECT 1 FROM outages
                WHERE due_ns BETWEEN from_ns - {_SLACK_NS} AND to_ns
            )
        """  # noqa: S608 (our own names and numbers)
    )


def follow_restated_minutes(db: duckdb.DuckDBPyConnection) -> None:
    """Put into ``sent`` what history made of minutes that were missed and restated.

    A state that is not stored is not owed once a later one of its minute is; a later
    one that is stored as the bar takes the bar's place.

    Args:
        db: Holds ``sent`` and, of ``stream_contents``, ``lines``.
    """
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE states AS
        SELECT place, due_ns, {_BAR} FROM sent
        WHERE {_IS_BAR} AND flag <> '{MALFORMED}';
        CREATE OR REPLACE TEMP TABLE held AS
        SELECT DISTINCT {_BAR}, text FROM lines
        WHERE kind IN ('data', 'backfill') AND {_IS_BAR};
        DELETE FROM sent WHERE place IN (
            SELECT place FROM states AS s
            WHERE (type, state) NOT IN (SELECT (type, state) FROM held)
                AND place <= (
                    SELECT max(place) FROM states AS later
                    WHERE later.minute = s.minute
                        AND state IN (SELECT state FROM held)
                )
        );
        INSERT INTO sent BY NAME
        SELECT place, due_ns, '{NORMAL}' AS flag, text
        FROM states JOIN (FROM held WHERE type = 'b') AS bars USING (minute, state)
        WHERE states.type = 'u' AND minute NOT IN (
            SELECT minute FROM states
            WHERE type = 'b' AND place IN (SELECT place FROM sent)
        )
        QUALIFY row_number() OVER (PARTITION BY minute ORDER BY place) = 1
        """  # noqa: S608 (our own names)
    )


def drop_earlier_bars(db: duckdb.DuckDBPyConnection) -> None:
    """Remove from ``stored_bars`` history's minutes of before the market began.

    A gap's backfill looks back further than the gap; what it finds there is no part of
    the truth.
    """
    db.execute(
        """
        DELETE FROM stored_bars WHERE kind = 'backfill'
            AND window_end_us * 1000 <= (SELECT min(due_ns) FROM sent)
        """
    )
