"""Odd bars: planted ones are found, a split, a night and a halt are none."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from conf.lake.tables import BARS
from conf.market.sessions import load_sessions
from gold.odd_bars import COLUMNS, WARM_UP_BARS, OddBars, local_outlier_factor
from gold.spikes import AFTER_HALT, Context

OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SCHEMA = pa.schema([BARS.schema.field(name) for name in COLUMNS])
NO_HALTS = Context()
PLANTED = {
    "odd_move": {"high": 1.03, "close": 1.03},
    "odd_range": {"high": 1.03, "low": 0.97},
    "odd_volume": {"volume": 100},
}
"""What is odd about a bar -> factors that make it so."""


def bars(count, *, opens=OPEN, symbol="AAPL", seed=1, price=100.0):
    """Return the bars of a walk whose volumes vary as a market's do."""
    random = np.random.default_rng(seed)
    closes = np.round(price * np.exp(np.cumsum(random.normal(0, 5e-4, count))), 2)
    rows = []
    for place, close in enumerate(closes.tolist()):
        start = closes[place - 1].item() if place else price
        up, down = np.abs(random.normal(0, 3e-4, 2)).tolist()
        rows.append(
            {
                "symbol": symbol,
                "window_start": opens + place * MINUTE,
                "known_time": opens + (place + 1) * MINUTE + timedelta(seconds=1.5),
                "open": start,
                "high": round(max(start, close) * (1 + up), 2),
                "low": round(min(start, close) * (1 - down), 2),
                "close": close,
                "volume": int(random.lognormal(8, 0.4)),
            }
        )
    return rows


def odd(rows, *, context=NO_HALTS, splits=None, cuts=()):
    """Return what is found among bars that come in batches."""
    found, detector = [], OddBars(load_sessions(), splits)
    for first, end in zip((0, *cuts), (*cuts, len(rows)), strict=True):
        batch = pa.Table.from_pylist(rows[first:end], schema=SCHEMA)
        found += detector.find(batch, context).to_pylist()
    return found


def spoilt(place=300, count=390, **factors):
    rows = bars(count)
    for name, factor in factors.items():
        rows[place][name] = type(rows[place][name])(rows[place][name] * factor)
    return rows


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_bar_is_found_and_says_what_is_odd(what):
    rows = spoilt(**PLANTED[what])
    (row, *_) = odd(rows)

    start_ns = int(rows[300]["window_start"].timestamp()) * 10**9
    assert row["event_id"] == f"bar/60/{start_ns}"
    assert (row["method"], row["event_time"]) == ("lof", rows[300]["window_start"])
    assert row["score"] > 2.5
    assert what in row["context"]
    assert (row["value"], row["expected"]) == (rows[300]["close"], rows[299]["close"])


@pytest.mark.parametrize("what", PLANTED)
def test_of_a_hundred_planted_bars_nearly_all_are_found(what, record_property):
    found = 0
    for seed in range(20):
        rows = bars(390, seed=seed)
        places = range(100, 390, 60)
        for place in places:
            for name, factor in PLANTED[what].items():
                rows[place][name] = type(rows[place][name])(rows[place][name] * factor)
        times = {row["event_time"] for row in odd(rows)}
        found += sum(rows[place]["window_start"] in times for place in places)
    record_property(f"recall of {what}", found / 100)

    assert found >= 95


def test_an_ordinary_session_has_at_most_one_odd_bar():
    alarms = [len(odd(bars(390, seed=seed))) for seed in range(20)]

    assert sum(alarms) / len(alarms) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_no_cut_and_no_restart_changes_a_byte(seed):
    rows = spoilt(volume=100) + bars(390, symbol="SPY", seed=seed)
    rows.sort(key=lambda row: row["known_time"])
    cuts = sorted(np.random.default_rng(seed).integers(0, len(rows), 9).tolist())
    again = OddBars(load_sessions())
    half = pa.Table.from_pylist(rows[:400], schema=SCHEMA)
    again.learn(half)
    rest = pa.Table.from_pylist(rows[400:], schema=SCHEMA)

    whole = odd(rows)
    assert whole
    assert odd(rows, cuts=cuts) == whole
    assert again.find(rest, NO_HALTS).to_pylist() == whole


def test_a_split_over_night_is_no_odd_bar():
    before = bars(390)
    after = bars(390, opens=OPEN + timedelta(days=1), price=before[-1]["close"] / 50)
    for row in after:
        row["volume"] *= 50
    # The first bar opens where the last one closed, as some vendors build theirs.
    after[0]["open"] = after[0]["high"] = before[-1]["close"]
    ex_date_ns = int(datetime(2026, 11, 24, 5, tzinfo=UTC).timestamp()) * 10**9
    rows = before + after

    assert odd(rows, splits={"AAPL": [(ex_date_ns, 50.0)]}) == []
    # Unknown, the night hides the price still, but not the volume.
    assert {what for row in odd(rows) for what in row["context"]} == {"odd_volume"}


def test_a_halt_is_context_and_no_move_reaches_over_it():
    rows = bars(300) + [
        row | {name: row[name] * 1.2 for name in ("open", "high", "low", "close")}
        for row in bars(390)[300:]
    ]
    halted_ns = int(rows[300]["window_start"].timestamp()) * 10**9 - 1
    context = Context(halts={"AAPL": [halted_ns]})

    assert [row["event_time"] for row in odd(rows)] == [rows[300]["window_start"]]
    assert odd(rows, context=context) == []
    rows[303]["volume"] *= 100
    (row,) = odd(rows, context=context)
    assert row["context"] == ["odd_volume", AFTER_HALT]


def test_parts_of_the_day_are_not_compared():
    morning = bars(WARM_UP_BARS * 3, opens=OPEN - 3 * timedelta(hours=1))
    opened = bars(100, price=morning[-1]["close"])
    for row in opened:
        row["volume"] *= 100

    assert odd(morning + opened) == []


def test_too_few_bars_and_late_bars_are_not_judged():
    rows = spoilt(place=WARM_UP_BARS - 1, count=100, volume=200)
    assert odd(rows) == []

    rows = spoilt(volume=200)
    late = rows.pop(300)
    late["known_time"] = rows[-1]["known_time"] + MINUTE
    assert odd([*rows, late]) == []


def test_equal_bars_are_ordinary_and_a_tick_beside_them_too():
    flat = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "volume": 100}
    rows = [row | flat for row in bars(300)]
    rows[200] |= {"high": 10.01}

    assert odd(rows) == []


def test_a_point_of_an_even_line_has_a_factor_of_one():
    line = np.array([[x, 0.0] for x in range(30)])

    assert local_outlier_factor(np.vstack([line, [[14.5, 0.0]]])) == pytest.approx(
        1, abs=0.1
    )
    assert local_outlier_factor(np.vstack([line, [[14.5, 30.0]]])) > 5


def test_known_rows_fit_the_table():
    (row, *_) = odd(spoilt(volume=100))

    assert row["day"] == date(2026, 11, 23)
    assert row["market_time"] == row["event_time"] + timedelta(seconds=61.5)
