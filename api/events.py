"""The events of the stream, as OpenAPI describes them.

``payloads`` is what is sent; here is what a client may rely on.
"""

from typing import Literal

from pydantic import BaseModel, Field, RootModel

from api.responses import LiveSummary, Price, Shares, Stats, Symbol, Time, Version


class Candle(BaseModel):
    """One minute, half-open; prices in USD by the sale-condition rules."""

    symbol: Symbol
    window_start: Time
    window_end: Time
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Shares
    trade_count: int | None
    is_final: bool = Field(description="The market clock has passed its end by 1.5 s")
    source: Literal["trades", "alpaca"] = Field(description="Who counted")


class TickerEvent(BaseModel):
    """``event: ticker``: the symbols that changed; all of them in a snapshot."""

    sent_time: Time
    market_time: Time | None
    snapshot: bool
    symbols: dict[str, LiveSummary]


class CandleEvent(BaseModel):
    """``event: candle``: the minutes that changed, the forming ones among them."""

    sent_time: Time
    snapshot: bool
    candles: list[Candle]


class StatsEvent(BaseModel):
    """``event: stats``: changed rows, exactly as the table had them at its version."""

    sent_time: Time
    snapshot: bool
    table_version: Version | None
    rows: list[Stats]


class MarketHours(BaseModel):
    """Whether there is trading."""

    state: Literal["open", "closed", "simulated", "replay"]
    session_start: Time | None
    session_end: Time | None


class LiveLatency(BaseModel):
    """Seconds until the API read a record, over the last minute."""

    tail_p50_s: float | None = Field(description="Since the producer received it")
    tail_p95_s: float | None
    event_p50_s: float | None = Field(description="Since it happened at the venue")
    event_p95_s: float | None


class LiveRates(BaseModel):
    """What the live tail reads."""

    messages_per_s: float


class KinesisState(BaseModel):
    """How the live tail gets on with its stream."""

    state: Literal["ok", "starting", "down"]
    behind_ms: int | None


class TableFreshness(BaseModel):
    """How fresh a table is, by the market clock."""

    version: int | None
    newest_event_time: Time | None
    age_s: float | None


class StatusEvent(BaseModel):
    """``event: status``, each second: the pipeline as the API sees it."""

    sent_time: Time
    market_time: Time | None
    epoch: str = Field(description="Names the API's process")
    market: MarketHours
    latency: LiveLatency
    rates: LiveRates
    kinesis: KinesisState
    tables: dict[str, TableFreshness]
    clients: int = Field(description="Open streams")
    snapshot: bool


class ResetEvent(BaseModel):
    """``event: reset``: what was missed is gone: get bars anew. A snapshot follows."""

    reason: Literal["new_epoch", "too_old"]


class StreamEvent(
    RootModel[TickerEvent | CandleEvent | StatsEvent | StatusEvent | ResetEvent]
):
    """The data of one event; its topic says which."""
