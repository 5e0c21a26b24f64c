"""When the simulated market is open."""

import functools
import importlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Literal

from producer.simulator.slots import MINUTE_NS, SECOND_NS

Session = tuple[int, int]
"""Half-open [open, close) in epoch ns."""

HISTORY_MINUTES = 390
_NEVER_NS = 2**62


def sessions(calendar: Literal["always", "nyse"], start_ns: int) -> Iterator[Session]:
    """Yield the sessions from a start on; the first is cut to begin there."""
    if calendar == "always":
        yield start_ns, _NEVER_NS
        return
    for open_ns, close_ns in _nyse(start_ns, days_before=1, days_after=360):
        if close_ns > start_ns:
            yield max(open_ns, start_ns), close_ns


def previous_session(calendar: Literal["always", "nyse"], start_ns: int) -> Session:
    """Return the session before a start, in whole minutes.

    The market that never closes has none: its last 390 minutes stand for it.
    """
    if calendar == "always":
        close_ns = start_ns - start_ns % MINUTE_NS
        return close_ns - HISTORY_MINUTES * MINUTE_NS, close_ns
    recent = _nyse(start_ns, days_before=10, days_after=0)
    return [session for session in recent if session[1] <= start_ns][-1]


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
