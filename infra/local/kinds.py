"""Alpaca's messages as the oracle knows them: their keys, types and identity.

It shares no line with ``conf.market.wire``, on purpose.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """How one table's messages are parsed.

    Attributes:
        types: Alpaca's ``T`` of its messages.
        fields: Column -> (Alpaca's key, SQL type); ``a|b`` is whichever there is.
        identity: Columns that name an event; None: every message is one.
        derived: Column -> SQL over the parsed ones.
    """

    types: tuple[str, ...]
    fields: dict[str, tuple[str, str]]
    identity: tuple[str, ...] | None
    derived: dict[str, str]


_SYMBOL = {"symbol": ("S", "VARCHAR")}
_ENDING = {"conditions": ("c", "JSON"), "tape": ("z", "VARCHAR")}

TRADES = Kind(
    types=("t",),
    fields={
        **_SYMBOL,
        "event_time_ns": ("t", "TIMESTAMP_NS"),
        "exchange": ("x", "VARCHAR"),
        "trade_id": ("i", "BIGINT"),
        "price": ("p", "DOUBLE"),
        "size": ("s", "BIGINT"),
        **_ENDING,
    },
    identity=("symbol", "exchange", "trade_id", "event_time_ns"),
    derived={
        "event_time_us": "event_time_ns // 1000",
        "day": "make_timestamp(event_time_ns // 1000)::DATE",
    },
)
QUOTES = Kind(
    types=("q",),
    fields={
        **_SYMBOL,
        "event_time_ns": ("t", "TIMESTAMP_NS"),
        "bid_exchange": ("bx", "VARCHAR"),
        "bid_price": ("bp", "DOUBLE"),
        "bid_size": ("bs", "BIGINT"),
        "ask_exchange": ("ax", "VARCHAR"),
        "ask_price": ("ap", "DOUBLE"),
        "ask_size": ("as", "BIGINT"),
        **_ENDING,
    },
    identity=None,
    derived=TRADES.derived,
)
BARS = Kind(
    types=("b", "u", "d"),
    fields={
        **_SYMBOL,
        "window_start_ns": ("t", "TIMESTAMP_NS"),
        "open": ("o", "DOUBLE"),
        "high": ("h", "DOUBLE"),
        "low": ("l", "DOUBLE"),
        "close": ("c", "DOUBLE"),
        "volume": ("v", "BIGINT"),
        "trade_count": ("n", "BIGINT"),
        "vwap": ("vw", "DOUBLE"),
        "type": ("T", "VARCHAR"),
    },
    identity=("symbol", "window_start_ns", "type", "trade_count"),
    derived={
        "window_start_us": "window_start_ns // 1000",
        "bar_length_s": "CASE type WHEN 'd' THEN 86400 ELSE 60 END",
        "window_end_us": "window_start_ns // 1000 + bar_length_s::BIGINT * 1000000",
        "source": "'alpaca'",
        "revision": "CASE type WHEN 'b' THEN 0 ELSE coalesce(trade_count, 1) END",
        "day": "make_timestamp(window_start_ns // 1000)::DATE",
    },
)
CORRECTIONS = Kind(
    types=("c", "x"),
    fields={
        **_SYMBOL,
        "event_time_ns": ("t", "TIMESTAMP_NS"),
        "type": ("T", "VARCHAR"),
        "code": ("a", "VARCHAR"),
        "exchange": ("x", "VARCHAR"),
        "trade_id": ("oi|i", "BIGINT"),
        "price": ("op|p", "DOUBLE"),
        "size": ("os|s", "BIGINT"),
        "conditions": ("oc", "JSON"),
        "corrected_trade_id": ("ci", "BIGINT"),
        "corrected_price": ("cp", "DOUBLE"),
        "corrected_size": ("cs", "BIGINT"),
        "corrected_conditions": ("cc", "JSON"),
        "tape": ("z", "VARCHAR"),
    },
    identity=("text",),
    derived={
        **TRADES.derived,
        "action": "CASE code WHEN 'C' THEN 'cancel' WHEN 'E' THEN 'error'"
        " ELSE 'correct' END",
    },
)
STATUSES = Kind(
    types=("s", "l"),
    fields={
        **_SYMBOL,
        "event_time_ns": ("t", "TIMESTAMP_NS"),
        "type": ("T", "VARCHAR"),
        "status_code": ("sc", "VARCHAR"),
        "status_message": ("sm", "VARCHAR"),
        "reason_code": ("rc", "VARCHAR"),
        "reason_message": ("rm", "VARCHAR"),
        "limit_up_price": ("u", "DOUBLE"),
        "limit_down_price": ("d", "DOUBLE"),
        "indicator": ("i", "VARCHAR"),
        "tape": ("z", "VARCHAR"),
    },
    identity=("text",),
    derived={
        **TRADES.derived,
        "channel": "CASE type WHEN 's' THEN 'status' ELSE 'luld' END",
    },
)
KINDS = {
    "trades": TRADES,
    "quotes": QUOTES,
    "bars": BARS,
    "corrections": CORRECTIONS,
    "statuses": STATUSES,
}
