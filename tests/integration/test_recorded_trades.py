"""Recorded days: effective trades and their bars against an independent recount.

DuckDB counts the same files in SQL. Times are UTC: the sessions are 14:30-21:00 in
2018 and 13:30-20:00 in 2013.
"""

import gzip
import json
import os
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from conf.market.bars import fold, minute_bars, to_records
from conf.market.conditions import effect_of
from conf.market.effective_trades import Correction, Match, Trade, resolve
from conf.market.outliers import PRINT, new_state, score
from conf.market.rfc3339 import parse_ns
from conf.market.sessions import load_sessions
from gold import odd_bars
from gold.spikes import Context

DATA = os.environ.get("TICKHOUSE_DATA", Path(__file__).parents[3] / "shared" / "data")
TICKS = Path(DATA) / "ticks"
DAYS = ("2013-10-07", "2018-01-02-taq-XXX", "2018-01-03-taq-XXX")
MINUTES = Path(DATA) / "rl" / "minute-lean.parquet"
MINUTE_NS = 60 * 10**9
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.skipif(
    not all((TICKS / day).is_dir() for day in DAYS),
    reason="no recordings: TICKHOUSE_DATA names the folder that holds ticks",
)


@pytest.fixture(scope="module", params=DAYS)
def day(request):
    return request.param


@pytest.fixture(scope="module")
def reported(day):
    return read(day)


@pytest.fixture(scope="module")
def effective(reported):
    trades, corrections = apart(reported)
    return list(resolve(trades, corrections).apply(trades))


def read(day, files="trades-*.jsonl.gz"):
    messages = []
    for file in sorted((TICKS / day).glob(files)):
        with gzip.open(file) as lines:
            messages += map(json.loads, lines)
    return messages


def apart(messages):
    trades = [
        Trade(
            m["S"],
            m["x"],
            m["i"],
            parse_ns(m["t"]),
            m["p"],
            m["s"],
            tuple(m["c"]),
            m["z"],
        )
        for m in messages
        if m["T"] == "t"
    ]
    corrections = [
        Correction(m["S"], m["x"], parse_ns(m["t"]), m["i"], m["p"], m["s"])
        for m in messages
        if m["T"] == "x"
    ]
    return trades, corrections


def bars_of(trades):
    symbols = sorted({trade.symbol for trade in trades})
    return minute_bars(to_records(trades, symbols), symbols)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_minutes_equal_a_recount_in_sql(day, effective):
    found = {
        (bar.symbol, bar.window_start_ns): (
            bar.trade_count,
            bar.volume,
            *(bar.ohlc or (None,) * 4),
            bar.prices and bar.prices.notional_e6,
        )
        for bar in bars_of(effective)
    }
    assert found == recount(day)


def recount(day):
    """Return count, volume, open, high, low, close and notional by symbol and minute.

    In these recordings each trade has a price-setting condition or one of the few that
    take the price away, and ids ascend with the lines.
    """
    with duckdb.connect() as db:
        rows = db.execute(
            """
            WITH messages AS (
                SELECT json->>'T' AS kind, json->>'S' AS symbol, json->>'x' AS venue,
                    (json->>'i')::BIGINT AS id, (json->>'p')::DOUBLE AS p,
                    (json->>'s')::BIGINT AS s, (json->'c')::VARCHAR[] AS c,
                    (json->>'t')::TIMESTAMP_NS AS t
                FROM read_json_objects(?, format = 'newline_delimited')
            ), counted AS (
                SELECT *, epoch_ns(t) // 60000000000 * 60000000000 AS minute_ns,
                    round(p * 1e6)::BIGINT AS e6, (epoch_ns(t), id) AS place,
                    NOT list_has_any(c, ['B', 'C', 'G', 'H', 'I', 'N', 'P', 'R', 'U',
                        'V', 'W', 'Z', '4', '7', '8']) AS sets
                FROM messages AS m
                WHERE kind = 't' AND NOT list_has_any(c, ['M', 'Q', '9'])
                AND NOT EXISTS (FROM messages AS gone WHERE gone.kind = 'x'
                    AND (gone.symbol, gone.venue, gone.id, gone.p, gone.s)
                    = (m.symbol, m.venue, m.id, m.p, m.s))
            )
            SELECT symbol, minute_ns, count(*), sum(s)::BIGINT,
                arg_min(p, place) FILTER (sets), max(p) FILTER (sets),
                min(p) FILTER (sets), arg_max(p, place) FILTER (sets),
                (sum(e6::HUGEINT * s) FILTER (sets))::HUGEINT
            FROM counted GROUP BY ALL
            """,
            [str(TICKS / day / "trades-*.jsonl.gz")],
        ).fetchall()
    return {(symbol, minute): tuple(values) for symbol, minute, *values in rows}


