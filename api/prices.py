"""Newest prices of every symbol: from the lake, where no live tail has newer ones."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import NamedTuple

import msgspec

from api import questions
from api.lake import Lake, Reference
from api.market_state import MarketState
from api.questions import Row
from api.responses import Last, LiveSummary, Quote
from api.snapshots import Snapshot
from conf.lake.tables import QUOTES, TRADES

_SPAN = timedelta(minutes=15)
"""Of event time; what was quiet for longer has no newest price here."""


class Prices(NamedTuple):
    """What is known of each symbol.

    Attributes:
        version: Changes whenever a summary does.
        summaries: By symbol.
    """

    version: str
    summaries: Mapping[str, LiveSummary]


PriceSource = Callable[[], Awaitable[Prices]]


class LakePrices:
    """Newest trade and quote of each symbol in silver.

    Args:
        lake: The tables.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._known = Prices("", {})

    async def __call__(self) -> Prices:
        """Return the newest prices; computed once per version of the tables."""
        tables = (TRADES.name, QUOTES.name, "silver.bars")
        version = ".".join(str(self._lake.version(name)) for name in tables)
        if version != self._known.version:
            trades, quotes = (self._lake.snapshots.get(name) for name in tables[:2])
            last = await self._newest(trades, questions.NEWEST_TRADES)
            quote = await self._newest(quotes, questions.NEWEST_QUOTES)
            found = dict(_summaries(last, quote, self._lake.references()))
            self._known = Prices(version, found)
        return self._known

    async def _newest(self, snapshot: Snapshot | None, sql: str) -> dict[str, Row]:
        rows = await self._lake.recent(snapshot, _SPAN, sql) if snapshot else []
        return {row["symbol"]: row["newest"] for row in rows}


class LivePrices:
    """Those of the lake, overtaken by what the live tail has read.

    Args:
        lake: For symbols that were quiet since the API started.
        state: Of the tail.
    """

    def __init__(self, lake: LakePrices, state: MarketState) -> None:
        self._lake, self._state = lake, state

    async def __call__(self) -> Prices:
        """Return the newest prices."""
        stored = await self._lake()
        live = {
            symbol: LiveSummary.model_validate(msgspec.to_builtins(summary))
            for symbol, summary in self._state.summaries().items()
        }
        newest = {
            symbol: _overtake(summary, stored.summaries.get(symbol))
            for symbol, summary in live.items()
        }
        version = f"{stored.version}.{self._state.revision}"
        return Prices(version, {**stored.summaries, **newest})


def _overtake(live: LiveSummary, stored: LiveSummary | None) -> LiveSummary:
    """Return what is live; of the lake's what the tail has not read yet."""
    if stored is None or (live.last and live.quote):
        return live
    if live.last:
        return live.model_copy(update={"quote": stored.quote})
    return stored.model_copy(update={"quote": live.quote or stored.quote})


def _summaries(
    last: Mapping[str, Row],
    quote: Mapping[str, Row],
    references: Mapping[str, Reference],
) -> Iterator[tuple[str, LiveSummary]]:
    for symbol in sorted({*last, *quote, *references}):
        yield (
            symbol,
            summarize(
                Last(**last[symbol]) if symbol in last else None,
                Quote(**quote[symbol]) if symbol in quote else None,
                references.get(symbol),
            ),
        )


def summarize(
    last: Last | None, quote: Quote | None, reference: Reference | None
) -> LiveSummary:
    """Return a symbol's summary with its change since the reference price."""
    price = reference.price if reference else None
    change = None if last is None or price is None else last.price - price
    percent = None if change is None or not price else round(100 * change / price, 4)
    return LiveSummary(
        last=last,
        quote=quote,
        reference_price=price,
        reference=reference.kind if reference else None,
        change=None if change is None else round(change, 6),
        change_percent=percent,
    )
