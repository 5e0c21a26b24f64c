"""The schedule's grid: ``rate`` slots in every second, exact for ever."""

import numpy as np
from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


class Slots:
    """Slot ``k`` begins ``k / rate`` seconds after ``open_ns``; integers only."""

    def __init__(self, open_ns: int, rate_per_s: int) -> None:
        self._open_ns = open_ns
        self._rate = rate_per_s
        self.spacing_ns = SECOND_NS // rate_per_s

    def start_ns(self, slot: int) -> int:
        """Return when a slot begins."""
        seconds, rest = divmod(slot, self._rate)
        return self._open_ns + seconds * SECOND_NS + rest * SECOND_NS // self._rate

    def starts_ns(self, first: int, count: int) -> NDArray[np.int64]:
        """Return when each of ``count`` slots from ``first`` on begins."""
        seconds, rest = np.divmod(np.arange(first, first + count), self._rate)
        starts: NDArray[np.int64] = (
            self._open_ns + seconds * SECOND_NS + rest * SECOND_NS // self._rate
        )
        return starts

    def first_from(self, time_ns: int) -> int:
        """Return the first slot that begins at ``time_ns`` or later."""
        return -(-(time_ns - self._open_ns) * self._rate // SECOND_NS)
