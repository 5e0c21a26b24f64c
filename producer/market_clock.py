"""Market time: the wall clock when live, the recording's clock in a replay."""


class MarketClock:
    """Tells the market time of a frame.

    A replay is paced by its recording, so its market time is the newest event time
    seen so far; it never goes back.

    Args:
        live: Whether market time is wall-clock time.
    """

    def __init__(self, *, live: bool) -> None:
        self.live = live
        self._newest_ns = 0

    def at(self, receive_time_ns: int, newest_event_time_ns: int = 0) -> int:
        """Return the market time in nanoseconds when a frame was received.

        Args:
            receive_time_ns: Wall clock.
            newest_event_time_ns: Newest event time of the frame, 0 if it has none.
        """
        if self.live:
            return receive_time_ns
        self._newest_ns = max(self._newest_ns, newest_event_time_ns)
        return self._newest_ns
