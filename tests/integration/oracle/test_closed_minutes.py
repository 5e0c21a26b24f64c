"""The oracle on our bars and features: right ones pass, spoilt ones are found."""

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from conf.market.bars import minute_bars, to_records
from conf.market.effective_trades import Trade
from conf.market.sessions import load_sessions
from infra.local import closed_minutes, recomputed
from infra.local.comparison import TableReport
from infra.local.oracle import open_database
from silver.bar_revisions import Revision
from silver.built_bars import moment, to_row, values_of
from silver.features import recompute
from silver.last_quotes import Quote
from tests.integration.oracle.example_market import (
    MINUTE,
    MINUTE_NS,
    Lake,
    Row,
    write_table,
)

MINUTES, SYMBOL = 24, "AAPL"
NEWEST = MINUTE + timedelta(minutes=MINUTES - 1, seconds=20)
"""The last minute is open."""
MINUTES_NS = [MINUTE_NS + n * 60 * 10**9 for n in range(MINUTES)]


def trades() -> list[Trade]:
    """Return some trades a minute; odd lots are far off and set no price."""
    random = np.random.default_rng(4)
    found = []
    for start_ns in MINUTES_NS:
        for place, cents in enumerate(random.integers(19_000, 19_100, 4).tolist()):
            time_ns = start_ns + place * 5 * 10**9
            codes = ("@", "I") if place == 1 else ("@",)
            price = cents / 100 + (50 if place == 1 else 0)
            size = int(random.integers(1, 400))
            args = (
                SYMBOL,
                "VDKQ"[len(found) % 4],
                len(found),
                time_ns,
                price,
                size,
                codes,
                "C",
            )
            found.append(Trade(*args))
    return found


