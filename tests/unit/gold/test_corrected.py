"""Windows of effective trades: equal to a count of what is left in the end."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from conf.lake.tables import CORRECTIONS, TRADES
from conf.market.effective_trades import Correction, Trade, resolve
from gold.corrected import count_effective
from gold.symbol_stats import from_row, restate

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 10**9
SECOND_NS = 10**9
SYMBOLS = ("AAPL", "SPY")

prices = st.sampled_from([0.0001, 9.99, 126.55, 600_000.25])
trades = st.lists(
    st.builds(
        Trade,
        symbol=st.sampled_from(SYMBOLS),
        exchange=st.just("V"),
        trade_id=st.integers(1, 10**6),
        event_time_ns=st.integers(0, 180).map(lambda s: NOON_NS + s * SECOND_NS),
        price=prices,
        size=st.integers(1, 10**9),
        conditions=st.sampled_from([None, ("@",), ("M",)]),
    ),
    max_size=20,
    unique_by=lambda trade: trade.trade_id,
)


@st.composite
def scripts(draw):
    """Trades, and messages that correct and cancel some, over and over."""
    reported = draw(trades)
    messages = []
    for number, trade in enumerate(reported):
        now = trade
        for step in range(draw(st.integers(0, 2))):
            later_ns = NOON_NS + (1_000 + 10 * number + step) * SECOND_NS
            meant = (now.trade_id, now.price, now.size)
            base = Correction(trade.symbol, "V", later_ns, *meant)
            if draw(st.booleans()):
                messages.append((base, trade))
                break
            now = Trade(
                trade.symbol, "V", 10**7 + 10 * number + step, trade.event_time_ns,
                draw(prices), draw(st.integers(1, 99)), ("@",),
            )  # fmt: skip
            corrected = Correction(
                *(trade.symbol, "V", later_ns, *meant),
                *(now.trade_id, now.price, now.size, now.conditions),
            )
            messages.append((corrected, trade))
    return reported, messages


def reported_table(reported):
    rows = [
        {name: getattr(trade, name) for name in Trade.__struct_fields__}
        for trade in reported
    ]
    schema = pa.schema(
        field for field in TRADES.schema if field.name in Trade.__struct_fields__
    )
    return pa.Table.from_pylist(rows, schema=schema)


def matched_table(messages):
    names = [*Correction.__struct_fields__, "trade_event_time_ns"]
    rows = [
        {name: getattr(message, name) for name in names[:-1]}
        | {"trade_event_time_ns": trade.event_time_ns}
        for message, trade in messages
    ]
    schema = pa.schema(field for field in CORRECTIONS.schema if field.name in names)
    return pa.Table.from_pylist(rows, schema=schema)


def minute_of(trade):
    minutes = (trade.event_time_ns - NOON_NS) // (60 * SECOND_NS)
    return trade.symbol, NOON + timedelta(minutes=minutes)


@settings(max_examples=30, deadline=None)
@given(scripts())
def test_equal_to_a_count_of_the_trades_that_are_left(script):
    reported, messages = script
    windows = sorted({minute_of(trade) for trade in reported})
    counted = count_effective(
        reported_table(reported), matched_table(messages), windows
    )
    rows = restate(
        counted.partials, counted.corrections, [], source_version=1, updated_time=NOON
    )
    found = {(row["symbol"], row["window_start"]): row for row in rows.to_pylist()}
    resolution = resolve(reported, [message for message, _ in messages])
    left = [t for t in resolution.apply(reported) if t.conditions != ("M",)]

    assert sorted(found) == windows
    for window, row in found.items():
        mine = [trade for trade in left if minute_of(trade) == window]
        exact = [round(Fraction(str(trade.price)) * 10**6) for trade in mine]
        assert row["trade_count"] == len(mine)
        assert row["volume"] == sum(trade.size for trade in mine)
        assert row["price_min"] == min((t.price for t in mine), default=None)
        assert row["price_max"] == max((t.price for t in mine), default=None)
        assert row["price_sum_e6"] == sum(exact)
        assert row["price_sum_squares_e12"] == sum(price**2 for price in exact)
        assert from_row(row).variance is None or row["price_stddev"] >= 0
        assert sum(b["trade_count"] for b in row["price_buckets"]) == len(mine)
        assert all(
            any(b["low_e6"] <= price < b["high_e6"] for b in row["price_buckets"])
            for price in exact
        )
        mine = [m for m, trade in messages if minute_of(trade) == window]
        assert row["correction_count"] == len(mine)


def test_a_correction_whose_trade_is_not_there_yet_is_not_reflected():
    trade = Trade("AAPL", "V", 1, NOON_NS, 10.0, 5, ("@",))
    cancel = Correction("AAPL", "V", NOON_NS, 1, 10.0, 5)
    window = ("AAPL", NOON)
    counted = count_effective(
        reported_table([]), matched_table([(cancel, trade)]), [window]
    )

    assert counted.corrections == {window: 0}
    assert counted.partials == []


def test_a_correction_told_by_the_stream_and_by_a_backfill_is_reflected_twice():
    """Else its window would be counted anew at every look."""
    trade = Trade("AAPL", "V", 1, NOON_NS, 10.0, 5, ("@",))
    told = [
        Correction("AAPL", "V", NOON_NS + later_ns, 1, 10.0, 5, 2, 11.0, 6, ("@",))
        for later_ns in (0, 15 * SECOND_NS)
    ]
    window = ("AAPL", NOON)
    counted = count_effective(
        reported_table([trade]),
        matched_table([(correction, trade) for correction in told]),
        [window],
    )

    assert counted.corrections == {window: 2}
    assert [(p["trade_count"], p["price_max"]) for p in counted.partials] == [(1, 11.0)]
