"""Closed days as Parquet: equal to the table, restated when it changes."""

import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable

from conf.lake.read import scan
from conf.lake.tables import SYMBOL_STATS
from gold.export import export_closed_days
from tests.integration.research.lakes import OPEN, delta, row, write

DAY = timedelta(days=1)
MONDAY, TUESDAY = "2026-11-23", "2026-11-24"
SYMBOLS = ("AAPL", "BRK.B", "TRUE", "BTC/USD")
ORDER = "ORDER BY symbol, window_start"


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Two closed days and an open one."""
    stats = [
        row(SYMBOL_STATS, OPEN + day * DAY + minute, symbol=symbol, price_mean=1 / 3)
        for day in range(3)
        for minute in (timedelta(0), timedelta(hours=1))
        for symbol in SYMBOLS
    ]
    write(tmp_path, SYMBOL_STATS, *stats)
    return str(tmp_path)


def exported(root: str, day: str) -> list[dict]:
    """Read the folders as a tool would that has never heard of Delta."""
    names = ", ".join(SYMBOL_STATS.column_names)
    files = f"{root}/export/symbol_stats/day={day}/*/*.parquet"
    with duckdb.connect() as connection:
        found = connection.sql(
            f"SELECT {names} FROM read_parquet('{files}', hive_partitioning=true, "  # noqa: S608
            f"hive_types={{'day': DATE, 'symbol': VARCHAR}}) {ORDER}"
        )
        rows = found.to_arrow_table().cast(SYMBOL_STATS.schema)
    picked: list[dict] = rows.to_pylist()
    return picked


def stored(root: str, day: str) -> list[dict]:
    rows = scan(root, SYMBOL_STATS, where=f"day = DATE '{day}'").to_pylist()
    return sorted(rows, key=lambda r: (r["symbol"], r["window_start"]))


def test_closed_days_equal_the_table_and_the_open_one_waits(root: str):
    assert export_closed_days(root) == [MONDAY, TUESDAY]

    for day in (MONDAY, TUESDAY):
        assert exported(root, day) == stored(root, day)
    folders = Path(root, "export", "symbol_stats").glob("day=*")
    assert sorted(f.name for f in folders) == [f"day={MONDAY}", f"day={TUESDAY}"]
    assert export_closed_days(root) == []


def test_a_restated_day_is_written_again_and_no_other(root: str):
    export_closed_days(root)
    untouched = Path(root, "export/symbol_stats", f"day={TUESDAY}/symbol=AAPL")
    before = (untouched / "stats.parquet").stat().st_mtime_ns
    delta(root, SYMBOL_STATS).update(
        {"trade_count": "7"}, predicate=f"day = '{MONDAY}' AND symbol = 'AAPL'"
    )
    delta(root, SYMBOL_STATS).delete(f"day = '{MONDAY}' AND symbol = 'TRUE'")

    assert export_closed_days(root) == [MONDAY]
    assert exported(root, MONDAY) == stored(root, MONDAY)
    assert {r["trade_count"] for r in exported(root, MONDAY)} == {1, 7}
    assert (untouched / "stats.parquet").stat().st_mtime_ns == before
    assert not list(Path(root).glob("export/**/.*.new"))


def test_a_day_that_the_table_dropped_stays(root: str):
    export_closed_days(root)
    kept = exported(root, MONDAY)
    delta(root, SYMBOL_STATS).delete(f"day = '{MONDAY}'")

    assert export_closed_days(root) == []
    assert exported(root, MONDAY) == kept


def test_an_export_that_died_is_made_again(root: str):
    export_closed_days(root)
    state = Path(root, "export", "symbol_stats", "_days.json")
    version = DeltaTable(f"{root}/gold/symbol_stats").version()
    assert json.loads(state.read_text())[MONDAY]["version"] == version
    state.unlink()

    assert export_closed_days(root) == [MONDAY, TUESDAY]
