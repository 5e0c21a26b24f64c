"""The newest of every symbol, and what changed since."""

from api.market_state import MarketState
from tests.unit.api.live import MINUTE_NS, bar, quote, record, trade


def whole() -> MarketState:
    state = MarketState(120)
    state.be_whole_since(0)
    return state


def last_price(state: MarketState) -> float | None:
    last = state.summaries()["AAPL"].last
    return last and last.price


def test_the_newest_by_event_time_is_shown_whatever_the_order():
    state = whole()
    state.add(record(trade(5, 101.0), quote(6, 100.5)))
    state.add(record(trade(3, 99.0), quote(4, 98.0)))
    summary = state.summaries()["AAPL"]
    assert summary.last
    assert summary.quote
    assert (summary.last.price, summary.quote.bid_price) == (101.0, 100.5)
    assert summary.last.event_time_ns == str(MINUTE_NS + 5 * 10**9)
    assert summary.last.event_time == "2026-11-23T15:00:05.000000Z"


def test_prints_that_set_no_price_do_not_move_the_last_one():
    state = whole()
    state.add(record(trade(5, 101.0), trade(6, 150.0, 3, "@", "I")))
    state.add(record(trade(7, 150.0, 3, "@", "Z"), trade(8, 9.0, 3, "@", "M")))
    assert last_price(state) == 101.0


def test_backfill_fills_candles_and_does_not_move_the_ticker():
    state = whole()
    state.add(record(trade(5, 101.0)))
    state.add(record(trade(6, 102.0), kind="backfill"))
    assert last_price(state) == 101.0
    assert [candle.trade_count for candle in state.candles()] == [2]


def test_changes_are_what_came_after_a_revision():
    state = whole()
    state.add(record(trade(1), trade(1, symbol="MSFT")))
    seen = state.changed_since(-1)
    assert list(seen.symbols) == ["AAPL", "MSFT"]
    assert state.changed_since(seen.revision)[1:] == ({}, [])
    state.add(record(quote(2, 10.0, symbol="MSFT")))
    changed = state.changed_since(seen.revision)
    assert (list(changed.symbols), changed.candles) == (["MSFT"], [])


def test_the_market_clock_alone_closes_a_minute_and_says_so_once():
    state = whole()
    state.add(record(trade(1)))
    seen = state.changed_since(-1)
    state.add(record(at_s=61.5, kind="heartbeat"))
    state.advance()
    (candle,) = state.changed_since(seen.revision).candles
    assert candle.is_final
    seen = state.changed_since(-1)
    state.advance()
    assert state.changed_since(seen.revision).candles == []


def test_a_minute_with_trades_missing_is_no_candle_until_they_are_read():
    #  15:00 |----------| read later        15:01 |---- read ----
    state = MarketState(120)
    state.be_whole_since(MINUTE_NS + 60 * 10**9)
    state.add(record(trade(30), trade(61)))
    seen = state.changed_since(-1)
    assert [x.window_start[-13:-8] for x in seen.candles] == ["01:00"]
    state.add(record(trade(10)))
    assert state.changed_since(seen.revision).candles == []
    state.be_whole_since(MINUTE_NS)
    (candle,) = state.changed_since(seen.revision).candles
    assert candle.trade_count == 2


def test_alpaca_s_bar_is_whole_by_itself():
    state = MarketState(120)
    state.be_whole_since(MINUTE_NS + 60 * 10**9)
    state.add(record(trade(30)))
    state.add(record(bar()))
    assert [candle.source for candle in state.candles()] == ["alpaca"]


def test_the_change_is_counted_from_the_reference_price():
    state = whole()
    state.add(record(trade(1, 102.5), trade(1, symbol="MSFT")))
    seen = state.changed_since(-1)
    state.refer({"AAPL": (100.0, "previous_close")})
    changed = state.changed_since(seen.revision).symbols
    assert list(changed) == ["AAPL"]
    aapl = changed["AAPL"]
    assert (aapl.reference_price, aapl.reference) == (100.0, "previous_close")
    assert (aapl.change, aapl.change_percent) == (2.5, 2.5)
    seen = state.changed_since(-1)
    state.refer({"AAPL": (100.0, "previous_close")})
    assert state.changed_since(seen.revision).symbols == {}


def test_a_symbol_without_a_trade_has_no_change():
    state = whole()
    state.refer({"AAPL": (100.0, "session_open")})
    summary = state.summaries()["AAPL"]
    assert (summary.last, summary.change, summary.reference_price) == (None, None, 100)
