"""A replay against the bars of its recording."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.local.oracle import open_database
from infra.local.recording import compare_bars

MINUTE_US = 1_381_152_600_000_000


@pytest.fixture
def db(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_database(tmp_path) as connection:
        connection.execute(
            """
            CREATE TABLE stored_symbol_stats AS
            SELECT 'IBM' AS symbol, 60 AS window_length_s,
                unnest([make_timestamp(1381152600000000),
                        make_timestamp(1381152660000000)]) AS window_start,
                unnest([100, 50]) AS volume,
                unnest([182.0, 181.5]) AS price_min,
                unnest([183.0, 182.5]) AS price_max;
            CREATE TABLE stored_trades AS
            SELECT 'IBM' AS symbol,
                unnest([1381152601000000, 1381152659999999, 1381152660000000])
                    AS event_time_us,
                unnest([100, 30, 50]) AS size
            """
        )
        yield connection


def record(folder: Path, *bars: dict[str, Any]) -> Path:
    with gzip.open(folder / "bars.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(bar) + "\n" for bar in bars)
    return folder


def bar(minute: str, volume: int, high: float, low: float) -> dict[str, Any]:
    time = f"2013-10-07T{minute}:00Z"
    return {"T": "b", "S": "IBM", "t": time, "v": volume, "h": high, "l": low}


def test_gold_volume_and_range_are_compared_by_minute(
    db: duckdb.DuckDBPyConnection, tmp_path: Path
):
    bars = bar("13:30", 100, 183.0, 182.0), bar("13:31", 49, 182.5, 181.0)
    assert compare_bars(db, record(tmp_path, *bars)) == {
        "minutes": 2,
        "equal_volume": 1,
        "equal_volume_of_all_prints": 0,
        "equal_high_low": 1,
        "different": [
            {"symbol": "IBM", "minute": "13:31", "volume": 50, "recorded": 49}
        ],
    }


def test_a_minute_without_gold_differs(db: duckdb.DuckDBPyConnection, tmp_path: Path):
    found = compare_bars(db, record(tmp_path, bar("13:32", 1, 1.0, 1.0)))
    assert (found["minutes"], found["equal_volume"]) == (1, 0)
