"""Pages of Alpaca's history of an interval, asked for until there are no more."""

import time
from collections.abc import AsyncIterator

from conf.market.rfc3339 import format_ns
from conf.settings import Settings
from producer.history_process import HistoryProcess, Page

PAGE_ROWS = 5_000
_SYMBOLS = 100
_BARS_LOOKBACK_NS = 300_000_000_000
_NS_PER_S = 1_000_000_000


class HistoryPages:
    """What history has of some symbols.

    Args:
        settings: Feed, and how far before an interval to look.
        history: Answers pages.
    """

    def __init__(self, settings: Settings, history: HistoryProcess) -> None:
        self._feed, self._history = settings.alpaca.feed, history
        self._lookback_ns = settings.backfill.lookback_s * _NS_PER_S

    def since_ns(self, from_ns: int) -> int:
        """Return from when on ticks are asked for, of an interval that begins then."""
        return max(0, from_ns - self._lookback_ns)

    def until_ns(self, to_ns: int) -> int:
        """Return until when the feed may tell of an interval: delayed messages."""
        return to_ns + self._lookback_ns

    async def of(
        self, resource: str, symbols: list[str], from_ns: int, to_ns: int
    ) -> AsyncIterator[Page]:
        """Yield everything from some time before an interval to its end.

        Raises:
            RetryLater: History does not answer now.
            NoHistory: It never will.
        """
        query = self._query(resource, from_ns, to_ns)
        for first in range(0, len(symbols), _SYMBOLS):
            query["symbols"] = ",".join(symbols[first : first + _SYMBOLS])
            token: str | None = None
            while True:
                more = {"page_token": token} if token else {}
                page = await self._history.page(
                    resource, {**query, **more}, time.time()
                )
                yield page
                token = page.next_token
                if token is None:
                    break

    def _query(self, resource: str, from_ns: int, to_ns: int) -> dict[str, str]:
        query = {"end": format_ns(to_ns), "limit": str(PAGE_ROWS), "sort": "asc"}
        since_ns = self.since_ns(from_ns)
        if resource == "bars":
            # as the feed sends them: split-adjusted ones would be other bars
            query |= {"timeframe": "1Min", "adjustment": "raw"}
            since_ns = max(0, from_ns - _BARS_LOOKBACK_NS)
        if self._feed != "test":
            query["feed"] = self._feed
        query["start"] = format_ns(since_ns)
        return query
