"""The query of a market-data request, and the token of its next page."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from conf.market.rfc3339 import parse_ns

DEFAULT_LIMIT = 1_000
MAX_LIMIT = 10_000


class BadQuery(Exception):
    """The request's query is not one that Alpaca would answer."""


class Place(NamedTuple):
    """The last event of a page: the ``nth`` of its symbol at its time."""

    symbol: str
    event_ns: int
    nth: int

    def token(self) -> str:
        """Return the place as ``next_page_token``."""
        text = f"{self.symbol}|{self.event_ns}|{self.nth}"
        return base64.urlsafe_b64encode(text.encode()).decode()


class Query(NamedTuple):
    """What is asked for; times are epoch ns and inclusive."""

    symbols: list[str]
    start_ns: int | None
    end_ns: int | None
    limit: int
    is_descending: bool
    after: Place | None
    timeframe: str


def parse_query(query: Mapping[str, str]) -> Query:
    """Return what a query string asks for.

    Raises:
        BadQuery: Wrong time, limit, sort or page token, or no symbol.
    """
    symbols = sorted(set(filter(None, query.get("symbols", "").split(","))))
    if not symbols:
        raise BadQuery("symbols is required")
    if query.get("sort", "asc") not in ("asc", "desc"):
        raise BadQuery("invalid sort: " + query["sort"])
    try:
        limit = int(query.get("limit") or DEFAULT_LIMIT)
        return Query(
            symbols=symbols,
            start_ns=_time(query.get("start")),
            end_ns=_time(query.get("end")),
            limit=max(1, min(limit, MAX_LIMIT)),
            is_descending=query.get("sort") == "desc",
            after=_place(query.get("page_token")),
            timeframe=query.get("timeframe", ""),
        )
    except ValueError as wrong:
        raise BadQuery(str(wrong)) from wrong


def _time(text: str | None) -> int | None:
    """Return a date or a time as epoch ns: whole nanoseconds, if there are any."""
    if not text:
        return None
    try:
        return parse_ns(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1_000


def _place(token: str | None) -> Place | None:
    if not token:
        return None
    symbol, event_ns, nth = base64.urlsafe_b64decode(token).decode().split("|")
    return Place(symbol, int(event_ns), int(nth))
