"""What the API answers: one model per JSON object, the source of the OpenAPI schema.

Times are RFC 3339 in UTC with microseconds. Integers that may exceed 2^53 (nanoseconds,
trade ids) are strings, because JavaScript's numbers cannot hold them. What is not known
is null.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

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


class _Answer(BaseModel):
    # Rows of the lake hold integers where JSON has strings.
    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)


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


class _Window(_Answer):
    symbol: Symbol
    window_start: Time = Field(description="Inclusive")
    window_end: Time = Field(description="Exclusive")


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
