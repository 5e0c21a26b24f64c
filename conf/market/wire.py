"""Alpaca's market-data messages: the one place that knows their one-letter keys.

Each message is a struct whose attributes carry the field's standard names and whose
encoding carries Alpaca's keys. The Spark parser, the live tail, the simulator and
the backfill are built from these structs; the oracle has its own, on purpose.

Sources: docs.alpaca.markets, "Real-time Stock Pricing Data" and the frames recorded
from it. Times are RFC 3339 text in UTC with up to nine decimals.
"""

import types
import typing

import msgspec

_SHARED = {"symbol": "S", "event_time": "t", "tape": "z"}
_BAR = {
    **_SHARED,
    "open": "o",
    "high": "h",
    "low": "l",
    "close": "c",
    "volume": "v",
    "trade_count": "n",
    "vwap": "vw",
}


class Trade(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="t",
    rename={
        **_SHARED,
        "trade_id": "i",
        "exchange": "x",
        "price": "p",
        "size": "s",
        "conditions": "c",
    },
):
    """One trade print; price in USD per share, size in shares."""

    symbol: str
    trade_id: int
    exchange: str
    price: float
    size: int
    event_time: str
    conditions: list[str] | None = None
    tape: str | None = None


class Quote(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="q",
    rename={
        **_SHARED,
        "bid_exchange": "bx",
        "bid_price": "bp",
        "bid_size": "bs",
        "ask_exchange": "ax",
        "ask_price": "ap",
        "ask_size": "as",
        "conditions": "c",
    },
):
    """One best bid and offer; prices in USD per share (0 = no quote on that side).

    Sizes are as Alpaca sends them: round lots before 2025-11, shares since.
    """

    symbol: str
    bid_exchange: str
    bid_price: float
    bid_size: int
    ask_exchange: str
    ask_price: float
    ask_size: int
    event_time: str
    conditions: list[str] | None = None
    tape: str | None = None


class Bar(msgspec.Struct, frozen=True, gc=False, tag_field="T", tag="b", rename=_BAR):
    """One closed minute; ``event_time`` is its opening time, vwap in USD."""

    symbol: str
    open: float
    high: float
    low: float
    close: float
    volume: int
    event_time: str
    trade_count: int | None = None
    vwap: float | None = None
    tape: str | None = None


class UpdatedBar(Bar, frozen=True, gc=False, tag_field="T", tag="u", rename=_BAR):
    """A minute restated because a trade arrived after it closed."""


Message = Trade | Quote | Bar | UpdatedBar
"""The messages that silver stores today."""

KNOWN_TYPES: dict[str, str] = {
    "t": "trade",
    "q": "quote",
    "b": "bar",
    "u": "updated bar",
    "d": "daily bar",
    "c": "correction",
    "x": "cancel",
    "s": "status",
    "l": "limit up, limit down",
    "i": "imbalance",
    "n": "news",
}
"""Every data message Alpaca documents, by its ``T``."""

CONTROL_TYPES = frozenset({"success", "error", "subscription"})
"""Control messages: they steer the connection and never enter Kinesis."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """What routing a message needs, whatever its type."""

    type: str | None = msgspec.field(name="T", default=None)
    symbol: str | None = msgspec.field(name="S", default=None)
    event_time: str | None = msgspec.field(name="t", default=None)


def wire_fields(message: type[Message]) -> dict[str, tuple[str, type]]:
    """Return Alpaca's key -> (our name, Python type) of one message, in order.

    Optional fields are given with the type they have when present.
    """
    hints = typing.get_type_hints(message)
    return {
        field.encode_name: (field.name, _present_type(hints[field.name]))
        for field in msgspec.structs.fields(message)
    }


def required_fields(message: type[Message]) -> frozenset[str]:
    """Return the names (ours) without which one message means nothing."""
    return frozenset(f.name for f in msgspec.structs.fields(message) if f.required)


def _present_type(annotation: object) -> type:
    if isinstance(annotation, types.UnionType):
        (present,) = (a for a in annotation.__args__ if a is not type(None))
        return typing.cast("type", present)
    return typing.cast("type", annotation)
