"""Symbols, trades, quotes, bars and statistics."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from api import questions
from api.lake import Lake
from api.pages import page, tagged
from api.prices import PriceSource
from api.problems import NOT_MODIFIED, documented
from api.questions import Question, Row
from api.requests import BarsQuery, QuotesQuery, StatsQuery, SymbolsQuery, TradesQuery
from api.responses import (
    Bar,
    Bars,
    QuoteRow,
    Quotes,
    Stats,
    StatsPage,
    Symbols,
    SymbolSummary,
    Trade,
    Trades,
)
from api.snapshots import Snapshot, microseconds
from conf.lake.tables import BARS, QUOTES, SYMBOL_STATS, TRADES

_TRADE_KEY = ("event_time_ns", "symbol", "exchange", "trade_id")
_QUOTE_KEY = ("event_time_ns", "symbol", "quote_hash", "occurrence")
_WINDOW_KEY = ("window_start",)
_MINUTE = timedelta(minutes=1)

router = APIRouter(
    prefix="/api/v1",
    tags=["market"],
    responses={**NOT_MODIFIED, **documented(422, 503)},
)


@router.get("/symbols", response_model=Symbols)
async def list_symbols(
    request: Request, query: Annotated[SymbolsQuery, Query()]
) -> Response:
    """Newest trade and quote of each symbol and its change, in alphabetical order."""
    prices = await cast("PriceSource", request.app.state.prices)()
    after = query.after[0] if query.after else ""
    names = sorted(name for name in prices.summaries if name > after)
    shown = names[: query.limit]

    async def symbols() -> Symbols:
        items = [
            SymbolSummary(symbol=name, **dict(prices.summaries[name])) for name in shown
        ]
        key = [shown[-1]] if len(names) > len(shown) else None
        snapshot = _lake(request).snapshots.get(TRADES.name)
        return Symbols(**page(TRADES.name, snapshot, items, key))

    return await tagged(request, "symbols", prices.version, symbols)


@router.get("/trades", response_model=Trades)
async def list_trades(
    request: Request, query: Annotated[TradesQuery, Query()]
) -> Response:
    """Trades, newest first."""

    def trades(rows: list[Row], snapshot: Snapshot | None) -> Trades:
        shown, key = _cut(rows, query.limit, _TRADE_KEY)
        items = [Trade(**row) for row in shown]
        return Trades(**page(TRADES.name, snapshot, items, key))

    return await _answer(request, questions.trades(query), trades)


@router.get("/quotes", response_model=Quotes)
async def list_quotes(
    request: Request, query: Annotated[QuotesQuery, Query()]
) -> Response:
    """Quotes, newest first."""

    def quotes(rows: list[Row], snapshot: Snapshot | None) -> Quotes:
        shown, key = _cut(rows, query.limit, _QUOTE_KEY)
        items = [QuoteRow(**row) for row in shown]
        return Quotes(**page(QUOTES.name, snapshot, items, key))

    return await _answer(request, questions.quotes(query), quotes)


@router.get("/bars", response_model=Bars)
async def list_bars(request: Request, query: Annotated[BarsQuery, Query()]) -> Response:
    """The newest bars of a symbol in ascending order; the next page holds older ones.

    A bar longer than a minute is folded from the minutes that there are.
    """
    length = timedelta(seconds=query.bar_length_s)

    def bars(rows: list[Row], snapshot: Snapshot | None) -> Bars:
        shown, key = _cut(rows, query.limit, _WINDOW_KEY)
        newest = None if snapshot is None else snapshot.newest_event_time
        items = [
            Bar(
                **row,
                window_end=(window_end := row["window_start"] + length),
                bar_length_s=query.bar_length_s,
                # A bar is known when its minute is over: so far the market has come.
                is_final=newest is not None and window_end <= newest + _MINUTE,
            )
            for row in reversed(shown)
        ]
        return Bars(**page(BARS.name, snapshot, items, key))

    return await _answer(request, questions.bars(query), bars)


@router.get("/stats", response_model=StatsPage)
async def list_stats(
    request: Request, query: Annotated[StatsQuery, Query()]
) -> Response:
    """The newest window of every symbol; of one symbol all windows, newest first."""
    if query.symbol is None:
        return await _newest_stats(request, query)

    def stats(rows: list[Row], snapshot: Snapshot | None) -> StatsPage:
        shown, key = _cut(rows, query.limit, (*_WINDOW_KEY, "symbol"))
        items = [Stats(**row) for row in shown]
        return StatsPage(**page(SYMBOL_STATS.name, snapshot, items, key))

    return await _answer(request, questions.stats_of_symbol(query), stats)


async def _newest_stats(request: Request, query: StatsQuery) -> Response:
    lake = _lake(request)
    version, rows = lake.newest_stats()
    snapshot = lake.snapshots.get(SYMBOL_STATS.name)
    if query.window != "1m" and snapshot is not None:
        version = snapshot.version
        rows = await lake.newest_windows(snapshot, query.window)
    after = query.after[1] if query.after else ""
    left = [row for row in rows if row.symbol > after]

    async def stats() -> StatsPage:
        items = left[: query.limit]
        last = items[-1] if len(left) > len(items) else None
        key = None if last is None else (microseconds(last.window_start), last.symbol)
        told = page(SYMBOL_STATS.name, snapshot, items, key)
        return StatsPage(**told)

    return await tagged(request, SYMBOL_STATS.name, version, stats)


async def _answer(
    request: Request,
    question: Question,
    make: Callable[[list[Row], Snapshot | None], BaseModel],
) -> Response:
    lake, name = _lake(request), question.contract.name
    snapshot = lake.snapshots.get(name)

    async def answer() -> BaseModel:
        rows = await lake.ask(question, snapshot) if snapshot else []
        return await run_in_threadpool(make, rows, snapshot)

    return await tagged(request, name, snapshot and snapshot.version, answer)


def _cut(
    rows: list[Row], limit: int, key: Sequence[str]
) -> tuple[list[Row], list[int | str] | None]:
    """Return the rows of the page and, if one more was found, the last one's key."""
    shown = rows[:limit]
    if len(rows) <= limit:
        return shown, None
    values = (shown[-1][name] for name in key)
    return shown, [microseconds(v) if isinstance(v, datetime) else v for v in values]


def _lake(request: Request) -> Lake:
    return cast("Lake", request.app.state.lake)
