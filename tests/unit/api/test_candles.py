"""Minutes from trades in any order, by the tapes' rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.candles import CandleBook
from api.payloads import Candle
from api.ticks import Tick
from conf.market.conditions import CONDITIONS, Update
from conf.market.wire import Bar, Trade, UpdatedBar
from tests.unit.api.live import MINUTE_NS, SECOND_NS, bar, trade

KEEP_S = 120


def fold(*ticks: Tick, at_s: float = 0.0) -> list[Candle]:
    book = CandleBook(KEEP_S)
    market_ns = MINUTE_NS + round(at_s * SECOND_NS)
    for revision, tick in enumerate(ticks):
        if isinstance(tick.message, Trade):
            book.add_trade(tick, tick.message, market_ns, revision)
        elif isinstance(tick.message, Bar):
            book.add_bar(tick, tick.message, market_ns, revision)
    book.close_due(market_ns, len(ticks))
    return [minute.candle() for minute in book.minutes()]


def prices(candle: Candle) -> tuple[float, float, float, float]:
    return candle.open, candle.high, candle.low, candle.close


def test_a_minute_is_folded_by_event_time():
    #  happened   0.5    10     20     59.999
    #  arrived    2nd    1st    4th    3rd
    (candle,) = fold(
        trade(10, 101.0, 5), trade(0.5, 100.0, 10), trade(59.999, 99.5), trade(20, 103)
    )
    assert prices(candle) == (100.0, 103.0, 99.5, 99.5)
    assert (candle.volume, candle.trade_count) == (35, 4)
    assert candle.window_start == "2026-11-23T15:00:00.000000Z"
    assert candle.window_end == "2026-11-23T15:01:00.000000Z"
    assert (candle.is_final, candle.source) == (False, "trades")


def test_the_end_of_a_minute_belongs_to_the_next():
    first, second = fold(trade(59.999999999), trade(60))
    assert first.window_end == second.window_start


def test_odd_lots_and_late_prints_are_volume_and_official_prices_nothing():
    (candle,) = fold(
        trade(1, 100.0),
        trade(2, 150.0, 3, "@", "I"),
        trade(3, 50.0, 20, "@", "Z"),
        trade(4, 70.0, 9_000, "@", "M"),
    )
    assert prices(candle) == (100.0, 100.0, 100.0, 100.0)
    assert (candle.volume, candle.trade_count) == (33, 3)


def test_odd_lots_alone_make_no_candle():
    assert fold(trade(2, 150.0, 3, "@", "I")) == []


def test_minutes_know_no_condition_that_sets_only_a_first_last_price():
    minute_rules = [c.minute for table in CONDITIONS.values() for c in table.values()]
    assert all(effect.last is not Update.IF_FIRST for effect in minute_rules)


events = st.builds(
    trade,
    st.integers(0, 119_999).map(lambda ms: ms / 1000),
    st.integers(1, 500).map(lambda cents: cents / 100),
    st.integers(1, 1_000),
    st.sampled_from(["@", "I", "Z", "F", "M", "T"]),
)


@given(st.lists(events, unique_by=lambda tick: tick.event_time_ns), st.randoms())
def test_order_and_repeats_change_nothing(ticks: list[Tick], rng):
    arrived = [*ticks, *rng.choices(ticks, k=len(ticks) // 2)] if ticks else []
    rng.shuffle(arrived)
    by_start = lambda candle: candle.window_start  # noqa: E731
    assert sorted(fold(*arrived), key=by_start) == sorted(fold(*ticks), key=by_start)
    for candle in fold(*ticks):
        assert candle.low <= min(candle.open, candle.close)
        assert candle.high >= max(candle.open, candle.close)


@pytest.mark.parametrize(("at_s", "is_final"), [(61.499, False), (61.5, True)])
def test_a_candle_is_final_a_moment_after_its_end(at_s: float, is_final: bool):
    (candle,) = fold(trade(1), at_s=at_s)
    assert candle.is_final is is_final


def test_alpaca_s_bar_replaces_what_was_counted():
    (candle,) = fold(trade(1, 100.0), bar(), trade(2, 200.0), at_s=60.2)
    assert prices(candle) == (98.0, 99.5, 97.5, 99.0)
    assert (candle.volume, candle.trade_count) == (700, 3)
    assert (candle.is_final, candle.source) == (True, "alpaca")


def test_a_restated_bar_replaces_the_first_and_a_repeat_of_the_first_does_not():
    updated = bar(UpdatedBar, trade_count=4, close=99.4)
    (candle,) = fold(bar(), updated, bar(), bar(UpdatedBar, trade_count=2, close=1.0))
    assert (candle.close, candle.trade_count) == (99.4, 4)


def test_a_trade_older_than_what_is_kept_counts_for_nothing():
    assert fold(trade(1), at_s=60 + KEEP_S + 1) == []
    assert len(fold(trade(1), at_s=60 + KEEP_S)) == 1


def test_a_minute_is_forgotten_when_nothing_can_change_it():
    book = CandleBook(KEEP_S)
    tick = trade(1)
    book.add_trade(tick, tick.message, MINUTE_NS, 1)
    end_ns = MINUTE_NS + 60 * SECOND_NS
    assert book.forget_old(end_ns + KEEP_S * SECOND_NS) == []
    assert book.forget_old(end_ns + KEEP_S * SECOND_NS + 1) == [("AAPL", MINUTE_NS)]
    assert len(book) == 0
