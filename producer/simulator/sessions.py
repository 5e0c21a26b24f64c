"""When the simulated market is open."""

import functools
import importlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from producer.simulator.slots import MINUTE_NS, SECOND_NS

Session = tuple[int, int]
"""Half-open [open, close) in epoch ns."""
Calendar = Literal["always", "nyse"]

HISTORY_MINUTES = 390
PRE_MARKET_NS = 330 * MINUTE_NS
"""From 04:00 to 09:30 in New York."""
POST_MARKET_NS = 240 * MINUTE_NS
"""To 20:00 in New York; to 17:00 after a half day."""
_NEVER_NS = 2**62
_DAY_NS = 1_440 * MINUTE_NS
_SATURDAY = 5
_EVER = (0, _NEVER_NS)
_NEW_YORK = ZoneInfo("America/New_York")


class Day(NamedTuple):
    """One trading day: while something is sent, and the regular hours within it."""

    open_ns: int
    close_ns: int
    regular: Session
    """Hours outside them are the pre- and the post-market; without those, for ever."""
    zone: ZoneInfo | None = None
    """Where its date begins at midnight; None for UTC."""

    def is_regular(self, time_ns: int) -> bool:
        """Return whether a time is in the regular hours."""
        return self.regular[0] <= time_ns < self.regular[1]

    def date_ns(self, time_ns: int) -> int:
        """Return the midnight before a time of this day."""
        local = datetime.fromtimestamp(time_ns // SECOND_NS, self.zone or UTC)
        midnight = local.replace(hour=0, minute=0, second=0)
        return int(midnight.timestamp()) * SECOND_NS


def days(calendar: Calendar, start_ns: int, *, extended: bool = False) -> Iterator[Day]:
    """Yield the trading days from a start on; the first is cut to begin there.

    Args:
        calendar: The market that never closes is one endless day.
        start_ns: Epoch ns.
        extended: With the pre-market and the post-market around NYSE's hours.
    """
    if calendar == "always":
        yield Day(start_ns, _NEVER_NS, _EVER)
        return
    before_ns, after_ns = (PRE_MARKET_NS, POST_MARKET_NS) if extended else (0, 0)
    for session in _nyse(start_ns, days_before=1, days_after=360):
        open_ns, close_ns = session[0] - before_ns, session[1] + after_ns
        if close_ns > start_ns:
            regular = session if extended else _EVER
            yield Day(max(open_ns, start_ns), close_ns, regular, _NEW_YORK)


def previous_sessions(
    calendar: Calendar, start_ns: int, count: int = 1
) -> list[Session]:
    """Return the regular sessions before a start, in whole minutes, oldest first.

    The market that never closes has none: its last 390 minutes stand for one, and the
    same minutes of the working days before for the others.
    """
    if calendar == "always":
        closes_ns = itertools.islice(_same_time_before(start_ns), count)
        sessions = [(ns - HISTORY_MINUTES * MINUTE_NS, ns) for ns in closes_ns]
        return sessions[::-1]
    # Of seven days five have a session, but for about ten holidays a year.
    recent = _nyse(start_ns, days_before=10 + 2 * count, days_after=0)
    return [session for session in recent if session[1] <= start_ns][-count:]


def _same_time_before(start_ns: int) -> Iterator[int]:
    """Yield the minute of a start, and that of each working day before it."""
    yield (now_ns := start_ns - start_ns % MINUTE_NS)
    for days_before in itertools.count(1):
        time_ns = now_ns - days_before * _DAY_NS
        if datetime.fromtimestamp(time_ns // SECOND_NS, UTC).weekday() < _SATURDAY:
            yield time_ns


@functools.cache
def preload() -> ModuleType:
    """Load the calendars' library: a second and 80 MB that only NYSE hours cost."""
    return importlib.import_module("exchange_calendars")


def _nyse(start_ns: int, *, days_before: int, days_after: int) -> list[Session]:
    day = datetime.fromtimestamp(start_ns // SECOND_NS, UTC).date()
    calendar = preload().get_calendar(
        "XNYS",
        start=day - timedelta(days=days_before),
        end=day + timedelta(days=days_after),
    )
    opens = calendar.opens.astype("int64")
    closes = calendar.closes.astype("int64")
    return list(zip(opens.tolist(), closes.tolist(), strict=True))
