"""How many messages of each symbol and channel may be expected."""

from collections.abc import Mapping

from conf.market.wire import CHANNEL_OF_TYPE

_WINDOW_S = 60.0

Counts = Mapping[str, Mapping[str, int]]
"""Messages so far by symbol, then by message type."""


class Rates:
    """Learns from running counts, a minute at a time; the newest minute counts half."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], int] = {}
        self._now: dict[tuple[str, str], int] = {}
        self._elapsed_s = 0.0
        self._rates: dict[tuple[str, str], float] = {}

    def update(self, counts: Counts, live_s: float) -> None:
        """Take note of the counts.

        Args:
            counts: So far.
            live_s: How long the feed was live since the last call.
        """
        self._now = {
            (CHANNEL_OF_TYPE.get(kind, kind), symbol): count
            for symbol, kinds in counts.items()
            for kind, count in kinds.items()
        }
        self._elapsed_s += live_s
        if self._elapsed_s >= _WINDOW_S:
            current = {key: self._rate_now(key) for key in self._now}
            old = self._rates
            self._rates = {
                key: (rate + old[key]) / 2 if key in old else rate
                for key, rate in current.items()
            }
            self._before, self._elapsed_s = self._now, 0.0

    def per_s(self, channel: str, symbol: str) -> float:
        """Return the expected messages per second; ``*`` means of all symbols."""
        if symbol == "*":
            keys = [key for key in self._now if key[0] == channel]
            return sum(self.per_s(*key) for key in keys)
        key = (channel, symbol)
        return self._rates[key] if key in self._rates else self._rate_now(key)

    def _rate_now(self, key: tuple[str, str]) -> float:
        count = self._now.get(key, 0) - self._before.get(key, 0)
        return count / self._elapsed_s if self._elapsed_s else 0.0
