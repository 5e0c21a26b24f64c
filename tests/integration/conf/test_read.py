"""The row reader against tables that deltalake itself wrote."""

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import TableNotFoundError

from conf.lake.create import ensure_tables
from conf.lake.read import connect, refresh, scan
from conf.lake.roots import table_uri
from conf.lake.tables import (
    CORRECTIONS,
    GAPS,
    REJECTS,
    TABLES,
    TRADES,
    TableContract,
)

MONDAY = datetime(2026, 11, 23, 14, 30, 0, 123456, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
_SAMPLES: dict[pa.DataType, object] = {
    pa.string(): "x",
    pa.list_(pa.string()): ["@", "I"],
    pa.int32(): 1,
    pa.int64(): 2**62,
    pa.float64(): 0.1,
}


def trade(event_time: datetime, **fields: object) -> dict[str, object]:
    sample = {
        column.name: MONDAY
        if pa.types.is_timestamp(column.type)
        else _SAMPLES.get(column.type)
        for column in TRADES.columns
    }
    day = event_time.date()
    return {**sample, "event_time": event_time, "day": day, **fields}


def write(root: str, contract: TableContract, *rows: dict[str, object]) -> None:
    table = pa.Table.from_pylist(list(rows), schema=contract.schema)
    write_deltalake(table_uri(root, contract), table, mode="append")


@pytest.fixture
def root(tmp_path: Path) -> str:
    ensure_tables(str(tmp_path), [TRADES, REJECTS])
    return str(tmp_path)


def test_rows_come_back_as_they_were_written(root: str):
    rows = [trade(MONDAY, trade_id=1, tape=None), trade(TUESDAY, trade_id=2)]
    write(root, TRADES, *rows)

    found = scan(root, TRADES)

    assert found.schema == TRADES.schema
    assert sorted(found.to_pylist(), key=lambda row: row["trade_id"]) == rows


def test_columns_rows_and_version_can_be_chosen(root: str):
    write(root, TRADES, trade(MONDAY, trade_id=1))
    write(root, TRADES, trade(MONDAY, trade_id=2), trade(TUESDAY, trade_id=3))

    tuesday = scan(
        root, TRADES, columns=["trade_id", "day"], where="day = DATE '2026-11-24'"
    )
    before = scan(root, TRADES, columns=["trade_id"], version=1)

    assert tuesday.to_pylist() == [{"trade_id": 3, "day": date(2026, 11, 24)}]
    assert before.to_pylist() == [{"trade_id": 1}]


def test_an_empty_table_has_its_columns(root: str):
    assert scan(root, REJECTS).schema == REJECTS.schema
    assert connect(root).sql("SELECT * FROM silver.rejects").columns == list(
        REJECTS.column_names
    )


def test_a_missing_table_is_an_error_to_scan_and_no_view(root: str):
    with pytest.raises(TableNotFoundError):
        scan(root, TABLES["gold.symbol_stats"])
    with connect(root) as lake, pytest.raises(duckdb.CatalogException):
        lake.sql("SELECT * FROM gold.symbol_stats")


def test_views_stay_on_their_version_until_refreshed(root: str):
    write(root, TRADES, trade(MONDAY))
    with connect(root) as lake:
        write(root, TRADES, trade(TUESDAY))
        before = lake.sql("SELECT count(*) FROM silver.trades").fetchall()
        refresh(lake, root)
        after = lake.sql("SELECT count(*) FROM silver.trades").fetchall()

    assert (before, after) == ([(1,)], [(2,)])


def test_times_are_utc_whatever_the_machine_says(
    root: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TZ", "America/New_York")
    write(root, TRADES, trade(MONDAY))
    with connect(root) as lake:
        hour = lake.sql("SELECT hour(event_time) FROM silver.trades").fetchall()

    assert hour == [(14,)]


def test_a_parquet_time_without_zone_is_read_as_utc(root: str, tmp_path: Path):
    # Spark's own writer stores INT96: an instant in UTC that says no zone.
    write(root, TRADES, trade(MONDAY))
    (path,) = (tmp_path / "silver" / "trades").glob("day=*/*.parquet")
    table = pa.parquet.read_table(path, partitioning=None)
    pa.parquet.write_table(table, path, use_deprecated_int96_timestamps=True)

    assert scan(root, TRADES, columns=["event_time"]).to_pylist() == [
        {"event_time": MONDAY}
    ]


def states(root: str, contract: TableContract, *states: dict[str, object]) -> None:
    sample = {column.name: _SAMPLES.get(column.type) for column in contract.columns}
    times = {
        column.name: MONDAY
        for column in contract.columns
        if pa.types.is_timestamp(column.type)
    }
    ensure_tables(root, [contract])
    write(
        root,
        contract,
        *({**sample, **times, "day": MONDAY.date(), **s} for s in states),
    )


def test_the_current_view_shows_the_newest_state_of_each_correction(root: str):
    rows = [
        {"message_hash": 1, "match_state": "matched"},
        {"message_hash": 1, "match_state": "pending"},
        {"message_hash": 2, "match_state": "pending"},
        {"message_hash": 3, "match_state": "pending"},
        {"message_hash": 3, "match_state": "ambiguous"},
    ]
    states(root, CORRECTIONS, *rows)
    with connect(root) as lake:
        found = lake.sql(
            "SELECT message_hash, match_state FROM silver.corrections_current"
        ).fetchall()

    assert dict(found) == {1: "matched", 2: "pending", 3: "ambiguous"}
    assert len(found) == 3


def test_the_current_view_shows_the_last_state_of_each_gap(root: str):
    # the market clock stands still in a replay: it does not order states
    rows = [
        {"gap_id": "a", "state": "opened"},
        {"gap_id": "b", "state": "late"},
        {"gap_id": "b", "state": "opened"},
        {"gap_id": "c", "state": "lost"},
        {"gap_id": "c", "state": "late"},
        {"gap_id": "c", "state": "opened"},
    ]
    states(root, GAPS, *rows)
    with connect(root) as lake:
        found = lake.sql("SELECT gap_id, state FROM silver.gaps_current").fetchall()

    assert sorted(found) == [("a", "opened"), ("b", "late"), ("c", "lost")]