def quote(start_ns: int) -> Quote:
    return Quote(start_ns + 10**9, 1, 190.0, 190.0 + start_ns // 10**9 % 7 / 100)


def correct() -> Lake:
    """Return the bars and features of the closed minutes."""
    bars = minute_bars(to_records(trades(), [SYMBOL]), [SYMBOL])[:-1]
    windows = {(SYMBOL, bar.window_start_ns): bar for bar in bars}
    rows = [to_row(w, 0, values_of(bar), NEWEST) for w, bar in windows.items()]
    chosen = {
        window: Revision("trades", 0, values_of(bar), NEWEST)
        for window, bar in windows.items()
    }
    quotes = {window: quote(window[1]) for window in windows}
    found = recompute(chosen, quotes, load_sessions())
    features = [
        feature_row(window, quotes[window], row) for window, row in found.items()
    ]
    return {"silver.bars": rows, "silver.features": features}


def feature_row(window: tuple[str, int], last: Quote, found: np.void) -> Row:
    assert found.dtype.names
    values = {name: found[name].item() for name in found.dtype.names}
    start = moment(window[1])
    return {
        "symbol": SYMBOL,
        "window_start": start,
        "window_end": start + timedelta(minutes=1),
        "bar_length_s": 60,
        "revision": 0,
        "known_time": NEWEST,
        "bar_source": "trades",
        "bar_revision": 0,
        "is_warm": False,
        "bid_price": last.bid_price,
        "ask_price": last.ask_price,
        "day": start.date(),
        **{n: None if math.isnan(value) else value for n, value in values.items()},
    }


@pytest.fixture
def db(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_database(tmp_path) as db:
        load_truth(db)
        yield db


def load_truth(db: duckdb.DuckDBPyConnection) -> None:
    """Make the tables that ``oracle.judge`` would have left."""
    sold = [
        {
            **{name: getattr(each, name) for name in each.__struct_fields__},
            "event_time_us": each.event_time_ns // 1000,
            "window_start_us": each.event_time_ns // (60 * 10**9) * 60_000_000,
            "price_e6": round(each.price * 10**6),
        }
        for each in trades()
    ]
    quoted = [
        {
            "symbol": SYMBOL,
            "event_time_ns": quote(start_ns).event_time_ns - age_ns,
            "event_time_us": start_ns // 1000,
            "bid_price": 190.0 - age_ns,
            "ask_price": quote(start_ns).ask_price,
        }
        for start_ns in MINUTES_NS
        for age_ns in (1, 0)
    ]
    clock = [{"market_us": int(NEWEST.timestamp()) * 10**6}]
    tables = {
        "effective_trades": sold,
        "expected_trades": sold,
        "expected_quotes": quoted,
        "stored_trades": clock,
        "stored_quotes": clock,
    }
    for name, rows in tables.items():
        held = pa.Table.from_pylist(rows)
        db.register("held", held)
        db.execute(f"CREATE TABLE {name} AS FROM held")
        db.unregister("held")


def judged(db: duckdb.DuckDBPyConnection, lake: Lake, root: Path) -> list[TableReport]:
    for table, rows in lake.items():
        write_table(root, table, rows)
    return closed_minutes.judge(db, root)


def faults(reports: list[TableReport]) -> dict[str, tuple[int, int, int]]:
    counts = {r.table: (r.lost, r.duplicated, r.altered) for r in reports}
    return {table: found for table, found in counts.items() if any(found)}


def test_correct_minutes_have_no_fault(db, tmp_path):
    reports = judged(db, correct(), tmp_path)

    assert faults(reports) == {}
    assert [(r.expected, r.stored) for r in reports] == [(MINUTES - 1,) * 2] * 2


NAMES = {"silver.bars": "silver.built_bars", "silver.features": "silver.features"}


@pytest.mark.parametrize("table", NAMES)
def test_what_is_missing_is_lost_and_what_is_there_twice_a_copy(db, tmp_path, table):
    lake = correct()
    del lake[table][-1]
    lake[table].append(lake[table][5])

    # The features of a bar that is gone belong to no bar.
    found = faults(judged(db, lake, tmp_path))
    assert found.pop(NAMES[table]) == (1, 1, 0)
    assert found == ({"silver.features": (0, 0, 1)} if table == "silver.bars" else {})


BAR = {
    "open": 190.001,
    "high": 240.0,
    "low": 1.0,
    "volume": 1,
    "trade_count": 3,
    "vwap": 190.0000001,
}


@pytest.mark.parametrize(("column", "value"), BAR.items())
def test_a_wrong_bar_is_altered(db, tmp_path, column, value):
    lake = correct()
    lake["silver.bars"][7][column] = value

    assert faults(judged(db, lake, tmp_path)) == {"silver.built_bars": (0, 0, 1)}


FEATURES = [
    *("bar_count", "bid_price", "ask_price", "spread_bps", "price_change"),
    *("return_1m", "return_5m", "return_15m", "sma_5m", "sma_15m"),
    *("bollinger_middle_20", "bollinger_upper_20", "bollinger_lower_20"),
]


@pytest.mark.parametrize("column", FEATURES)
def test_a_wrong_feature_is_altered(db, tmp_path, column):
    lake = correct()
    row: dict[str, Any] = lake["silver.features"][-1]
    is_count = column == "bar_count"
    row[column] = row[column] + 1 if is_count else row[column] * 1.0001 + 1e-7

    assert faults(judged(db, lake, tmp_path)) == {"silver.features": (0, 0, 1)}


COMPUTED = ("ema_5m", "rsi_14", "missing_minutes")


@pytest.mark.parametrize("column", COMPUTED)
def test_the_last_bit_is_computed_again(db, tmp_path, column):
    lake = correct()
    row: dict[str, Any] = lake["silver.features"][-1]
    row[column] = math.nextafter(row[column], 1e9) if type(row[column]) is float else 3
    assert faults(judged(db, lake, tmp_path)) == {}

    found = recomputed.judge(db)
    assert (found.expected, found.stored, found.altered) == (MINUTES - 1,) * 2 + (1,)
    assert found.examples["altered"][0]["differs"] == [column]


def test_computed_again_from_the_first_bar_is_the_same(db, tmp_path):
    lake = correct()
    lake["silver.features"].append(lake["silver.features"][3])
    del lake["silver.features"][5]
    judged(db, lake, tmp_path)

    found = recomputed.judge(db)
    assert (found.stored, found.altered) == (MINUTES - 2, 0)


def test_a_feature_that_is_null_though_it_has_its_bars_is_altered(db, tmp_path):
    lake = correct()
    lake["silver.features"][-1]["sma_15m"] = None
    lake["silver.features"][2]["sma_5m"] = 190.0

    assert faults(judged(db, lake, tmp_path)) == {"silver.features": (0, 0, 2)}


def test_the_newest_revision_counts(db, tmp_path):
    lake = correct()
    for rows in lake.values():
        rows.append(rows[3] | {"revision": 1})
    lake["silver.bars"][3]["close"] = 1.0
    lake["silver.features"][3]["sma_5m"] = 1.0

    assert faults(judged(db, lake, tmp_path)) == {}


def test_an_open_minute_may_be_there_but_not_wrong(db, tmp_path):
    lake = correct()
    bars = minute_bars(to_records(trades(), [SYMBOL]), [SYMBOL])
    window = (SYMBOL, bars[-1].window_start_ns)
    lake["silver.bars"].append(to_row(window, 0, values_of(bars[-1]), NEWEST))
    assert faults(judged(db, lake, tmp_path)) == {}

    lake["silver.bars"][-1]["volume"] += 1
    (tmp_path / "again").mkdir()
    found = faults(judged(db, lake, tmp_path / "again"))
    assert found == {"silver.built_bars": (0, 0, 1)}


def test_a_withdrawn_bar_has_neither_prices_nor_features(db, tmp_path):
    lake = correct()
    start_us = lake["silver.bars"][-1]["window_start"].timestamp() * 1e6
    db.execute("DELETE FROM effective_trades WHERE window_start_us = ?", [start_us])
    window = (SYMBOL, int(start_us) * 1000)
    lake["silver.bars"].append(to_row(window, 1, values_of(None), NEWEST))
    withdrawn = dict.fromkeys(FEATURES) | {"revision": 1, "bar_count": 0}
    nulls = {
        n: None for n, v in lake["silver.features"][-1].items() if type(v) is float
    }
    lake["silver.features"].append(lake["silver.features"][-1] | nulls | withdrawn)

    assert faults(judged(db, lake, tmp_path)) == {}
    without = lake["silver.bars"][:-1]
    (tmp_path / "again").mkdir()
    found = faults(judged(db, lake | {"silver.bars": without}, tmp_path / "again"))
    assert found["silver.built_bars"] == (0, 0, 1)
