"""How long each row took: from its scheduled send time until a reader saw it.

Nothing here trusts a clock or a row of the pipeline: the truth says when a message was
due, the reader's log (``reader``) when a commit could be seen, and the files of that
commit which rows it brought.

    silver   per event: the first file that holds its row
    gold     per trade: the first row of its minute whose count includes it; the k-th
             trade due of a minute is included once trade_count is k or more (cancels
             lower the count, so they only make the proof stricter)
    tail     per trade that the live stream showed: the first event that had it

Rows that the market sent late on purpose are apart, and so is the warm-up.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import duckdb

from infra.local.kinds import QUOTES, TRADES
from infra.local.reader import Sighting

SECOND_NS = 10**9
Distribution = dict[str, float | None]

_EVENT = {
    "trades": TRADES.identity or (),
    "quotes": (*QUOTES.fields, "occurrence"),
    "bars": ("symbol", "window_start_us", "revision", "source"),
}
_LAG_WINDOW_S, _LAG_END_S = 60, 10
_RISING_SLOPE, _RISING_BY_S = 0.02, 1.0


@dataclass(frozen=True)
class Lag:
    """Age of the newest Kinesis record in bronze, sampled each second.

    Attributes:
        seconds: Median of the last ten samples.
        slope: Least-squares growth over the last minute, seconds per second.
        is_rising: The slope is more than the sawtooth of commits can make, and the
            last ten samples are a second above the first ten.
    """

    seconds: float
    slope: float
    is_rising: bool


def measure(
    db: duckdb.DuckDBPyConnection,
    lake: Path,
    sightings: Sequence[Sighting],
    *,
    warm_up_s: float,
    has_stream: bool = False,
) -> dict[str, Any]:
    """Return the latencies of a judged run, in seconds, by their name in the result.

    Args:
        db: As ``oracle.judge`` leaves it.
        lake: Folder of the tables; compacted files must still be there.
        sightings: What the reader noted.
        warm_up_s: Length of the warm-up, from the first scheduled send.
        has_stream: A listener heard the live stream; ``db`` has ``shown_trades``.
    """
    _load_delays(db, lake, sightings)
    if has_stream:
        db.execute(_TAIL_DELAYS)
    # What Kinesis stored was due nobody knows when: then there are no latencies.
    first = "SELECT coalesce(min(due_ns), 0) FROM sent"
    (start_ns,) = db.execute(first).fetchone() or (0,)
    warm = f"due_ns < {start_ns + int(warm_up_s * SECOND_NS)}"

    def tail(when: str) -> Distribution | None:
        return of("tail", when) if has_stream else None

    def of(stage: str, when: str) -> Distribution:
        return _distribution(db, f"stage = '{stage}' AND NOT late AND {when}")

    return {
        "silver_latency_s": of("silver", f"NOT {warm}"),
        "gold_latency_s": of("gold", f"NOT {warm}"),
        "late_latency_s": _distribution(db, "late AND stage <> 'tail'"),
        "tail_latency_s": tail(f"NOT {warm}"),
        "warm_up": {
            "seconds": warm_up_s,
            "silver_latency_s": of("silver", warm),
            "gold_latency_s": of("gold", warm),
            "tail_latency_s": tail(warm),
        },
    }


def lag_at(sightings: Iterable[Sighting], end_ns: int) -> Lag | None:
    """Return bronze's lag behind Kinesis in the minute before ``end_ns``.

    None if no record was in bronze by then.
    """
    commits = sorted(
        (s.seen_ns, s.newest_arrival.timestamp())
        for s in sightings
        if s.table == "bronze.records" and s.newest_arrival is not None
    )
    samples: list[tuple[int, float]] = []
    for second in range(-_LAG_WINDOW_S, 1):
        now_ns = end_ns + second * SECOND_NS
        arrived = [arrival for seen_ns, arrival in commits if seen_ns <= now_ns]
        if arrived:
            samples.append((second, now_ns / SECOND_NS - max(arrived)))
    if len(samples) < 2:
        return None
    lags = [lag for _, lag in samples]
    slope = linear_regression(*zip(*samples, strict=True)).slope
    first, last = median(lags[:_LAG_END_S]), median(lags[-_LAG_END_S:])
    is_rising = slope > _RISING_SLOPE and last - first > _RISING_BY_S
    return Lag(round(last, 3), round(slope, 4), is_rising)


def _load_delays(
    db: duckdb.DuckDBPyConnection, lake: Path, sightings: Sequence[Sighting]
) -> None:
    """Make ``delays``: one row per event and stage that a reader saw."""
    db.execute(
        "CREATE OR REPLACE TABLE delays"
        " (stage TEXT, late BOOLEAN, due_ns BIGINT, delay_s DOUBLE)"
    )
    for name, event in _EVENT.items():
        if files := _load_files(db, lake, sightings, f"silver.{name}"):
            db.execute(_silver_delays(name, event), {"files": files})
    if files := _load_files(db, lake, sightings, "gold.symbol_stats"):
        db.execute(_GOLD_DELAYS, {"files": files})


def _load_files(
    db: duckdb.DuckDBPyConnection, lake: Path, sightings: Sequence[Sighting], table: str
) -> list[str]:
    """Make ``seen`` (file, seen_ns) of one table and return its files."""
    folder = lake / table.replace(".", "/")
    seen = {
        str(folder / path): sighting.seen_ns
        for sighting in sightings
        if sighting.table == table
        for path in sighting.added
    }
    db.execute("CREATE OR REPLACE TABLE seen (filename TEXT, seen_ns BIGINT)")
    if seen:
        db.executemany("INSERT INTO seen VALUES (?, ?)", list(seen.items()))
    return list(seen)


_ROWS = (
    "read_parquet($files, filename = true, hive_partitioning = false,"
    " union_by_name = true) JOIN seen USING (filename)"
)


def _silver_delays(name: str, event: Iterable[str]) -> str:
    start = ", epoch_us(window_start::TIMESTAMPTZ) AS window_start_us"
    same = " AND ".join(
        f"r.{column} IS NOT DISTINCT FROM e.{column}" for column in event
    )
    return f"""
        INSERT INTO delays
        SELECT 'silver', any_value(is_late), any_value(due_ns),
            (min(seen_ns) - any_value(due_ns)) / 1e9
        FROM expected_{name} AS e
            JOIN (SELECT * {start if name == "bars" else ""} FROM {_ROWS}) AS r
            ON {same}
        GROUP BY e.place
    """


_GOLD_DELAYS = f"""
    INSERT INTO delays
    WITH counts AS (
        SELECT symbol, epoch_us(window_start::TIMESTAMPTZ) AS window_start_us,
            trade_count, min(seen_ns) AS seen_ns
        FROM {_ROWS} WHERE window_length_s = 60
        GROUP BY ALL
    ),
    covering AS (
        SELECT * REPLACE (min(seen_ns) OVER (
            PARTITION BY symbol, window_start_us ORDER BY trade_count DESC
        ) AS seen_ns)
        FROM counts
    ),
    counted AS (
        SELECT symbol, window_start_us, is_late, due_ns, row_number() OVER (
            PARTITION BY symbol, window_start_us ORDER BY due_ns, place
        ) AS nth
        FROM counted_trades
    )
    SELECT 'gold', is_late, due_ns, (seen_ns - due_ns) / 1e9
    FROM counted AS t ASOF JOIN covering AS c
        ON t.symbol = c.symbol AND t.window_start_us = c.window_start_us
        AND t.nth <= c.trade_count
"""


_TAIL_DELAYS = """
    INSERT INTO delays
    SELECT 'tail', is_late, due_ns, (seen_ns - due_ns) / 1e9
    FROM expected_trades JOIN shown_trades
        USING (symbol, exchange, trade_id, event_time_ns)
    WHERE seen_ns IS NOT NULL
"""


def _distribution(db: duckdb.DuckDBPyConnection, where: str) -> Distribution:
    """Return p50, p95, p99 and max of some delays; None where there are none."""
    names = ("p50", "p95", "p99", "max")
    quantiles = db.execute(
        f"""
        SELECT quantile_cont(delay_s, 0.5), quantile_cont(delay_s, 0.95),
            quantile_cont(delay_s, 0.99), max(delay_s)
        FROM delays WHERE {where}
        """
    ).fetchone()
    values = quantiles or (None,) * len(names)
    return {
        name: None if value is None else round(value, 3)
        for name, value in zip(names, values, strict=True)
    }