@pytest.mark.parametrize("day", DAYS[:1], indirect=True, scope="module")
def test_minutes_agree_with_a_vendors_as_far_as_its_rules_do(day, effective):
    vendors = {(m["S"], parse_ns(m["t"])): m for m in read(day, "bars.jsonl.gz")}
    ours = {(bar.symbol, bar.window_start_ns): bar for bar in bars_of(effective)}
    agreements = dict.fromkeys(("volume", *"ohlc"), 0)
    for minute, bar in vendors.items():
        agreements["volume"] += ours[minute].volume == bar["v"]
        for name, price in zip("ohlc", ours[minute].ohlc or (None,) * 4, strict=True):
            agreements[name] += price == bar[name]
    # Why they differ: test_recorded_bars.py.
    assert len(vendors) == 2_309
    assert agreements == {
        "volume": 2_297,
        "o": 2_107,
        "h": 2_164,
        "l": 2_135,
        "c": 2_107,
    }


def test_longer_bars_hold_what_minutes_hold(effective):
    minutes = bars_of(effective)
    for length_s in (300, 900, 3_600):
        folded = fold(minutes, length_s)
        assert sum(bar.volume for bar in folded) == sum(bar.volume for bar in minutes)
        assert max(bar.prices.high_e6 for bar in folded if bar.prices) == max(
            bar.prices.high_e6 for bar in minutes if bar.prices
        )


def test_the_closing_auction_is_counted_once():
    trades, corrections = apart(read("2018-01-02-taq-XXX"))
    auction_ns = at("2018-01-02T21:00:07") + 440_000_000
    booked = [t for t in trades if t.event_time_ns == auction_ns and t.size == 443_901]
    (bar,) = bars_of(booked)

    assert len(booked) == 2
    assert corrections == []
    assert (bar.trade_count, bar.volume) == (1, 443_901)


def test_a_cancel_nine_hours_later_leaves_its_minute_without_the_trade():
    trades, (cancel,) = apart(read("2018-01-03-taq-XXX"))
    resolution = resolve(trades, [cancel])
    meant = next(trade for trade in trades if trade.trade_id == 49)
    minute_ns = at("2018-01-03T13:51:00")
    before, after = (
        {bar.window_start_ns: bar for bar in bars_of(list(known))}
        for known in (trades, resolution.apply(trades))
    )
    changed = {ns for ns in before.keys() | after.keys() if before[ns] != after.get(ns)}

    assert resolution.matches == {cancel: Match("matched", meant, (meant,))}
    assert meant.event_time_ns == minute_ns + 6_055_000_000
    assert changed == {minute_ns}
    assert (
        before[minute_ns].volume
        - (after[minute_ns].volume if minute_ns in after else 0)
        == 127_300
    )


def test_few_prints_of_a_real_day_are_outliers(day, effective, record_property):
    by_symbol = defaultdict(list)
    for trade in effective:
        if effect_of(trade.conditions, trade.tape).high_low:
            by_symbol[trade.symbol].append(trade.price)
    alarms = {}
    for symbol, prices in by_symbol.items():
        prints = np.zeros(len(prices), PRINT)
        prints["price"] = prices
        alarms[symbol] = int(score(new_state(1), prints)[1]["is_outlier"].sum())
    record_property(f"outliers_{day}", alarms)

    assert max(alarms.values()) <= 30


@pytest.mark.skipif(not MINUTES.is_file(), reason=f"no {MINUTES.name}")
def test_the_split_of_a_stock_is_no_outlier_of_its_minutes():
    minutes = parquet.read_table(MINUTES, filters=[("symbol", "=", "AAPL")]).to_pandas()
    dates = minutes["timestamp"].dt.tz_convert("America/New_York").dt.date
    prints = np.zeros(len(minutes), PRINT)
    prints["price"] = minutes["close"]
    prints["restarts"] = dates != dates.shift()
    split = np.flatnonzero(prints["restarts"])[-1]
    first_hour = slice(split, split + 60)
    known = score(new_state(1), prints)[1]["is_outlier"][1:]
    prints["restarts"][split] = False
    unknown = score(new_state(1), prints)[1]["is_outlier"][1:]

    assert prints["price"][split] < prints["price"][split - 1] / 6
    assert not known[first_hour].any()
    assert unknown[split]


@pytest.mark.skipif(not MINUTES.is_file(), reason=f"no {MINUTES.name}")
def test_the_split_of_a_stock_is_no_odd_bar():
    minutes = parquet.read_table(MINUTES, filters=[("symbol", "=", "AAPL")])
    bars = minutes.rename_columns({"timestamp": "window_start"})
    known = pc.add(bars["window_start"], pa.scalar(timedelta(seconds=61)))
    bars = bars.append_column("known_time", known).select(odd_bars.COLUMNS)
    first_trade = datetime(2014, 6, 9, 8, tzinfo=UTC)
    midnight_ns = at("2014-06-09T04:00:00")
    for splits in ({}, {"AAPL": [(midnight_ns, 7.0)]}):
        detector = odd_bars.OddBars(load_sessions(), splits)
        found = detector.find(bars, Context())["event_time"].to_pylist()
        # Beside it, what is odd on these days is found.
        assert found
        assert not [t for t in found if first_trade <= t < first_trade + 3 * HOUR]
