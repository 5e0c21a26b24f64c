"""Is what the live stream showed what was sent, and what the tables hold?

Like the rest of the oracle it shares nothing with the pipeline: it reads the stream as
JSON, and compares with the truth, with ``silver.trades`` and, version by version, with
``gold.symbol_stats``.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
from deltalake import DeltaTable

from infra.local.comparison import EXAMPLES, count
from infra.local.stream_reader import Heard

SAMPLED_VERSIONS = 60
Row = Mapping[str, Any]
_TIMES = ("window_start", "window_end", "updated_time")
_STATS = (
    "symbol", *_TIMES, "window_length_s", "trade_count", "volume", "price_min",
    "price_max", "price_mean", "price_variance", "price_stddev", "is_final",
    "source_version",
)  # fmt: skip


@dataclass(frozen=True)
class ShownTrade:
    """A trade as the stream first showed it; outside a snapshot, with its moment."""

    symbol: str
    exchange: str
    trade_id: int
    event_time_ns: int
    price: float
    size: int
    seen_ns: int | None


@dataclass
class Shown:
    """All that a listener heard.

    Attributes:
        trades: Each trade once.
        stats: Rows by version of their table.
    """

    trades: list[ShownTrade] = field(default_factory=list)
    stats: dict[int, list[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """How many trades and versions were compared, and how many values differ."""

    trades: int
    stats_versions: int
    differences: int
    examples: list[str]


def collect(heard: Iterable[Heard]) -> Shown:
    """Return the trades and the statistics of what was heard, in its order."""
    shown = Shown()
    known = set[tuple[str, str, str, str]]()
    for event in heard:
        data = msgspec.json.decode(event.data)
        if event.topic == "stats" and data["table_version"] is not None:
            shown.stats.setdefault(int(data["table_version"]), []).extend(data["rows"])
        elif event.topic == "ticker":
            seen_ns = None if data["snapshot"] else event.seen_ns
            for symbol, summary in data["symbols"].items():
                last = summary["last"] or {}
                identity = ("exchange", "trade_id", "event_time_ns")
                key = (symbol, *(last.get(name, "") for name in identity))
                if last and key not in known:
                    known.add(key)
                    shown.trades.append(_trade(symbol, last, seen_ns))
    return shown


def judge(db: duckdb.DuckDBPyConnection, lake: Path, shown: Shown) -> Verdict:
    """Compare what was shown with the tables.

    Args:
        db: As ``oracle.judge`` leaves it; gets ``shown_trades``.
        lake: Folder of the tables.
        shown: Of ``collect``.
    """
    load_trades(db, shown.trades)
    strays = count(
        db,
        """
        FROM shown_trades AS s LEFT JOIN stored_trades AS t
            USING (symbol, exchange, trade_id, event_time_ns)
        WHERE t.price IS DISTINCT FROM s.price OR t.size IS DISTINCT FROM s.size
        """,
    )
    differing: list[str] = []
    versions = sample(sorted(shown.stats), SAMPLED_VERSIONS)
    for version in versions:
        stored = newest_stats(db, lake, version)
        found = stats_differences(shown.stats[version], stored)
        differing += [f"version {version}: {difference}" for difference in found]
    total = strays + len(differing)
    if strays:
        differing.insert(0, f"{strays} trades are not so in silver.trades")
    return Verdict(len(shown.trades), len(versions), total, differing[:EXAMPLES])


def load_trades(db: duckdb.DuckDBPyConnection, trades: Sequence[ShownTrade]) -> None:
    """Make ``shown_trades``."""
    db.execute(
        "CREATE OR REPLACE TABLE shown_trades (symbol TEXT, exchange TEXT,"
        " trade_id BIGINT, event_time_ns BIGINT, price DOUBLE, size BIGINT,"
        " seen_ns BIGINT)"
    )
    rows = [tuple(vars(trade).values()) for trade in trades]
    if rows:
        db.executemany("INSERT INTO shown_trades VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def newest_stats(
    db: duckdb.DuckDBPyConnection, lake: Path, version: int
) -> dict[str, Row]:
    """Return the newest one-minute row of each symbol at a version of the table."""
    table = DeltaTable(lake / "gold" / "symbol_stats", version=version)
    with db.cursor() as cursor:
        cursor.register("dataset", table.to_pyarrow_dataset())
        found = cursor.execute(
            f"""
            SELECT {", ".join(_STATS)} FROM dataset
            WHERE window_length_s = 60 AND trade_count > 0
            QUALIFY 1 = row_number() OVER (
                PARTITION BY symbol ORDER BY window_start DESC
            )
            """
        ).fetchall()
    return {row[0]: dict(zip(_STATS, row, strict=True)) for row in found}


def stats_differences(told: Iterable[Row], stored: Mapping[str, Row]) -> list[str]:
    """Return one sentence per value that is not the table's, to the last digit.

    Args:
        told: Rows as the stream has them: times and versions are text.
        stored: Rows of the table by symbol.
    """
    found = []
    for row in told:
        symbol = row["symbol"]
        expected = stored.get(symbol, {})
        for name in _STATS:
            value = _typed(name, row[name])
            if name not in expected or value != expected[name]:
                said = f"{symbol} {name} is {value!r}"
                found.append(f"{said}, in the table {expected.get(name)!r}")
    return found


def sample(versions: Sequence[int], most: int) -> list[int]:
    """Return at most so many versions, evenly spread, the last one among them."""
    if len(versions) <= most:
        return list(versions)
    last = len(versions) - 1
    return [versions[round(last * place / (most - 1))] for place in range(most)]


def _typed(name: str, value: Any) -> Any:  # noqa: ANN401 (a value of JSON)
    if name in _TIMES:
        return datetime.fromisoformat(value)
    return int(value) if name == "source_version" else value


def _trade(symbol: str, last: Row, seen_ns: int | None) -> ShownTrade:
    return ShownTrade(
        symbol=symbol,
        exchange=last["exchange"],
        trade_id=int(last["trade_id"]),
        event_time_ns=int(last["event_time_ns"]),
        price=last["price"],
        size=last["size"],
        seen_ns=seen_ns,
    )
