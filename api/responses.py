"""What the API answers: one model per JSON object, the source of the OpenAPI schema.

Times are RFC 3339 in UTC with microseconds. Integers that may exceed 2^53 (nanoseconds,
trade ids) are strings, because JavaScript's numbers cannot hold them. What is not known
is null.
"""

from datetime import UTC, datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)


def rfc3339(moment: datetime) -> str:
    """Return UTC text with six decimals and ``Z``."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


_TIME_SCHEMA = {"type": "string", "format": "date-time"}
_EXAMPLE_TIME = "2026-11-23T14:30:00.123456Z"
Time = Annotated[
    AwareDatetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({**_TIME_SCHEMA, "examples": [_EXAMPLE_TIME]}),
]
Symbol = Annotated[
    str, Field(description="Ticker, as Alpaca writes it", examples=["AAPL"])
]
Price = Annotated[float, Field(description="USD per share", examples=[211.42])]
Shares = Annotated[int, Field(description="Shares", examples=[100])]
Exchange = Annotated[str, Field(description="Venue code", examples=["V"])]
Nanoseconds = Annotated[
    str,
    Field(
        description="Venue's clock, ns since 1970 UTC",
        examples=["1795444200123456789"],
    ),
]
TradeId = Annotated[
    str, Field(description="Venue's id of the print", examples=["52983525029461"])
]
Version = Annotated[
    str, Field(description="Delta version of the table", examples=["4711"])
]
Seconds = Annotated[float, Field(description="Seconds", examples=[0.84])]
Item = TypeVar("Item", bound=BaseModel)


class _Answer(BaseModel):
    # Rows of the lake hold integers where JSON has strings.
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)


class Page(_Answer, Generic[Item]):
    """Rows of one Delta version of one table."""

    items: list[Item]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` for the next page; null on the last one"
    )
    table_version: Version | None = Field(
        description="All items are of this version; null if there is no table"
    )
    newest_event_time: Time | None = Field(
        description="Newest event time in the table, whatever was asked for"
    )
    hint: str | None = Field(
        description="Why there are no items",
        examples=[None, "silver.trades has no rows yet: the market has not opened"],
    )


class Problem(_Answer):
    """RFC 9457, with a hint at what to do."""

    type: str = Field(description="Always about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no GET /api/v1/trade"])
    hint: str = Field(examples=["/openapi.json lists every path"])


class Health(_Answer):
    """The process answers."""

    status: Literal["ok"]
    version: str = Field(examples=["0.1.0"])


class Dependency(_Answer):
    """One thing that the API reads."""

    name: str = Field(
        description="`lake`, `kinesis` or a table", examples=["silver.trades"]
    )
    state: Literal["ok", "stale", "empty", "missing", "down"]
    newest_time: Time | None = Field(description="Event time of its newest row")
    age_s: Seconds | None = Field(
        description="Seconds since it last changed, by the wall clock"
    )
    detail: str | None = Field(
        description="What is wrong, and what to do", examples=[None]
    )


class Readiness(_Answer):
    """Whether the API has something to show."""

    status: Literal["ready", "starting", "degraded"]
    dependencies: list[Dependency]


class Last(_Answer):
    """The newest trade of a symbol."""

    price: Price
    size: Shares
    event_time: Time
    event_time_ns: Nanoseconds
    exchange: Exchange
    trade_id: TradeId


class Quote(_Answer):
    """The newest quote of a symbol; a price of 0 means that side is empty."""

    bid_price: Price
    bid_size: int = Field(description="As sent: round lots or shares", examples=[2])
    ask_price: Price
    ask_size: int = Field(description="As sent: round lots or shares", examples=[1])
    event_time: Time


class LiveSummary(_Answer):
    """What is known of a symbol now."""

    last: Last | None
    quote: Quote | None
    reference_price: Price | None = Field(description="What `change` is counted from")
    reference: Literal["previous_close", "session_open"] | None
    change: float | None = Field(
        description="Last price minus reference price, USD", examples=[1.37]
    )
    change_percent: float | None = Field(examples=[0.65])


class SymbolSummary(LiveSummary):
    """A symbol and what is known of it now."""

    symbol: Symbol


class Trade(_Answer):
    """One trade print as reported."""

    symbol: Symbol
    event_time: Time
    event_time_ns: Nanoseconds
    exchange: Exchange
    trade_id: TradeId
    price: Price
    size: Shares
    conditions: list[str] = Field(
        description="Sale condition codes", examples=[["@", "I"]]
    )
    tape: str | None = Field(description="A NYSE, B regional, C Nasdaq", examples=["C"])
    receive_time: Time = Field(description="Producer's clock")
    arrival_time: Time = Field(description="Kinesis's clock")
    ingest_time: Time = Field(description="Spark's clock")


class QuoteRow(Quote):
    """One best bid and offer."""

    symbol: Symbol
    event_time_ns: Nanoseconds
    occurrence: int = Field(
        description="Identical quotes of this instant before it", examples=[0]
    )
    bid_exchange: Exchange | None
    ask_exchange: Exchange | None
    conditions: list[str] = Field(description="Condition codes", examples=[["R"]])
    tape: str | None = Field(description="A NYSE, B regional, C Nasdaq", examples=["C"])
    receive_time: Time = Field(description="Producer's clock")
    arrival_time: Time = Field(description="Kinesis's clock")
    ingest_time: Time = Field(description="Spark's clock")


class _Window(_Answer):
    symbol: Symbol
    window_start: Time = Field(description="Inclusive")
    window_end: Time = Field(description="Exclusive")


class Bar(_Window):
    """The latest revision of a bar; lengths above a minute are folded from minutes."""

    open: Price
    high: Price
    low: Price
    close: Price
    volume: Shares
    bar_length_s: int = Field(examples=[60])
    trade_count: int | None = Field(
        description="Null if a minute of it has none", examples=[420]
    )
    vwap: Price | None = Field(
        description="Volume-weighted mean price; null if a minute of it has none"
    )
    revision: int = Field(
        description="0 as first sent; the highest of its minutes", examples=[0]
    )
    known_time: Time = Field(description="Market clock when it became known")
    is_final: bool = Field(description="The market clock has passed its end")


class Stats(_Window):
    """A row of `gold.symbol_stats`, exactly as the table has it."""

    window_length_s: int = Field(examples=[60])
    trade_count: int = Field(examples=[420])
    volume: Shares
    price_min: Price
    price_max: Price
    price_mean: Price
    price_variance: float | None = Field(
        description="Sample variance, USD²; null for one trade", examples=[0.0121]
    )
    price_stddev: float | None = Field(
        description="Square root of price_variance", examples=[0.11]
    )
    is_final: bool
    source_version: Version = Field(description="silver.trades version it reflects")
    updated_time: Time = Field(description="Wall clock of its last change")


class TableColumn(_Answer):
    """One column of a table's contract."""

    name: str = Field(examples=["price"])
    type: str = Field(description="Arrow type", examples=["double"])
    nullable: bool
    meaning: str = Field(examples=["USD per share"])


