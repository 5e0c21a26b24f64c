"""``/v2/stocks``: the market data of Alpaca's REST API."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec

from producer.simulator.accounts import FREE_KEY
from producer.simulator.batch import Route
from producer.simulator.paper.orders import RefusedRequest
from producer.simulator.rest.archive import Archive
from producer.simulator.rest.pages import KINDS, Pages
from producer.simulator.rest.query import parse_query
from producer.simulator.slots import MINUTE_NS

RECENT_NS = 15 * MINUTE_NS
"""What a free key may not ask of ``sip``."""

Body = dict[str, Any]


class MarketData:
    """Answers ``/v2/stocks``.

    Args:
        archive: What was sent.
        pages: How to ask it for more than the newest.
        latest: The newest message of each route.
        clock: Market time, epoch ns.
    """

    def __init__(
        self,
        archive: Archive,
        pages: Callable[[], Pages],
        latest: dict[Route, bytes],
        clock: Callable[[], int],
    ) -> None:
        self._archive = archive
        self._pages = pages
        self._latest = latest
        self._clock = clock

    async def answer(self, key: str, path: list[str], query: dict[str, str]) -> Body:
        """Answer one request.

        Raises:
            BadQuery: 400.
            RefusedRequest: 403 or 404.
        """
        match path:
            case [resource] if resource in KINDS:
                return await self._page(key, resource, query)
            case [symbol, resource] if resource in KINDS:
                found = await self._page(key, resource, query | {"symbols": symbol})
                events = found[resource].get(symbol, [])
                return found | {resource: events, "symbol": symbol}
            case [resource, "latest"] if resource in KINDS:
                return {resource: self._newest(resource, query)}
        raise RefusedRequest(HTTPStatus.NOT_FOUND, 40410000, "endpoint not found")

    async def _page(self, key: str, resource: str, query: dict[str, str]) -> Body:
        asked, pages = parse_query(query), self._pages()
        is_recent = asked.end_ns is None or asked.end_ns > self._clock() - RECENT_NS
        if key == FREE_KEY and query.get("feed") == "sip" and is_recent:
            message = "subscription does not permit querying recent SIP data"
            raise RefusedRequest(HTTPStatus.FORBIDDEN, 42210000, message)
        return await self._archive.asked(lambda: pages.page(resource, asked))

    def _newest(self, resource: str, query: dict[str, str]) -> Body:
        found: Body = {}
        for symbol in parse_query(query).symbols:
            text = self._latest.get((KINDS[resource], symbol))
            if text is not None:
                fields = msgspec.json.decode(text)
                found[symbol] = {k: v for k, v in fields.items() if k not in ("T", "S")}
        return found
