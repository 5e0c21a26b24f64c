"""Alpaca's limit of REST calls."""

import time
from collections import defaultdict
from collections.abc import Callable

WINDOW_S = 60


class RateLimit:
    """Alpaca's limit: so many REST calls of one key in one minute.

    Args:
        calls: Most per minute.
        clock: Seconds since the epoch.
    """

    def __init__(self, calls: int, clock: Callable[[], float] = time.time) -> None:
        self._calls = calls
        self._clock = clock
        self._used: defaultdict[str, int] = defaultdict(int)
        self._reset_s = 0

    def take(self, key: str) -> tuple[bool, dict[str, str]]:
        """Count one call; return whether it is allowed, and the headers."""
        if self._clock() >= self._reset_s:
            self._reset_s = int(self._clock()) + WINDOW_S
            self._used.clear()
        self._used[key] += 1
        left = self._calls - self._used[key]
        headers = {
            "X-RateLimit-Limit": str(self._calls),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str(self._reset_s),
        }
        return left >= 0, headers
