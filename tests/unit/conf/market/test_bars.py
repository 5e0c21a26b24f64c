"""Bars of effective trades: exact, the same in any cut, and the simulator's own."""

import itertools
import json
from datetime import UTC, datetime
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.market.bars import fold, merge, minute_bars, to_records
from conf.market.conditions import effect_of
from conf.market.effective_trades import Correction, Trade, resolve
from conf.market.rfc3339 import parse_ns
from conf.settings import SimulatorSettings
from producer.simulator.market import Market

SYMBOLS = ("AAPL", "MSFT")
MINUTE_NS = 60 * 10**9
START_NS = int(datetime(2026, 11, 23, 23, 58, tzinfo=UTC).timestamp()) * 10**9


def trade(price, size=100, *, at_ns=0, trade_id=1, **more):
    return Trade("AAPL", "V", trade_id, START_NS + at_ns, price, size, **more)


def bars_of(trades, symbols=SYMBOLS):
    return minute_bars(to_records(list(trades), symbols), symbols)


def by_key(bars):
    return sorted(bars, key=lambda bar: bar.key)


# Four minutes around midnight UTC, few nanoseconds, few ids: ties are common.
trades = st.lists(
    st.builds(
        Trade,
        symbol=st.sampled_from(SYMBOLS),
        exchange=st.sampled_from("PV"),
        trade_id=st.integers(1, 3),
        event_time_ns=st.builds(
            lambda minute, ns: START_NS + minute * MINUTE_NS + ns,
            st.integers(0, 3),
            st.integers(0, 2),
        ),
        price=st.integers(1, 50 * 10**10).map(
            lambda ten_thousandths: ten_thousandths / 1e4
        ),
        size=st.integers(0, 10**12),
        conditions=st.sampled_from([None, (" ",), (" ", "I"), ("6",), ("M",), ("Z",)]),
        tape=st.sampled_from(["A", "C", None]),
    ),
    max_size=40,
    unique_by=lambda each: each.key,
)


@given(trades)
def test_equal_to_a_slow_count(given_trades):
    assert [described(bar) for bar in bars_of(given_trades)] == slow_count(given_trades)


def described(bar):
    return (
        bar.symbol,
        bar.window_start_ns,
        bar.trade_count,
        bar.volume,
        bar.ohlc,
        bar.vwap,
    )


def slow_count(given_trades):
    def minute_of(each):
        return each.symbol, each.event_time_ns // MINUTE_NS * MINUTE_NS

    rows = []
    counted = [t for t in given_trades if effect_of(t.conditions, t.tape).volume]
    for minute in sorted({minute_of(each) for each in counted}):
        prints = [each for each in counted if minute_of(each) == minute]
        setting = sorted(
            (each for each in prints if effect_of(each.conditions, each.tape).high_low),
            key=lambda each: (each.event_time_ns, each.trade_id, each.exchange),
        )
        prices = [each.price for each in setting]
        ohlc = (prices[0], max(prices), min(prices), prices[-1]) if prices else None
        volume = sum(each.size for each in setting)
        notional = sum(
            Fraction(round(t.price * 10**6), 10**6) * t.size for t in setting
        )
        vwap = float(notional / volume) if volume else None
        total = sum(each.size for each in prints)
        rows.append((*minute, len(prints), total, ohlc, vwap))
    return rows


@given(trades, st.randoms())
def test_no_cut_and_no_order_changes_a_digit(given_trades, shuffle):
    batches = [[] for _ in range(4)]
    for each in shuffle.sample(given_trades, len(given_trades)):
        shuffle.choice(batches).append(each)
    parts = [bar for batch in batches for bar in bars_of(batch)]
    shuffle.shuffle(parts)

    assert by_key(merge(parts)) == bars_of(given_trades)


@pytest.mark.parametrize("length_s", [300, 900, 3_600])
@given(given_trades=trades)
def test_longer_bars_are_those_of_all_their_trades(given_trades, length_s):
    length_ns = length_s * 10**9
    folded = by_key(fold(bars_of(given_trades), length_s))
    for bar in folded:
        inside = [
            each
            for each in given_trades
            if (each.symbol, each.event_time_ns // length_ns * length_ns) == bar.key[:2]
        ]
        # one minute with their order is the window with their order
        squeezed = [
            msgspec.structs.replace(
                each,
                event_time_ns=START_NS
                + (each.event_time_ns - START_NS) % 10**10
                + (each.event_time_ns - START_NS) // MINUTE_NS * 10**10,
            )
            for each in inside
        ]
        (expected,) = bars_of(squeezed)
        assert described(bar)[2:] == described(expected)[2:]
    assert sum(b.volume for b in folded) == sum(b.volume for b in bars_of(given_trades))


def test_prints_of_one_nanosecond_are_ordered_by_id():
    (bar,) = bars_of([trade(2.0, trade_id=2), trade(3.0, trade_id=3), trade(1.0)])

    assert bar.ohlc == (1.0, 3.0, 1.0, 3.0)


def test_a_minute_of_odd_lots_has_volume_and_no_prices():
    (bar,) = bars_of([trade(1.0, 99, conditions=("@", "I"), tape="C")])

    assert (bar.trade_count, bar.volume, bar.ohlc, bar.vwap) == (1, 99, None, None)


def test_the_high_of_an_open_minute_is_cancelled_and_trading_goes_on():
    first = [trade(10.0, trade_id=1), high := trade(99.0, trade_id=2, at_ns=1)]
    later = [trade(10 + n / 100, trade_id=3 + n, at_ns=2 + n) for n in range(100)]
    cancel = Correction("AAPL", "V", START_NS + 2, 2, high.price, high.size)
    (before,) = bars_of(first)
    (after,) = bars_of(resolve(first + later, [cancel]).apply(first + later))

    assert before.ohlc == (10.0, 99.0, 10.0, 99.0)
    assert after.ohlc == (10.0, 10.99, 10.0, 10.99)
    assert (after.trade_count, after.volume) == (101, 10_100)


def test_no_trades_make_no_bars():
    assert bars_of([]) == []


def test_the_simulated_market_reports_the_same_bars():
    chosen = {"rate_per_s": 300, "repeated_share": 0.02, "out_of_order_share": 0.02}
    market = Market(SimulatorSettings(**chosen), list(SYMBOLS))
    batches = market.batches(START_NS)
    texts = itertools.chain.from_iterable(batch.texts for batch in batches)
    sent, reports = {}, {"b": 0, "u": 0}
    for message in map(json.loads, itertools.islice(texts, 60_000)):
        if message["T"] == "t":
            told = trade_of(message)
            sent.setdefault(told.event_time_ns // MINUTE_NS, {})[told.key] = told
        elif message["T"] in reports:
            start_ns = parse_ns(message["t"])
            bars = bars_of(sent[start_ns // MINUTE_NS].values())
            (bar,) = (bar for bar in bars if bar.symbol == message["S"])
            reports[message["T"]] += 1
            assert bar.ohlc == tuple(message[key] for key in "ohlc")
            assert (bar.volume, bar.trade_count) == (message["v"], message["n"])
            assert round(bar.vwap, 6) == message["vw"]
    assert reports["b"] >= 4
    assert reports["u"] >= 1


def trade_of(message):
    return Trade(
        message["S"],
        message["x"],
        message["i"],
        parse_ns(message["t"]),
        message["p"],
        message["s"],
        message.get("c") and tuple(message["c"]),
        message.get("z"),
    )
