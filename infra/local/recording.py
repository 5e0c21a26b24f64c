"""A replay against the bars of its recording: somebody else's arithmetic."""

from pathlib import Path
from typing import Any

import duckdb

from infra.local.comparison import fetch

BARS_FILE = "bars.jsonl.gz"


def compare_bars(db: duckdb.DuckDBPyConnection, recording: Path) -> dict[str, Any]:
    """Count the recorded minutes with which gold agrees.

    The volume must agree but for a few known minutes (docs/how-to/measure.md); the sum
    of all prints, official prices included, agrees in fewer and is given beside it.

    Args:
        db: As ``oracle.judge`` leaves it.
        recording: Folder with ``bars.jsonl.gz``.
    """
    db.execute(
        """
        CREATE OR REPLACE TABLE recorded_minutes AS
        SELECT line ->> '$.S' AS symbol,
            epoch_us((line ->> '$.t')::TIMESTAMP) AS window_start_us,
            (line ->> '$.v')::BIGINT AS volume,
            (line ->> '$.h')::DOUBLE AS high, (line ->> '$.l')::DOUBLE AS low
        FROM read_csv(
            $file, columns = {'line': 'VARCHAR'}, header = false, auto_detect = false,
            delim = chr(1), quote = '', escape = ''
        )
        """,
        {"file": str(recording / BARS_FILE)},
    )
    minutes = fetch(db, _JOINED)
    different = [m for m in minutes if m["volume"] != m["recorded"]]
    return {
        "minutes": len(minutes),
        "equal_volume": len(minutes) - len(different),
        "equal_volume_of_all_prints": sum(
            m["all_prints"] == m["recorded"] for m in minutes
        ),
        "equal_high_low": sum(m["high_low_agree"] for m in minutes),
        "different": [
            {name: m[name] for name in ("symbol", "minute", "volume", "recorded")}
            for m in different
        ],
    }


_JOINED = """
    WITH gold AS (
        SELECT symbol, epoch_us(window_start) AS window_start_us, volume,
            price_min, price_max
        FROM stored_symbol_stats WHERE window_length_s = 60
    ),
    prints AS (
        SELECT symbol, event_time_us // 60000000 * 60000000 AS window_start_us,
            sum(size) AS all_prints
        FROM stored_trades GROUP BY ALL
    )
    SELECT symbol, strftime(make_timestamp(window_start_us), '%H:%M') AS minute,
        gold.volume, r.volume AS recorded, all_prints,
        coalesce(price_max = high AND price_min = low, false) AS high_low_agree
    FROM recorded_minutes AS r
        LEFT JOIN gold USING (symbol, window_start_us)
        LEFT JOIN prints USING (symbol, window_start_us)
    ORDER BY symbol, minute
"""
