"""What the stream says, as it is encoded: structs, for speed.

``events`` describes the same to OpenAPI; a test holds the two together. Attributes
are in the order of their JSON. Whatever may exceed 2^53 is text, and so are times, in
the one format that every answer of the API has.
"""

from typing import Literal, TypeVar

import msgspec

Topic = Literal["ticker", "candle", "stats", "status"]
TOPICS: tuple[Topic, ...] = ("ticker", "candle", "stats", "status")

Symbols = frozenset[str]
T = TypeVar("T")


class Last(msgspec.Struct, frozen=True):
    """The newest trade that sets the price."""

    price: float
    size: int
    event_time: str
    event_time_ns: str
    exchange: str
    trade_id: str


class Quote(msgspec.Struct, frozen=True):
    """The newest bid and offer; a price of 0 is no quote on that side."""

    bid_price: float
    bid_size: int
    ask_price: float
    ask_size: int
    event_time: str


class Summary(msgspec.Struct, frozen=True):
    """The newest of one symbol; change since its reference price."""

    last: Last | None = None
    quote: Quote | None = None
    reference_price: float | None = None
    reference: Literal["previous_close", "session_open"] | None = None
    change: float | None = None
    change_percent: float | None = None


class Candle(msgspec.Struct, frozen=True):
    """One minute of one symbol."""

    symbol: str
    window_start: str
    window_end: str
    open: float
    high: float
    low: float
    close: float
    volume: int
    trade_count: int | None
    is_final: bool
    source: Literal["trades", "alpaca"]


class Stats(msgspec.Struct, frozen=True):
    """One row of ``gold.symbol_stats``, as the table has it."""

    symbol: str
    window_start: str
    window_end: str
    window_length_s: int
    trade_count: int
    volume: int
    price_min: float
    price_max: float
    price_mean: float
    price_variance: float | None
    price_stddev: float | None
    is_final: bool
    source_version: str
    updated_time: str


class Ticker(msgspec.Struct, frozen=True):
    """``event: ticker``: the symbols that changed."""

    sent_time: str
    market_time: str | None
    snapshot: bool
    symbols: dict[str, Summary]

    def only(self, symbols: Symbols) -> "Ticker":
        """Return what it says of some symbols."""
        kept = {name: row for name, row in self.symbols.items() if name in symbols}
        return msgspec.structs.replace(self, symbols=kept)

    def __bool__(self) -> bool:
        return self.snapshot or bool(self.symbols)


class Candles(msgspec.Struct, frozen=True):
    """``event: candle``: the minutes that changed."""

    sent_time: str
    snapshot: bool
    candles: list[Candle]

    def only(self, symbols: Symbols) -> "Candles":
        """Return what it says of some symbols."""
        return msgspec.structs.replace(self, candles=_of(self.candles, symbols))

    def __bool__(self) -> bool:
        return self.snapshot or bool(self.candles)


class StatsRows(msgspec.Struct, frozen=True):
    """``event: stats``: rows that changed, exactly as at ``table_version``."""

    sent_time: str
    snapshot: bool
    table_version: str | None
    rows: list[Stats]

    def only(self, symbols: Symbols) -> "StatsRows":
        """Return what it says of some symbols."""
        return msgspec.structs.replace(self, rows=_of(self.rows, symbols))

    def __bool__(self) -> bool:
        return self.snapshot or bool(self.rows)


class Market(msgspec.Struct, frozen=True):
    """Whether there is trading; the session's bounds where they are known."""

    state: Literal["open", "closed", "simulated", "replay"]
    session_start: str | None = None
    session_end: str | None = None


class Latency(msgspec.Struct, frozen=True):
    """Over the last minute, until the tail read a record; None without records.

    ``tail``: since the producer read the record's oldest message; ``event``: since
    its first event at the venue, where event clocks are live.
    """

    tail_p50_s: float | None = None
    tail_p95_s: float | None = None
    event_p50_s: float | None = None
    event_p95_s: float | None = None


class Rates(msgspec.Struct, frozen=True):
    """What the tail reads."""

    messages_per_s: float


class Kinesis(msgspec.Struct, frozen=True):
    """How the tail gets on with its stream."""

    state: Literal["ok", "starting", "down"]
    behind_ms: int | None


class TableAge(msgspec.Struct, frozen=True):
    """How fresh a table is."""

    version: int | None
    newest_event_time: str | None
    age_s: float | None


class Status(msgspec.Struct, frozen=True):
    """``event: status``: the pipeline as the API sees it."""

    sent_time: str
    market_time: str | None
    epoch: str
    market: Market
    latency: Latency
    rates: Rates
    kinesis: Kinesis
    tables: dict[str, TableAge]
    clients: int
    snapshot: bool = False

    def only(self, symbols: Symbols) -> "Status":
        """Return itself: it is about no symbol."""
        return self


class Reset(msgspec.Struct, frozen=True):
    """``event: reset``: what was missed is gone; a snapshot follows."""

    reason: Literal["new_epoch", "too_old"]


Payload = Ticker | Candles | StatsRows | Status


def _of(rows: list[T], symbols: Symbols) -> list[T]:
    return [row for row in rows if getattr(row, "symbol") in symbols]  # noqa: B009
