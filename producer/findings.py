"""What history has of an interval: how much of each gap, and what of it is news."""

from collections import Counter
from collections.abc import Iterable, Iterator

from conf.market.rfc3339 import parse_ns
from conf.market.wire import CHANNEL_OF_TYPE
from producer.gaps import Gap
from producer.relay import Row
from producer.rows import Fields, Rows
from producer.seen import Seen
from producer.told import Told

# told after what they are about
_LATER = frozenset({"bars", "updatedBars", "corrections", "cancelErrors"})


class Findings:
    """Goes through the pages of one resource, each symbol in time order.

    Args:
        resource: ``trades``, ``quotes`` or ``bars``.
        gaps: All of one interval.
        seen: What the feed told of bars, amendments and halts.
        told: What the stream has of the interval and the time before.
    """

    def __init__(self, resource: str, gaps: list[Gap], seen: Seen, told: Told) -> None:
        self._resource, self._seen, self._told = resource, seen, told
        self._from_ns = gaps[0].from_ns
        self._to_ns = gaps[0].to_ns or self._from_ns
        self._asked = {gap.channel for gap in gaps}
        self._counts: Counter[tuple[str, str]] = Counter()
        self.rows = Rows(seen, self._from_ns, self._to_ns)

    def news(self, found: Iterable[tuple[str, Fields]]) -> Iterator[Row]:
        """Yield what the stream has not, of rows with their symbols."""
        for symbol, fields in found:
            for row in self.rows.of(self._resource, symbol, fields):
                channel = CHANNEL_OF_TYPE[row.message.head.type or ""]
                if channel in self._asked:
                    self._count(channel, symbol, row)
                    if not self._told.has(row):
                        yield row

    def count(self, gap: Gap) -> int:
        """Return how many messages a gap hid, be they news or told since."""
        return self._counts[gap.channel, gap.symbol]

    def _count(self, channel: str, symbol: str, row: Row) -> None:
        time_ns = parse_ns(row.message.head.event_time or "")
        if channel == "trades":
            self._seen.traded(symbol, time_ns)
        if channel in _LATER or self._from_ns <= time_ns < self._to_ns:
            self._counts.update(((channel, symbol), (channel, "*")))
