"""Which session a moment belongs to: sessions are numbered, without gaps.

A session ends at 20:00 in New York and the next one begins there, as trading dates do;
a weekend or a holiday belongs to the session after it. So every moment has a session,
also in a market that never closes.
"""

import functools
from collections.abc import Iterable
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from conf.market.market_hours import load_calendars

_NEW_YORK = ZoneInfo("America/New_York")
_FIRST_DAY = "2005-01-01"
_END_OF_DATE = np.timedelta64(20, "h")

Times = NDArray[np.int64]


class Sessions(NamedTuple):
    """All sessions, by number; epoch ns.

    Attributes:
        open_ns: Regular open.
        close_ns: Regular close.
        end_ns: When the next session begins: 20:00 in New York.
    """

    open_ns: Times
    close_ns: Times
    end_ns: Times

    def at(self, times_ns: Iterable[int]) -> Times:
        """Return the number of the session of each moment."""
        times = np.asarray(list(times_ns), np.int64)
        return np.searchsorted(self.end_ns, times, side="right")

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Return where session ``first`` begins and ``last`` ends."""
        return int(self.end_ns[first - 1]), int(self.end_ns[last])


def fill_times(
    bars: NDArray[np.void], starts_ns: list[int], sessions: Sessions
) -> None:
    """Set what follows from where bars begin; a split is known to nobody here.

    Args:
        bars: Rows of ``conf.market.indicators.BAR``, one for each start.
        starts_ns: Epoch ns.
        sessions: NYSE's.
    """
    numbers = sessions.at(starts_ns)
    bars["window_start_ns"] = starts_ns
    bars["session"] = numbers
    bars["session_open_ns"] = sessions.open_ns[numbers]
    bars["session_close_ns"] = sessions.close_ns[numbers]
    bars["split_ratio"] = 1.0


@functools.cache
def load_sessions() -> Sessions:
    """Load NYSE's sessions from 2005 to a year from now; takes a second."""
    calendar = load_calendars().get_calendar("XNYS", start=_FIRST_DAY)
    ends = (calendar.opens.index + _END_OF_DATE).tz_localize(_NEW_YORK)
    times = (calendar.opens.dt, calendar.closes.dt, ends)
    return Sessions(
        *(np.asarray(each.tz_convert(None), "datetime64[ns]").astype(np.int64)
          for each in times)
    )  # fmt: skip