class TableSummary(_Answer):
    """A table's contract and what the table holds."""

    name: str = Field(examples=["silver.trades"])
    layer: str = Field(examples=["silver"])
    grain: str = Field(
        description="What one row is", examples=["one trade print as reported"]
    )
    key: list[str]
    partition_by: list[str]
    writer: str = Field(
        description="The one process that writes it", examples=["silver"]
    )
    contract_version: int = Field(examples=[1])
    exists: bool
    version: int | None = Field(description="Delta version", examples=[4711])
    rows: int | None = Field(examples=[1_228_800])
    files: int | None = Field(examples=[31])
    size_bytes: int | None = Field(examples=[52_428_800])
    newest_event_time: Time | None
    newest_commit_time: Time | None
    columns: list[TableColumn]


class Symbols(Page[SymbolSummary]):
    """Every symbol, in alphabetical order."""


class Trades(Page[Trade]):
    """Trades, newest first."""


class Quotes(Page[QuoteRow]):
    """Quotes, newest first."""


class Bars(Page[Bar]):
    """The newest bars in ascending order; the next page holds older ones."""


class StatsPage(Page[Stats]):
    """Statistics: the newest window of every symbol, or one symbol's, newest first."""


class Tables(_Answer):
    """Every table of the lake."""

    items: list[TableSummary]
