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


class DailyBar(Bar, frozen=True, gc=False, tag_field="T", tag="d", rename=_BAR):
    """A day so far, sent each minute; ``event_time`` is the day's midnight, New York.

    It follows the rules of day bars: see ``conditions.Condition.day``.
    """


class Correction(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="c",
    rename={
        **_SHARED,
        "exchange": "x",
        "original_id": "oi",
        "original_price": "op",
        "original_size": "os",
        "original_conditions": "oc",
        "corrected_id": "ci",
        "corrected_price": "cp",
        "corrected_size": "cs",
        "corrected_conditions": "cc",
    },
):
    """An earlier trade replaced by another; it comes to whoever has the trades.

    ``event_time`` is the correction's own, not the trade's. A corrected trade can be
    corrected or cancelled again, by its corrected id.
    """

    symbol: str
    exchange: str
    original_id: int
    original_price: float
    original_size: int
    corrected_id: int
    corrected_price: float
    corrected_size: int
    event_time: str
    original_conditions: list[str] | None = None
    corrected_conditions: list[str] | None = None
    tape: str | None = None


class CancelError(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="x",
    rename={
        **_SHARED,
        "trade_id": "i",
        "exchange": "x",
        "price": "p",
        "size": "s",
        "action": "a",
    },
):
    """An earlier trade taken back; it comes to whoever has the trades.

    ``action`` is C (cancelled) or E (entered in error); price and size are the trade's,
    ``event_time`` is the cancel's own.
    """

    symbol: str
    trade_id: int
    exchange: str
    price: float
    size: int
    action: str
    event_time: str
    tape: str | None = None


HALT_CODES = frozenset({"H", "P", "2"})
"""Status codes that stop trading: tape C's H and P (a pause), tapes A and B's 2."""


class Status(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="s",
    rename={
        **_SHARED,
        "status_code": "sc",
        "status_message": "sm",
        "reason_code": "rc",
        "reason_message": "rm",
    },
):
    """A trading status, such as a halt or a resumption.

    The codes are the tape's: UTP's on tape C (halt ``H``, resumption ``T``), CTA's on
    A and B (halt ``2``, resumption ``3``).
    """

    symbol: str
    status_code: str
    status_message: str
    reason_code: str
    reason_message: str
    event_time: str
    tape: str | None = None


class PriceBand(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="T",
    tag="l",
    rename={
        **_SHARED,
        "limit_up_price": "u",
        "limit_down_price": "d",
        "indicator": "i",
    },
):
    """Limit up, limit down: between which prices, in USD, a symbol may trade."""

    symbol: str
    limit_up_price: float
    limit_down_price: float
    indicator: str
    event_time: str
    tape: str | None = None


Message = (
    Trade
    | Quote
    | Bar
    | UpdatedBar
    | DailyBar
    | Correction
    | CancelError
    | Status
    | PriceBand
)
"""Every data message of the stock stream that has a struct here."""


class Order(msgspec.Struct, frozen=True, gc=False):
    """An order as Alpaca's trading API gives it; names are Alpaca's own.

    Quantities are in shares, prices in USD, both as decimal text. Times are RFC 3339.
    """

    id: str
    client_order_id: str
    created_at: str
    updated_at: str
    submitted_at: str
    asset_id: str
    symbol: str
    asset_class: str
    qty: str
    filled_qty: str
    order_class: str
    order_type: str
    type: str
    side: str
    time_in_force: str
    status: str
    extended_hours: bool
    notional: str | None = None
    filled_avg_price: str | None = None
    limit_price: str | None = None
    stop_price: str | None = None
    filled_at: str | None = None
    expired_at: str | None = None
    canceled_at: str | None = None
    failed_at: str | None = None
    replaced_at: str | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    legs: list[str] | None = None
    trail_percent: str | None = None
    trail_price: str | None = None
    hwm: str | None = None


class OrderUpdate(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The ``data`` of one ``trade_updates`` message of the account stream.

    ``event`` is new, partial_fill, fill, canceled, expired, rejected or another of
    Alpaca's. ``order`` is the order after it. A fill has the price and quantity of
    this execution alone, and the position after it.

    Source: docs.alpaca.markets, "Websocket Streaming", "Trade updates".
    """

    event: str
    timestamp: str
    order: Order
    execution_id: str | None = None
    price: str | None = None
    qty: str | None = None
    position_qty: str | None = None


class AccountMessage(msgspec.Struct, frozen=True, gc=False):
    """One message of the account stream that carries an order update."""

    stream: str
    data: OrderUpdate


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

CHANNEL_OF_TYPE = {
    "t": "trades",
    "q": "quotes",
    "b": "bars",
    "u": "updatedBars",
    "d": "dailyBars",
    "s": "statuses",
    "l": "lulds",
    "c": "corrections",
    "x": "cancelErrors",
}
"""Channel of each message type that can be stored."""

CHANNELS_WITH_TRADES = ("corrections", "cancelErrors")
"""Channels that come with the trades of a symbol and cannot be asked for."""

COUNTED_CHANNELS = ("trades", "quotes")
"""Channels whose symbols a plan limits."""

CONTROL_TYPES = frozenset({"success", "error", "subscription"})
"""Control messages: they steer the connection and never enter Kinesis."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """What routing a message needs, whatever its type."""

    type: str | None = msgspec.field(name="T", default=None)
    symbol: str | None = msgspec.field(name="S", default=None)
    event_time: str | None = msgspec.field(name="t", default=None)


def wire_fields(message: type[msgspec.Struct]) -> dict[str, tuple[str, type]]:
    """Return Alpaca's key -> (our name, Python type) of one message, in order.

    Optional fields are given with the type they have when present.
    """
    hints = typing.get_type_hints(message)
    return {
        field.encode_name: (field.name, _present_type(hints[field.name]))
        for field in msgspec.structs.fields(message)
    }


def required_fields(message: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names (ours) without which one message means nothing."""
    return frozenset(f.name for f in msgspec.structs.fields(message) if f.required)


def _present_type(annotation: object) -> type:
    if isinstance(annotation, types.UnionType):
        (present,) = (a for a in annotation.__args__ if a is not type(None))
        return typing.cast("type", present)
    return typing.cast("type", annotation)
