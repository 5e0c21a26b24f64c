from producer.market_clock import MarketClock


def test_live_market_time_is_the_wall_clock():
    clock = MarketClock(live=True)
    assert clock.at(5, newest_event_time_ns=9) == 5


def test_replayed_market_time_is_the_newest_event_and_never_goes_back():
    clock = MarketClock(live=False)
    assert [clock.at(1_000, time_ns) for time_ns in (3, 7, 5, 0, 8)] == [3, 7, 7, 7, 8]
