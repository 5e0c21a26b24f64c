"""When US equities trade: sessions of the exchanges, with the hours around them.

The days, half days and daylight saving come from exchange_calendars; the hours around
a session are the tapes' (UTP and CTA: 04:00 to 20:00 New York, 17:00 on a half day).
Loading the calendars costs a second and 80 MB, so only who asks pays.
"""

import functools
import importlib
from datetime import date, datetime, time, timedelta
from types import ModuleType
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPENS, CLOSES, HALF_DAY_CLOSES = time(4), time(20), time(17)
_REGULAR_CLOSE = time(16)
_NS_PER_S = 1_000_000_000

Session = tuple[int, int]
"""Half-open [open, close), epoch ns."""


@functools.cache
def load_calendars() -> ModuleType:
    """Load the calendars' library."""
    return importlib.import_module("exchange_calendars")


def extended_sessions(first_day: str, last_day: str) -> list[Session]:
    """Return the sessions between two days, from the first trade to the last.

    Args:
        first_day: ISO date, inclusive.
        last_day: ISO date, inclusive.
    """
    first, last = date.fromisoformat(first_day), date.fromisoformat(last_day)
    # the library refuses a range without a session
    margin = timedelta(days=10)
    calendar = load_calendars().get_calendar(
        "XNYS", start=first - margin, end=last + margin
    )
    return [
        _extended(day.date(), close.tz_convert(NEW_YORK).time())
        for day, close in calendar.closes.items()
        if first <= day.date() <= last
    ]


def _extended(day: date, regular_close: time) -> Session:
    closes = CLOSES if regular_close >= _REGULAR_CLOSE else HALF_DAY_CLOSES
    begin, end = (datetime.combine(day, moment, NEW_YORK) for moment in (OPENS, closes))
    return int(begin.timestamp()) * _NS_PER_S, int(end.timestamp()) * _NS_PER_S
