"""Which quote fills an order, and what hindsight makes of a tape."""

from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.lake.tables import QUOTES
from models.account import Costs
from models.environment import Rules
from models.fills import (
    FRESH_NS,
    QUOTE_COLUMNS,
    SECOND_NS,
    WITHIN_NS,
    Order,
    moment,
    next_quotes,
)
from models.hindsight import hindsight
from models.traces import play, wanting
from tests.unit.models.tapes import walk

SCHEMA = pa.schema([QUOTES.schema.field(name) for name in QUOTE_COLUMNS])
NOON_NS = 1_764_000_000 * SECOND_NS


def quote(at_s, symbol="SPY", bid=99.0, ask=101.0, delay_s=0.0, hash_=0):
    at_ns = NOON_NS + int(at_s * SECOND_NS)
    read = moment(at_ns + int(delay_s * SECOND_NS))
    values = (symbol, at_ns, hash_, 0, bid, ask, read)
    return dict(zip(QUOTE_COLUMNS, values, strict=True))


def filled(order, *quotes):
    table = pa.Table.from_pylist(list(quotes), schema=SCHEMA)
    found = next_quotes([order], table)
    return int(found.time_ns[0]), float(found.bid[0])


ORDER = Order("SPY", NOON_NS, NOON_NS + 60 * SECOND_NS)


@pytest.mark.parametrize(
    "other",
    [
        quote(0, bid=1.0),
        quote(-1, bid=1.0),
        quote(0.5, symbol="QQQ", bid=1.0),
        quote(0.5, bid=1.0, delay_s=6),
        quote(0.5, bid=0.0),
        quote(0.5, bid=1.0, ask=0.0),
        quote(2, bid=1.0, hash_=7),
    ],
    ids=["same", "before", "other", "late", "no bid", "no offer", "tie"],
)
def test_the_first_two_sided_quote_in_time_fills(other):
    taken = quote(2, bid=98.0, hash_=3)
    expected = NOON_NS + 2 * SECOND_NS, 98.0
    assert filled(ORDER, other, taken, quote(3)) == expected


def test_nothing_fills_what_is_settled_before_or_lapsed():
    assert filled(ORDER, quote(56))[0] == 0
    assert np.isnan(filled(ORDER, quote(56))[1])
    patient = ORDER._replace(settled_ns=NOON_NS + 600 * SECOND_NS)
    assert filled(patient, quote(61))[0] == 0
    assert filled(patient, quote(59))[0] > 0


@given(
    st.lists(
        st.builds(
            quote,
            st.floats(-70, 70).map(lambda s: round(s, 3)),
            delay_s=st.sampled_from([0.0, 4.9, 5.1]),
            bid=st.sampled_from([0.0, 50.0]),
            hash_=st.integers(0, 3),
        ),
        max_size=12,
    ),
    st.floats(0, 90),
)
def test_a_quote_found_is_the_one_that_a_look_at_each_finds(quotes, settled_s):
    order = ORDER._replace(settled_ns=NOON_NS + int(settled_s * SECOND_NS))
    until = min(order.settled_ns - FRESH_NS, NOON_NS + WITHIN_NS)
    fits = [
        q["event_time_ns"]
        for q in quotes
        if q["bid_price"] > 0
        and NOON_NS < q["event_time_ns"] <= until
        and (q["market_time"] - moment(q["event_time_ns"])).total_seconds() <= 5
    ]
    assert filled(order, *quotes)[0] == min(fits, default=0)


@pytest.mark.parametrize("seed", range(4))
def test_hindsight_is_the_best_of_all_positions(seed):
    tape = walk(9, seed, spread_bps=4.0)
    tape.bid[3] = np.nan
    rules = Rules(Costs(fee_bps=1.0))
    tried = [
        play(wanting(np.array([*wanted, False])), tape, rules).returns
        for wanted in product([False, True], repeat=8)
    ]
    best = max(float(np.log1p(returns).sum()) for returns in tried)
    found = play(wanting(hindsight(tape, rules.costs)), tape, rules)
    assert float(np.log1p(found.returns).sum()) == pytest.approx(best, abs=1e-12)
    assert (best > 0) == bool(found.traded.any())
