"""What there is to say: what changed since it was last said, and all of it at once.

A snapshot holds exactly what was published so far, so that whoever starts from it
misses nothing and hears nothing twice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

import msgspec

from api import payloads, responses
from api.market_hours import market_at
from api.market_state import MarketState, Reference
from api.payloads import Candle, Payload, Stats, Summary, Topic
from api.responses import rfc3339

SERVED_TABLES = ("silver.trades", "gold.symbol_stats")
STATUS_EVERY_S, STATS_EVERY_S = 1.0, 0.5

News = list[tuple[Topic, Payload]]


class LiveTail(Protocol):
    """What is needed of the tail."""

    @property
    def state(self) -> MarketState:
        """What the page shows as live."""

    @property
    def status(self) -> payloads.Kinesis:
        """How it gets on with its stream."""

    @property
    def latency(self) -> payloads.Latency:
        """How old records were when they were read."""

    @property
    def rates(self) -> payloads.Rates:
        """How much it reads."""


class FreshLake(Protocol):
    """What is needed of the lake; all of it is at hand, nothing waits."""

    def version(self, name: str) -> int | None:
        """Return a table's Delta version; None if there is no such table."""

    def newest_event_time(self, name: str) -> datetime | None:
        """Return the greatest event time of a table."""

    def newest_stats(self) -> tuple[int, Sequence[responses.Stats]]:
        """Return a version of ``gold.symbol_stats`` and its newest row per symbol."""

    def references(self) -> Mapping[str, Reference]:
        """Return the price that each symbol's change is counted from."""


class Publication:
    """Collects news from the tail and the lake.

    Args:
        tail: The live tail.
        lake: The tables.
        epoch: Names this process in ``status``.
    """

    def __init__(self, tail: LiveTail, lake: FreshLake, epoch: str) -> None:
        self._tail, self._lake, self._epoch = tail, lake, epoch
        self._day: date | None = None
        self._revision = -1
        self._summaries: dict[str, Summary] = {}
        self._candles: dict[tuple[str, str], Candle] = {}
        self._stats: dict[str, Stats] = {}
        self._stats_version: int | None = None
        self._status: payloads.Status | None = None
        self._next_status_s = self._next_stats_s = float("-inf")

    async def prepare(self) -> None:
        """Look up today's trading hours where that may take a second."""
        state = self._tail.state
        day = state.market_time and state.market_time.date()
        if day is not None and day != self._day:
            self._day = day
            await asyncio.to_thread(
                market_at, state.market_time, state.source, is_live=state.is_live
            )

    def news(self, now: datetime, clients: int) -> News:
        """Return what changed; from now on it counts as published.

        Args:
            now: Wall clock.
            clients: Open streams, for ``status``.
        """
        news = self._tail_news(now)
        now_s = now.timestamp()
        if now_s >= self._next_stats_s and (stats := self._stats_news(now)):
            self._next_stats_s = now_s + STATS_EVERY_S
            news.append(("stats", stats))
        if now_s >= self._next_status_s:
            self._next_status_s = (now_s // STATUS_EVERY_S + 1) * STATUS_EVERY_S
            self._tail.state.refer(self._lake.references())
            self._status = self._status_now(now, clients)
            news.append(("status", self._status))
        return news

    def snapshot(self, now: datetime, clients: int) -> News:
        """Return all that was published, every topic, also those without a word."""
        status = self._status or self._status_now(now, clients)
        version, sent = self._stats_version, rfc3339(now)
        return [
            (
                "ticker",
                payloads.Ticker(sent, status.market_time, True, dict(self._summaries)),
            ),
            ("candle", payloads.Candles(sent, True, list(self._candles.values()))),
            (
                "stats",
                payloads.StatsRows(
                    sent,
                    True,
                    None if version is None else str(version),
                    list(self._stats.values()),
                ),
            ),
            ("status", msgspec.structs.replace(status, snapshot=True)),
        ]

    def _tail_news(self, now: datetime) -> News:
        state = self._tail.state
        state.advance()
        changes = state.changed_since(self._revision)
        self._revision = changes.revision
        symbols = {
            symbol: summary
            for symbol, summary in changes.symbols.items()
            if self._summaries.get(symbol) != summary
        }
        self._summaries |= symbols
        self._candles |= {(c.symbol, c.window_start): c for c in changes.candles}
        for window in state.forget_old():
            self._candles.pop(window, None)
        sent, market = rfc3339(now), _text(state.market_time)
        ticker = payloads.Ticker(sent, market, False, symbols)
        candles = payloads.Candles(sent, False, changes.candles)
        news: News = [("ticker", ticker), ("candle", candles)]
        return [(topic, payload) for topic, payload in news if payload]

    def _stats_news(self, now: datetime) -> payloads.StatsRows | None:
        if self._lake.version("gold.symbol_stats") in (None, self._stats_version):
            return None
        version, found = self._lake.newest_stats()
        rows = [_to_struct(row) for row in found]
        changed = [row for row in rows if self._stats.get(row.symbol) != row]
        self._stats_version = version
        self._stats = {row.symbol: row for row in rows}
        news = payloads.StatsRows(rfc3339(now), False, str(version), changed)
        return news if news else None

    def _status_now(self, now: datetime, clients: int) -> payloads.Status:
        state = self._tail.state
        market = market_at(state.market_time, state.source, is_live=state.is_live)
        return payloads.Status(
            sent_time=rfc3339(now),
            market_time=_text(state.market_time),
            epoch=self._epoch,
            market=market,
            latency=self._tail.latency,
            rates=self._tail.rates,
            kinesis=self._tail.status,
            tables={name: self._age(name, state) for name in SERVED_TABLES},
            clients=clients,
        )

    def _age(self, table: str, state: MarketState) -> payloads.TableAge:
        newest = self._lake.newest_event_time(table)
        age_s = None
        if newest is not None and state.market_time is not None:
            # By the market clock: a replay's rows are old by any other.
            age_s = round((state.market_time - newest).total_seconds(), 3)
        return payloads.TableAge(self._lake.version(table), _text(newest), age_s)


def _text(time: datetime | None) -> str | None:
    return None if time is None else rfc3339(time)


def _to_struct(row: responses.Stats) -> Stats:
    """Return the row with its numbers and texts exactly as REST gives them."""
    return msgspec.json.decode(row.model_dump_json(), type=Stats)
