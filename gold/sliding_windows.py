"""Sliding windows of 5, 15 and 60 minutes, combined from the windows of one minute.

Sums of minutes are exact, so nothing is counted again. A window ends with every minute:
one that changes is part of as many windows as they have minutes.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from gold.symbol_stats import Window

LENGTHS_S = (300, 900, 3_600)
LONGEST = timedelta(seconds=max(LENGTHS_S))
_MINUTE = timedelta(minutes=1)


def touched_ends(
    window_start: datetime, length_s: int, newest_end: datetime
) -> Iterator[datetime]:
    """Yield the ends of the windows of a length that one minute is part of.

    Args:
        window_start: Of the minute that changed.
        length_s: Whole minutes, in seconds.
        newest_end: End of the newest minute: no window reaches beyond it.
    """
    end = window_start + _MINUTE
    last = min(window_start + timedelta(seconds=length_s), newest_end)
    while end <= last:
        yield end
        end += _MINUTE


def combine(
    minutes: Mapping[datetime, Window], end: datetime, length_s: int
) -> Window | None:
    """Return one symbol's ``[end - length, end)``; None if it has none of its minutes.

    Args:
        minutes: The symbol's windows of one minute by their start.
        end: Of the window, exclusive.
        length_s: Whole minutes, in seconds.
    """
    start = end - timedelta(seconds=length_s)
    starts = (start + n * _MINUTE for n in range(length_s // 60))
    found = [minutes[start] for start in starts if start in minutes]
    if not found:
        return None
    window = Window()
    for minute in found:
        window.merge(minute)
    return window
