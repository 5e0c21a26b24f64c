"""Sessions with the hours around them: days, half days and daylight saving are data."""

from conf.market.market_hours import extended_sessions
from conf.market.rfc3339 import format_ns


def sessions(first: str, last: str) -> list[tuple[str, str]]:
    found = extended_sessions(first, last)
    return [(format_ns(begin), format_ns(end)) for begin, end in found]


def test_a_week_with_a_holiday_and_a_half_day():
    assert sessions("2026-11-25", "2026-11-30") == [
        ("2026-11-25T09:00:00Z", "2026-11-26T01:00:00Z"),
        ("2026-11-27T09:00:00Z", "2026-11-27T22:00:00Z"),
        ("2026-11-30T09:00:00Z", "2026-12-01T01:00:00Z"),
    ]


def test_summer_time_is_an_hour_earlier():
    assert sessions("2026-07-06", "2026-07-06") == [
        ("2026-07-06T08:00:00Z", "2026-07-07T00:00:00Z")
    ]
