"""Whether there is trading: NYSE hours for Alpaca, else the market of this machine."""

import functools
import importlib
from datetime import UTC, date, datetime, timedelta

from api.payloads import Market
from api.responses import rfc3339


def market_at(market_time: datetime | None, source: str, *, is_live: bool) -> Market:
    """Return the market's state at a moment of its own clock.

    Args:
        market_time: The market clock; None if nothing was heard yet.
        source: Where the messages come from, as ``alpaca/iex``.
        is_live: The market clock is the wall clock.
    """
    if not is_live:
        return Market("replay")
    if not source.startswith("alpaca/") or market_time is None:
        return Market("simulated" if source else "closed")
    bounds = _session(market_time.date())
    if bounds is None:
        return Market("closed")
    start, end = bounds
    is_open = start <= market_time < end
    return Market("open" if is_open else "closed", rfc3339(start), rfc3339(end))


@functools.lru_cache(maxsize=4)
def _session(day: date) -> tuple[datetime, datetime] | None:
    """Return the regular session of a day, with half days; None if there is none.

    The first call loads the calendars' library: a second and 80 MB that only a feed
    with NYSE hours costs.
    """
    calendars = importlib.import_module("exchange_calendars")
    around = timedelta(days=7)  # it wants a range with a session in it
    calendar = calendars.get_calendar("XNYS", start=day - around, end=day + around)
    if not calendar.is_session(day.isoformat()):
        return None
    start, end = calendar.session_open_close(day.isoformat())
    return _utc(start.value), _utc(end.value)


def _utc(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 10**9, UTC)
