"""How long a connection may be silent before it is taken for mute."""

import math

SHORTEST_S = 15.0
FACTOR = 20.0
_ENOUGH_MESSAGES = 20
_MEMORY_S = 1_800.0


class Patience:
    """Learns from the silences between frames how long one may last.

    The expected wait is that of somebody who begins to wait at any moment: the mean
    silence weighted by its length, E[x²] / 2E[x]. Of evenly random messages it is the
    time between two; of twenty bars at once and then a silent minute it is half a
    minute, where the plain mean would be three seconds. Half an hour is remembered.

    Args:
        unknown_s: The answer while too little was seen.
    """

    def __init__(self, unknown_s: float) -> None:
        self._unknown_s = unknown_s
        self._last_s: float | None = None
        self._silence_s = self._squares_s2 = 0.0
        self._seen = 0

    def connected(self, now_s: float) -> None:
        """Begin anew: time without a connection or a market was no silence."""
        self._last_s = now_s

    def heard(self, now_s: float) -> None:
        """Learn from one frame of data.

        Args:
            now_s: Monotonic seconds.
        """
        if self._last_s is None:
            self._last_s = now_s
            return
        silence_s = now_s - self._last_s
        fade = math.exp(-silence_s / _MEMORY_S)
        self._silence_s = self._silence_s * fade + silence_s
        self._squares_s2 = self._squares_s2 * fade + silence_s * silence_s
        self._seen += 1
        self._last_s = now_s

    @property
    def expected_s(self) -> float | None:
        """Expected wait for the next frame in seconds; None while unknown."""
        if self._seen < _ENOUGH_MESSAGES:
            return None
        return self._squares_s2 / (2 * self._silence_s) if self._silence_s else 0.0

    @property
    def limit_s(self) -> float:
        """Longest silence that is no alarm, in seconds."""
        expected_s = self.expected_s
        if expected_s is None:
            return self._unknown_s
        return max(SHORTEST_S, FACTOR * expected_s)
