"""A tail and a lake at hand, and ticks to feed them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from api.market_state import MarketState, Reference
from api.payloads import Kinesis, Latency, Rates
from api.responses import Stats
from api.ticks import Opened, Tick
from conf.market import wire
from conf.market.rfc3339 import format_ns

MINUTE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MINUTE_NS = int(MINUTE.timestamp()) * 10**9
SECOND_NS = 10**9


@dataclass
class Tail:
    """What the hub needs of a tail."""

    state: MarketState = field(default_factory=lambda: MarketState(120))
    status: Kinesis = field(default_factory=lambda: Kinesis("ok", 0))
    latency: Latency = field(default_factory=lambda: Latency(0.3, 0.6, 0.4, 0.7))
    rates: Rates = field(default_factory=lambda: Rates(500.0))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.state.be_whole_since(0)


@dataclass
class Lake:
    """What the hub needs of a lake."""

    stats: tuple[int, Sequence[Stats]] | None = None
    prices: dict[str, Reference] = field(default_factory=dict)

    def version(self, name: str) -> int | None:
        return self.stats[0] if self.stats and name == "gold.symbol_stats" else None

    def newest_event_time(self, name: str) -> datetime | None:
        return None if self.version(name) is None else MINUTE

    def newest_stats(self) -> tuple[int, Sequence[Stats]]:
        assert self.stats
        return self.stats

    def references(self) -> Mapping[str, Reference]:
        return self.prices


def trade(
    at_s: float,
    price: float = 100.0,
    size: int = 10,
    *conditions: str,
    symbol: str = "AAPL",
    trade_id: int | None = None,
) -> Tick:
    """A trade so many seconds into the minute; its time is its id, if none is given."""
    event_ns = MINUTE_NS + round(at_s * SECOND_NS)
    message = wire.Trade(
        symbol=symbol,
        trade_id=event_ns if trade_id is None else trade_id,
        exchange="V",
        price=price,
        size=size,
        event_time=format_ns(event_ns),
        conditions=list(conditions or ("@",)),
        tape="C",
    )
    return Tick(message, event_ns, event_ns + 1, 0, 0)


def quote(at_s: float, bid: float, *, symbol: str = "AAPL") -> Tick:
    event_ns = MINUTE_NS + round(at_s * SECOND_NS)
    text = format_ns(event_ns)
    message = wire.Quote(symbol, "V", bid, 1, "Q", bid + 0.02, 2, text, ["R"], "C")
    return Tick(message, event_ns, event_ns + 1, 0, 0)


def bar(
    kind: type[wire.Bar] = wire.Bar, trade_count: int | None = 3, close: float = 99.0
) -> Tick:
    text = format_ns(MINUTE_NS)
    message = kind("AAPL", 98.0, 99.5, 97.5, close, 700, text, trade_count, 98.7, "C")
    return Tick(message, MINUTE_NS, MINUTE_NS + 60 * SECOND_NS, 0, 0)


def record(*ticks: Tick, at_s: float | None = None, kind: str = "data") -> Opened:
    """What one Kinesis record holds, read as its newest tick happened, or then."""
    newest_ns = max((tick.event_time_ns for tick in ticks), default=MINUTE_NS)
    now_ns = newest_ns if at_s is None else MINUTE_NS + round(at_s * SECOND_NS)
    return Opened(
        kind=kind,  # type: ignore[arg-type]
        source="simulator/iex",
        ticks=list(ticks),
        messages=len(ticks),
        receive_time_ns=now_ns,
        market_time_ns=now_ns,
    )


def stats(symbol: str, trade_count: int, source_version: int = 7) -> Stats:
    return Stats(
        symbol=symbol,
        window_start=MINUTE,
        window_end=MINUTE + timedelta(minutes=1),
        window_length_s=60,
        trade_count=trade_count,
        volume=100 * trade_count,
        price_min=99.0,
        price_max=101.0,
        price_mean=100.1,
        price_variance=None if trade_count == 1 else 0.1 + 0.2,
        price_stddev=None if trade_count == 1 else 0.5477225575051661,
        is_final=False,
        source_version=str(source_version),
        updated_time=MINUTE + timedelta(microseconds=123_400),
    )
