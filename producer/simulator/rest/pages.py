"""Pages of trades, quotes and bars, as ``GET /v2/stocks/<kind>`` answers them."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from conf.market.rfc3339 import parse_ns
from producer.simulator.history import History
from producer.simulator.rest.archive import Archive, Event
from producer.simulator.rest.bars import aggregated, length_ns
from producer.simulator.rest.query import Place, Query

KINDS = {"trades": "t", "quotes": "q", "bars": "b"}
"""Resource -> Alpaca's ``T``."""
_NEVER_NS = 2**62

Between = Callable[[int, int], Iterator[Event]]
Withheld = Callable[[str, str, int], bool]


class Pages:
    """Answers queries from the archive and the sessions before it.

    Args:
        archive: What the market sent; ``page`` must run on its thread.
        history: The sessions before the market, if there are any.
        withheld: Whether an event (channel, symbol, time) must not be told.
    """

    def __init__(
        self, archive: Archive, history: History | None, withheld: Withheld
    ) -> None:
        self._archive = archive
        self._history = history
        self._withheld = withheld

    def page(self, resource: str, query: Query) -> dict[str, Any]:
        """Return one page: ordered by symbol, then time; the limit is over all symbols.

        Without ``start`` it is the sessions before the market: Alpaca begins with the
        current day, which here has no other meaning.

        Raises:
            BadQuery: No timeframe, or one that Alpaca does not have.
        """
        start_ns, end_ns = self._range(query)
        found: dict[str, list[dict[str, Any]]] = {}
        last: Place | None = None
        for count, (place, fields) in enumerate(
            self._places(resource, query, start_ns, end_ns)
        ):
            if count == query.limit:
                token = last.token() if last else None
                return {resource: found, "next_page_token": token}
            found.setdefault(place.symbol, []).append(fields)
            last = place
        return {resource: found, "next_page_token": None}

    def _range(self, query: Query) -> tuple[int, int]:
        end_ns = _NEVER_NS if query.end_ns is None else query.end_ns
        if query.start_ns is not None or self._history is None:
            return query.start_ns or 0, end_ns
        return self._history.span[0], min(end_ns, self._history.span[1] - 1)

    def _places(
        self, resource: str, query: Query, start_ns: int, end_ns: int
    ) -> Iterator[tuple[Place, dict[str, Any]]]:
        for symbol in query.symbols:
            if query.after is not None and symbol < query.after.symbol:
                continue
            events = self._events(resource, symbol, query, start_ns, end_ns)
            at_one_time = itertools.groupby(events, key=lambda event: event.event_ns)
            for event_ns, same in at_one_time:
                for nth, event in enumerate(same):
                    place = Place(symbol, event_ns, nth)
                    if not _was_told(place, query):
                        yield place, event.fields

    def _events(
        self, resource: str, symbol: str, query: Query, start_ns: int, end_ns: int
    ) -> Iterable[Event]:
        between = self._between(resource, symbol, query.timeframe)
        if query.after is not None and query.after.symbol == symbol:
            if query.is_descending:
                end_ns = min(end_ns, query.after.event_ns)
            else:
                start_ns = max(start_ns, query.after.event_ns)
        events = (
            event
            for event in between(start_ns, end_ns)
            if not self._withheld(resource, symbol, event.event_ns)
        )
        return reversed(list(events)) if query.is_descending else events

    def _between(self, resource: str, symbol: str, timeframe: str) -> Between:
        sent = self._archive.events(KINDS[resource], symbol)
        if resource == "trades":
            return lambda start, end: self._amended(symbol, sent, start, end)
        if resource == "bars":
            of_minutes = lambda start, end: self._minutes(symbol, sent, start, end)  # noqa: E731
            return aggregated(of_minutes, length_ns(timeframe))
        return sent

    def _minutes(
        self, symbol: str, sent: Between, start_ns: int, end_ns: int
    ) -> Iterator[Event]:
        """Yield the latest revision of each minute."""
        for bar in self._history.bars(symbol) if self._history else ():
            opened_ns = parse_ns(bar.event_time)
            if start_ns <= opened_ns <= end_ns:
                fields = msgspec.to_builtins(bar)
                kept = {k: v for k, v in fields.items() if k not in ("T", "S", "z")}
                yield Event(opened_ns, kept)
        by_minute = itertools.groupby(sent(start_ns, end_ns), key=lambda bar: bar[0])
        for _, revisions in by_minute:
            *_, latest = revisions
            yield latest

    def _amended(
        self, symbol: str, sent: Between, start_ns: int, end_ns: int
    ) -> Iterator[Event]:
        """Yield the trades with what became of them in ``u``, as Alpaca tells it.

        A cancelled trade stays, as ``canceled``; a corrected one too, as ``incorrect``,
        and its correction follows as ``corrected``.
        """
        for trade in sent(start_ns, end_ns):
            yield from self._become(symbol, trade)

    def _become(self, symbol: str, trade: Event) -> Iterator[Event]:
        event_ns, fields = trade
        message = self._archive.amendment(symbol, fields["x"], fields["i"])
        if not message:
            yield trade
        elif message["T"] == "x":
            yield Event(event_ns, fields | {"u": "canceled"})
        else:
            yield Event(event_ns, fields | {"u": "incorrect"})
            corrected = {key: message[f"c{key}"] for key in "ipsc"}
            after = Event(event_ns, fields | corrected | {"u": "corrected"})
            yield from self._become(symbol, after)


def _was_told(place: Place, query: Query) -> bool:
    after = query.after
    if after is None or (place.symbol, place.event_ns) != after[:2]:
        return False
    return place.nth <= after.nth
