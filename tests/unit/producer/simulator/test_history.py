import json
from itertools import pairwise
from typing import Literal

import pytest

from conf.market.rfc3339 import format_ns, parse_ns
from conf.settings import SimulatorSettings
from producer.simulator.history import History
from producer.simulator.market import Market
from producer.simulator.sessions import previous_sessions

START_NS = 1_795_398_612_345_678_901
SESSIONS = previous_sessions("always", START_NS)


def test_the_session_is_390_whole_minutes_before_the_start():
    bars = History(7, SESSIONS).bars("AAPL")

    assert len(bars) == 390
    assert parse_ns(bars[-1].event_time) + 60 * 10**9 == SESSIONS[0][1] <= START_NS
    assert all(bar.low <= min(bar.open, bar.close) for bar in bars)
    assert all(bar.high >= max(bar.open, bar.close) for bar in bars)
    assert all(bar.low <= bar.vwap <= bar.high for bar in bars)


def test_the_last_close_meets_the_first_trade():
    settings = SimulatorSettings(rate_per_s=100)
    batch = next(Market(settings, ["AAPL"]).batches(START_NS))
    first = next(text for text in batch.texts if b'"T":"t"' in text)

    last_close = History(7, SESSIONS).bars("AAPL")[-1].close

    assert json.loads(first)["p"] == pytest.approx(last_close, rel=0.002)


def test_the_seed_decides():
    assert History(7, SESSIONS).bars("KO") == History(7, SESSIONS).bars("KO")
    assert History(7, SESSIONS).bars("KO") != History(8, SESSIONS).bars("KO")


def test_nyse_history_is_the_session_before():
    monday_ns = parse_ns("2026-11-30T14:45:00Z")

    ((opened_ns, closed_ns),) = previous_sessions("nyse", monday_ns)

    assert format_ns(opened_ns) == "2026-11-27T14:30:00Z"
    assert format_ns(closed_ns) == "2026-11-27T18:00:00Z"


@pytest.mark.parametrize(
    ("calendar", "days"),
    [("always", (25, 26, 27, 30)), ("nyse", (24, 25, 27, 30))],
)
def test_more_sessions_are_of_the_days_before(
    calendar: Literal["always", "nyse"], days: tuple[int, ...]
):
    evening_ns = parse_ns("2026-11-30T22:00:00.5Z")

    sessions = previous_sessions(calendar, evening_ns, 4)

    assert [format_ns(close_ns)[8:10] for _, close_ns in sessions] == [
        f"{day:02}" for day in days
    ]
    bars = History(7, sessions).bars("AAPL")
    times = [parse_ns(bar.event_time) for bar in bars]
    assert times == sorted(set(times))
    assert len(times) == sum(close - opened for opened, close in sessions) / 60e9
    # One walk: each minute begins where the one before ended.
    assert all(b.open == a.close for a, b in pairwise(bars))
