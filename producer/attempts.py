"""When an interval that could not be filled is tried again, and with what known."""

from producer.backoff import Backoff
from producer.told import Told

_SETTLE_S = 2.0
_FIRST_WAIT_S, _MAX_WAIT_S = 2.0, 60.0


class Attempts:
    """When an interval is tried next, and since when."""

    def __init__(self, now_s: float) -> None:
        self.since_s: float | None = None
        """Of the first try: waiting behind other intervals is no failure."""
        self.due_s = now_s + _SETTLE_S
        self.told = Told()
        """What the stream has of the interval: read once, however often it is tried."""
        self._backoff = Backoff(_FIRST_WAIT_S, _MAX_WAIT_S, draw=lambda: 1.0)

    def begin(self, now_s: float) -> None:
        """Take note of a try."""
        if self.since_s is None:
            self.since_s = now_s

    def waited_s(self, now_s: float) -> float:
        """Return how long it has been tried in vain."""
        return 0.0 if self.since_s is None else now_s - self.since_s

    def postpone(self, now_s: float, least_s: float = 0.0) -> None:
        """Try again later."""
        self.due_s = now_s + max(least_s, self._backoff.next_s())
