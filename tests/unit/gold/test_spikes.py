"""Spikes among trades: found as they come, but not across a night or a halt."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from conf.lake.tables import TRADES
from gold.spikes import AFTER_HALT, COLUMNS, OUTSIDE_BANDS, Context, Spikes

NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 10**9
SECOND_NS = 10**9
SCHEMA = pa.schema([TRADES.schema.field(name) for name in COLUMNS])


def trades(prices, *, start_ns=NOON_NS, symbol="AAPL", first_id=1, codes=("@",)):
    rows = [
        {
            "symbol": symbol,
            "exchange": "V",
            "trade_id": first_id + place,
            "event_time": NOON + timedelta(seconds=place),
            "event_time_ns": start_ns + place * SECOND_NS,
            "price": price,
            "conditions": list(codes),
            "tape": "C",
            "market_time": NOON,
        }
        for place, price in enumerate(prices)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def walk(count, seed=1):
    random = np.random.default_rng(seed)
    return np.round(100 + np.cumsum(random.normal(0, 0.01, count)), 2).tolist()


def spoilt(place=300, price=150.0):
    prices = walk(600)
    prices[place] = price
    return prices


def found(table):
    return table.select(["event_id", "value"]).to_pylist()


def test_a_spike_has_its_event_score_and_expectation():
    (row,) = Spikes().find(trades(spoilt()), Context()).to_pylist()

    assert row["event_id"] == f"V/301/{NOON_NS + 300 * SECOND_NS}"
    assert (row["method"], row["value"], row["context"]) == ("robust_z", 150.0, [])
    assert row["score"] > 8
    assert row["expected"] == pytest.approx(100, abs=1)
    assert row["day"] == NOON.date()


@pytest.mark.parametrize("size", [1, 7, 250])
def test_no_cut_into_batches_changes_what_is_found(size):
    whole = trades(spoilt())
    spikes = Spikes()
    parts = [
        spikes.find(whole.slice(first, size), Context())
        for first in range(0, len(whole), size)
    ]

    at_once = Spikes().find(whole, Context())
    assert pa.concat_tables(parts).equals(at_once)


def test_symbols_do_not_disturb_each_other():
    spikes = Spikes()
    spikes.find(trades(walk(200)), Context())
    both = pa.concat_tables(
        [
            trades([p / 7 for p in walk(300, 2)], symbol="SPY"),
            trades(spoilt()[200:], start_ns=NOON_NS + 200 * SECOND_NS, first_id=201),
        ]
    )
    (row,) = spikes.find(both, Context()).to_pylist()

    assert (row["symbol"], row["value"]) == ("AAPL", 150.0)


@pytest.mark.parametrize("codes", [("M",), ("I",)])
def test_a_print_that_sets_no_price_is_not_judged(codes):
    spikes = Spikes()
    spikes.find(trades(walk(300)), Context())
    odd = trades([150.0], start_ns=NOON_NS + 300 * SECOND_NS, codes=codes)

    assert found(spikes.find(odd, Context())) == []


def test_a_late_print_is_not_judged_and_changes_nothing():
    spikes = Spikes()
    spikes.find(trades(walk(300)), Context())

    assert found(spikes.find(trades([150.0], first_id=999), Context())) == []
    later = trades([150.0, 100.0], start_ns=NOON_NS + 301 * SECOND_NS)
    assert [row["value"] for row in found(spikes.find(later, Context()))] == [150.0]


def test_a_spike_waits_for_the_next_print_of_its_symbol():
    spikes = Spikes()
    spikes.find(trades([*walk(300), 150.0]), Context())
    other = trades(walk(5), start_ns=NOON_NS + 400 * SECOND_NS, symbol="SPY")
    assert found(spikes.find(other, Context())) == []

    following = trades([100.0], start_ns=NOON_NS + 500 * SECOND_NS)
    (row,) = spikes.find(following, Context()).to_pylist()
    assert row["event_id"] == f"V/301/{NOON_NS + 300 * SECOND_NS}"


def test_a_split_over_night_is_no_spike():
    night_ns = 24 * 3_600 * SECOND_NS
    spikes = Spikes()
    spikes.find(trades(walk(300)), Context())
    split = trades([p / 4 for p in walk(300)], start_ns=NOON_NS + night_ns)

    assert found(spikes.find(split, Context())) == []


def test_prices_begin_anew_after_a_halt_and_a_spike_tells_of_it():
    prices = walk(300) + [p * 1.2 for p in walk(300)]
    prices[450] = 200.0
    context = Context(
        halts={"AAPL": [NOON_NS + 299 * SECOND_NS + 1]},
        bands={"AAPL": [(NOON_NS, 90.0, 130.0)]},
    )
    (row,) = Spikes().find(trades(prices), context).to_pylist()

    assert row["value"] == 200.0
    assert row["context"] == [AFTER_HALT, OUTSIDE_BANDS]
