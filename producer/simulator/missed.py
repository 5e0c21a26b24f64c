"""What subscribers did not get: per symbol and channel, from when to when and why.

A subscriber is a key on a feed. It misses what its subscription names from the moment
the server stops sending it (a cut, a mute, its own close …) until it has subscribed
again. An interval that is open stays open whatever else happens meanwhile; its cause
is the first.
"""

from collections.abc import Callable, Iterable

import msgspec

from producer.simulator.batch import Batch, Route
from producer.simulator.peer import Who
from producer.simulator.protocol import CHANNELS, Subscription


class Interval(msgspec.Struct):
    """One symbol of one channel that one subscriber did not get.

    Times are of the schedule's clock (wall clock, epoch ns). ``to_ns`` is None while it
    lasts. ``messages`` were due in it, ``first_due_ns`` to ``last_due_ns``; a quiet
    symbol has none.
    """

    feed: str
    key: str
    channel: str
    symbol: str
    cause: str
    from_ns: int
    to_ns: int | None = None
    messages: int = 0
    first_due_ns: int | None = None
    last_due_ns: int | None = None


class Missed:
    """Keeps the intervals of every subscriber of one market.

    Args:
        symbols: The market's, for who subscribes to all.
        clock: The schedule's clock, epoch ns.
    """

    def __init__(self, symbols: Iterable[str], clock: Callable[[], int]) -> None:
        self._symbols = list(symbols)
        self._clock = clock
        self._open: dict[Who, dict[Route, Interval]] = {}
        self.intervals: list[Interval] = []
        """All of them, in the order they began."""

    def begin(
        self,
        who: Who,
        subscription: Subscription,
        cause: str,
        *,
        since_ns: int | None = None,
        symbols: set[str] | None = None,
    ) -> None:
        """Open the intervals of a subscription, or of some of its symbols."""
        missing = self._open.setdefault(who, {})
        since_ns = self._clock() if since_ns is None else since_ns
        for kind, symbol in self._routes(subscription):
            is_meant = symbols is None or "*" in symbols or symbol in symbols
            if is_meant and (kind, symbol) not in missing:
                interval = Interval(*who, CHANNELS[kind], symbol, cause, since_ns)
                missing[kind, symbol] = interval
                self.intervals.append(interval)

    def end(self, who: Who, subscription: Subscription) -> None:
        """Close the intervals of what a subscriber is sent again."""
        now_ns = self._clock()
        missing = self._open.get(who, {})
        for route in [route for route in missing if subscription.wanted[route]]:
            missing.pop(route).to_ns = now_ns

    def count(self, part: Batch) -> list[bool] | None:
        """Count the messages that somebody misses; None when nobody misses any."""
        absent = [missing for missing in self._open.values() if missing]
        if not absent:
            return None
        return [
            any([_missed(missing, route, due_ns) for missing in absent])
            for route, due_ns in zip(part.routes, part.due_ns, strict=True)
        ]

    def _routes(self, subscription: Subscription) -> list[Route]:
        return [
            (kind, symbol)
            for kind, channel in CHANNELS.items()
            for named in subscription.symbols(channel)
            for symbol in (self._symbols if named == "*" else [named])
        ]


def _missed(missing: dict[Route, Interval], route: Route, due_ns: int) -> bool:
    interval = missing.get(route)
    if interval is None:
        return False
    interval.messages += 1
    # what was due just before the end had not been sent yet
    interval.from_ns = min(interval.from_ns, due_ns)
    interval.first_due_ns = interval.first_due_ns or due_ns
    interval.last_due_ns = due_ns
    return True
