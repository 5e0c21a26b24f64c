"""Which messages bronze holds, and by which key each would be found in silver.

It reads wire records by ``conf.market.envelope`` alone and knows nothing of silver's
code, whose work is judged by it.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from conf.market import envelope
from conf.market.rfc3339 import parse_ns

Key = tuple[str, dict[str, object]]
"""A table, and the columns by which a row of it is the one of a message."""

Fields = dict[str, Any]
_IGNORED = "heartbeat"
_KINDS = ("data", "backfill", "history", "gap")
_MINUTE_S, _DAY_S = 60, 86_400


class _Header(msgspec.Struct):
    """What is read of a header, whatever else it says."""

    schema_version: int | None = None
    kind: str | None = None
    epoch: str | None = None


_header_decoder = msgspec.json.Decoder(_Header)


def positions(data: bytes) -> range:
    """Return the positions of the messages of a bronze record.

    A heartbeat has none; what is no wire record is one message, at 0.
    """
    header = _read_header(data)
    if header is not None and header.kind == _IGNORED:
        return range(0)
    if _is_readable(header):
        return range(1, data.count(b"\n") + 1)
    return range(1)


def key_of(data: bytes, position: int) -> Key | None:
    """Return where one message of a record must be; None if it has no such key."""
    try:
        line = envelope.decode_line(data.split(b"\n")[position])
        if isinstance(line.message, msgspec.UnsetType):
            return None
        fields = msgspec.json.decode(line.message)
        make = _KEYS[fields.get("T") or fields["stream"]]
        table, key = make(fields)
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, AttributeError):
        return None  # it is none of silver's: only a reject can account for it
    if table == "silver.quotes":
        key["occurrence"] = line.occurrence
    return table, key


def _read_header(data: bytes) -> _Header | None:
    try:
        return _header_decoder.decode(data.partition(b"\n")[0])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_readable(header: _Header | None) -> bool:
    return (
        header is not None
        and header.schema_version == envelope.SCHEMA_VERSION
        and header.kind in _KINDS
        and header.epoch is not None
    )


def _event(fields: Fields) -> dict[str, object]:
    return {"symbol": fields["S"], "event_time_ns": parse_ns(fields["t"])}


def _trade(fields: Fields) -> Key:
    venue = {"exchange": fields["x"], "trade_id": fields["i"]}
    return "silver.trades", {**_event(fields), **venue}


def _quote(fields: Fields) -> Key:
    prices = {"bid_price": float(fields["bp"]), "ask_price": float(fields["ap"])}
    return "silver.quotes", {**_event(fields), **prices}


def _bar(fields: Fields) -> Key:
    microseconds = parse_ns(fields["t"]) // 1_000
    return "silver.bars", {
        "symbol": fields["S"],
        "window_start": datetime.fromtimestamp(microseconds / 1e6, UTC),
        "bar_length_s": _DAY_S if fields["T"] == "d" else _MINUTE_S,
        "revision": 0 if fields["T"] == "b" else fields.get("n") or 1,
    }


def _order(fields: Fields) -> Key:
    update = fields["data"]
    return "silver.orders", {
        "order_id": update["order"]["id"],
        "event": update["event"],
        "event_time_ns": parse_ns(update["timestamp"]),
    }


def _gap(fields: Fields) -> Key:
    return "silver.gaps", {"gap_id": fields["gap_id"], "state": fields["state"]}


def _of(table: str) -> Callable[[Fields], Key]:
    return lambda fields: (table, _event(fields))


_KEYS: Mapping[str, Callable[[Fields], Key]] = {
    "t": _trade,
    "q": _quote,
    **dict.fromkeys(("b", "u", "d"), _bar),
    **dict.fromkeys(("c", "x"), _of("silver.corrections")),
    **dict.fromkeys(("s", "l"), _of("silver.statuses")),
    "trade_updates": _order,
    "gap": _gap,
}


def keys_of(data: bytes, missing: range | list[int]) -> Iterator[tuple[int, Key]]:
    """Yield the position and key of each message that has one."""
    for position in missing:
        if key := key_of(data, position):
            yield position, key
