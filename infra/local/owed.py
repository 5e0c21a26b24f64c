"""What the lake owes after faults: all that was sent, and all that was missed.

The simulator keeps what a subscriber was not handed. Trades, quotes and bars of it are
in its history, so the lake owes them like the rest. What no history has (a message that
means nothing, a status, a price band, a day bar) may be missing only where the stream
itself names the time as a gap.
"""

from pathlib import Path

import duckdb

from infra.local import truth
from infra.local.truth import MALFORMED, REJECT_KEY

_FILES = ("messages-*.tsv", "missed-*.tsv", "injected-*.tsv")
_UNTOLD = "'s', 'l', 'd'"
"""Types of which Alpaca keeps no history."""

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
