"""Bars and features of closed minutes, however their ticks came, equal a recount."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from conf.lake.read import connect
from conf.lake.tables import BARS, FEATURES, QUOTES, RECORDS, TRADES
from conf.market import wire
from conf.market.bars import minute_bars, to_records
from conf.market.effective_trades import Correction, resolve
from conf.market.indicators import FEATURES as VALUES
from conf.market.sessions import load_sessions
from producer.relay import HEARTBEAT_KEY
from silver.bar_revisions import Revision
from silver.built_bars import (
    SOURCE,
    nanoseconds,
    trades_of,
    values_of,
    window_of,
)
from silver.features import recompute
from silver.last_quotes import Quote
from silver.minutes import QUERY
from tests.integration.lake.layers import Layers, payload, rfc3339
from tests.integration.lake.scripted import SYMBOLS, Lake, Script, lineage

START = datetime(2026, 11, 23, 23, 55, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    yield lake
    lake.fence.release()


def newest(rows, *key):
    found = {}
    for row in sorted(rows, key=lambda row: row["revision"]):
        found[tuple(row[name] for name in key)] = row
    return found


def true_bars(script):
    trades = trades_of(
        pa.Table.from_pylist(
            [
                {name: row.get(name) for name in TRADES.column_names}
                for row in script.trades
            ],
            schema=TRADES.schema,
        )
    )
    resolution = resolve(trades, map(Correction.of, script.corrections))
    now = list(resolution.apply(trades))
    bars = minute_bars(to_records(now, SYMBOLS), SYMBOLS)
    return {
        (bar.symbol, bar.window_start_ns): values_of(bar) for bar in bars if bar.prices
    }


def true_quotes(script):
    by_window = defaultdict(list)
    for row in script.quotes:
        quote = Quote(*(row[name] for name in Quote._fields))
        by_window[window_of(row["symbol"], row["event_time_ns"])].append(quote)
    return {window: max(quotes) for window, quotes in by_window.items()}


def stored_bars(lake):
    rows = [row for row in lake.rows(BARS) if row["source"] == SOURCE]
    names = ("open", "high", "low", "close", "volume", "trade_count", "vwap")
    return {
        (symbol, nanoseconds(start)): tuple(row[name] for name in names)
        for (symbol, start), row in newest(rows, "symbol", "window_start").items()
        if row["close"] is not None
    }


def stored_features(lake):
    rows = newest(lake.rows(FEATURES), "symbol", "window_start")
    return {
        (symbol, nanoseconds(start)): as_record(row)
        for (symbol, start), row in rows.items()
        if row["bar_count"]
    }


def as_record(row):
    values = (row[name] for name in VALUES.names)
    return np.array([tuple(np.nan if v is None else v for v in values)], VALUES)[0]


@pytest.mark.parametrize("seed", range(3))
def test_what_came_in_any_way_equals_what_is_true(lake, seed):
    script = Script(seed)
    minutes, arrived = lake.start(), []
    for _, trades, quotes in script.batches(START, seconds=600):
        arrived += trades
        lake.append(TRADES, trades)
        lake.append(QUOTES, quotes)
        if script.random.random() < 0.4:
            lake.correct(arrived, script.corrections)
        if script.random.random() < 0.5:
            minutes.look()
        if script.random.random() < 0.05:
            minutes = lake.start()
    last = START + timedelta(minutes=20)
    lake.append(TRADES, [script.trade(last, last)])
    lake.correct(arrived, script.corrections)
    minutes.look()
    minutes.look(everything=True)
    script.trades.pop()

    bars = true_bars(script)
    assert stored_bars(lake) == bars
    priced = {w: Revision(SOURCE, 0, values, START) for w, values in bars.items()}
    truth = recompute(priced, true_quotes(script), load_sessions())
    found = stored_features(lake)
    assert {w: row.tobytes() for w, row in found.items()} == {
        w: row.tobytes() for w, row in truth.items()
    }
    assert len({row["revision"] for row in lake.rows(BARS)}) > 1


def test_a_quiet_minute_closes_by_the_heartbeat_and_is_as_it_was_known_then(lake):
    script = Script(seed=1)
    first = script.trade(START, START, symbol="SPY", conditions=["@"], price=100.0)
    late = script.trade(
        START + timedelta(seconds=1),
        START + 2 * MINUTE,
        symbol="SPY",
        conditions=["@"],
        price=104.0,
    )
    minutes = lake.start()
    lake.append(TRADES, [first])
    minutes.look(everything=True)
    assert lake.rows(BARS) == []

    land_heartbeat(lake, START + MINUTE + timedelta(seconds=1.5))
    minutes.look(everything=True)
    lake.append(TRADES, [late])
    land_heartbeat(lake, START + 3 * MINUTE)
    minutes.look(everything=True)
    minutes.look(everything=True)

    with connect(lake.settings.root) as tables:
        closes = "SELECT revision, close FROM silver.bars_{}"
        assert tables.sql(closes.format("current")).fetchall() == [(1, 104.0)]
        then = f"known_at(TIMESTAMPTZ '{START + 2 * MINUTE}')"
        assert tables.sql(closes.format(then)).fetchall() == [(0, 100.0)]
        known = "SELECT bar_revision FROM silver.features_{}"
        assert tables.sql(known.format(then)).fetchall() == [(0,)]


def land_heartbeat(lake, clock):
    now = datetime.now(UTC)
    row = {
        "arrival_time": now,
        "shard_id": "s",
        "sequence_number": str(clock.timestamp()),
        "partition_key": HEARTBEAT_KEY,
        "ingest_time": now,
        "data": payload(clock, b"{}", kind="heartbeat"),
        "day": now.date(),
    }
    lake.append(RECORDS, [row])


def test_a_bar_whose_trades_are_all_cancelled_is_withdrawn_and_so_are_its_features(
    lake,
):
    script = Script(seed=2)
    trades = [
        script.trade(
            START + n * MINUTE, START + n * MINUTE, symbol="SPY", conditions=[]
        )
        for n in range(5)
    ]
    minutes = lake.start()
    lake.append(TRADES, trades)
    for _ in range(2):
        minutes.look(everything=True)
    cancel = script.amend(trades[1], START + 5 * MINUTE, {})
    lake.correct(trades, [cancel])
    minutes.look(everything=True)

    withdrawn = trades[1]["event_time"].replace(second=0)
    closes = {
        row["revision"]: row["close"]
        for row in lake.rows(BARS)
        if row["window_start"] == withdrawn
    }
    assert closes == {0: trades[1]["price"], 1: None}
    told = newest(lake.rows(FEATURES), "symbol", "window_start")
    assert told["SPY", withdrawn]["bar_count"] == 0
    assert told["SPY", withdrawn + MINUTE]["missing_minutes"] == 1


def test_alpacas_bars_differ_from_ours_in_a_view_and_history_begins_the_recursion(lake):
    script = Script(seed=3)
    trade = script.trade(START, START, symbol="SPY", conditions=["@"], price=100.0)
    alpaca = [
        bar_row("SPY", START - n * MINUTE, 99.0, "history" if n else "data")
        for n in range(70)
    ]
    lake.append(TRADES, [trade, script.trade(START + 2 * MINUTE, START + 2 * MINUTE)])
    lake.append(BARS, alpaca)
    minutes = lake.start()
    minutes.look()
    minutes.look()

    with connect(lake.settings.root) as tables:
        differences = tables.sql("SELECT close_difference FROM silver.bar_differences")
        assert differences.fetchall() == [(1.0,)]
    told = newest(lake.rows(FEATURES), "symbol", "window_start")
    row = told["SPY", START]
    assert (row["bar_source"], row["bar_count"], row["is_warm"]) == (SOURCE, 70, True)
    assert told["SPY", START - MINUTE]["bar_source"] == "alpaca"


def bar_row(symbol, start, close, kind):
    return {
        "window_start": start,
        "symbol": symbol,
        "bar_length_s": 60,
        "source": "alpaca",
        "revision": 0,
        "window_end": start + MINUTE,
        **dict.fromkeys(("open", "high", "low", "close", "vwap"), close),
        "volume": 10,
        "trade_count": 1,
        "known_time": start + MINUTE,
        "day": start.date(),
        **lineage(start + MINUTE),
        "kind": kind,
    }


@pytest.mark.spark
@pytest.mark.parametrize("engine", ["embedded", "spark"])
def test_each_engine_writes_once_whatever_is_run_again(spark, tmp_path, engine):
    lake = Layers(spark, tmp_path, engine)
    trades = [
        wire.Trade("SPY", n, "V", 100.0 + n, 10, rfc3339(START + n * MINUTE), ["@"])
        for n in range(3)
    ]
    clock = START + 4 * MINUTE
    lake.land(payload(clock, *trades))
    lake.land(payload(clock, b"{}", kind="heartbeat"), key=HEARTBEAT_KEY)
    lake.run_silver()
    lake.run_minutes()
    bars, features = lake.rows(BARS), lake.rows(FEATURES)
    lake.run_minutes()
    lake.delete_checkpoint(QUERY)
    lake.run_minutes()
    lake.release()

    assert [row["close"] for row in sorted(bars, key=by_time)] == [100.0, 101.0, 102.0]
    assert [row["price_change"] for row in sorted(features, key=by_time)] == [
        None,
        1.0,
        1.0,
    ]
    assert sorted(lake.rows(BARS), key=by_time) == sorted(bars, key=by_time)
    assert sorted(lake.rows(FEATURES), key=by_time) == sorted(features, key=by_time)


def by_time(row):
    return row["window_start"]
