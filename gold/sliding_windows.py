"""Sliding windows of 5, 15 and 60 minutes, combined from the windows of one minute.

Sums of minutes are exact, so nothing is counted again. A window ends with every minute:
one that changes is part of as many windows as they have minutes.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from gold.symbol_stats import Window

LENGTHS_S = (300, 900, 3_600)
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
    """Return the trades of one symbol in ``[end - length, end)``, None without any.

    Args:
        minutes: The symbol's windows of one minute by their start.
        end: Of the window, exclusive.
        length_s: Whole minutes, in seconds.
    """
    window = Window()
    start = end - timedelta(seconds=length_s)
    while start < end:
        if start in minutes:
            window.merge(minutes[start])
        start += _MINUTE
    return window if window.trade_count else None
