"""Figures over the recent past: rates and quantiles of what was just seen."""

from collections import deque

import msgspec

_MOST = 20_000


class Quantiles(msgspec.Struct, frozen=True):
    """Median and 95th percentile, in seconds; None without a sample."""

    p50_s: float | None = None
    p95_s: float | None = None


class RecentSamples:
    """Durations of the last so many seconds, 20,000 at most."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def add(self, now_s: float, duration_s: float) -> None:
        """Take one sample; ``now_s`` is a clock that never goes back."""
        self._samples.append((now_s, duration_s))

    def quantiles(self, now_s: float) -> Quantiles:
        """Return the quantiles of the samples in the window."""
        while self._samples and self._samples[0][0] < now_s - self._window_s:
            self._samples.popleft()
        if not self._samples:
            return Quantiles()
        ordered = sorted(duration_s for _, duration_s in self._samples)
        p50_s, p95_s = (ordered[int(q * (len(ordered) - 1))] for q in (0.5, 0.95))
        return Quantiles(round(p50_s, 3), round(p95_s, 3))


class RecentRate:
    """Events per second over the last so many seconds."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._counts: deque[tuple[float, int]] = deque()
        self._began_s: float | None = None

    def add(self, now_s: float, count: int) -> None:
        """Count events that were seen now."""
        self._began_s = now_s if self._began_s is None else self._began_s
        self._counts.append((now_s, count))

    def per_s(self, now_s: float) -> float:
        """Return the rate; before a whole window, that of the time so far."""
        while self._counts and self._counts[0][0] < now_s - self._window_s:
            self._counts.popleft()
        if self._began_s is None:
            return 0.0
        elapsed_s = max(1.0, min(self._window_s, now_s - self._began_s))
        return round(sum(count for _, count in self._counts) / elapsed_s, 1)
