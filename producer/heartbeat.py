"""Heartbeats: what the stream itself tells a producer that starts on a new disk."""

import msgspec

from conf.market.envelope import unpack
from conf.market.rfc3339 import format_ns, parse_ns
from producer.gaps import Outage
from producer.mark import Mark


class _Beat(msgspec.Struct, frozen=True, omit_defaults=True):
    last_event_time: dict[str, dict[str, str]]
    stored_until: str | None = None
    channels: dict[str, list[str]] = {}
    open_gaps: list[Outage] = []
    bars: dict[str, dict[str, int]] = {}


def encode_heartbeat(
    last_event_time: dict[str, dict[str, str]], mark: Mark | None
) -> msgspec.Raw:
    """Return a heartbeat's message.

    Args:
        last_event_time: Newest event by symbol and message type, RFC 3339.
        mark: Everything received until then is in the stream; None when unknown.
    """
    known = mark or Mark()
    until = format_ns(known.received_until_ns) if known.received_until_ns else None
    beat = _Beat(last_event_time, until, known.channels, known.open_gaps, known.bars)
    return msgspec.Raw(msgspec.json.encode(beat))


def decode_heartbeat(payload: bytes) -> Mark | None:
    """Return what a wire record of kind heartbeat tells; None if it is none.

    One of an older producer, or of the first second of a run, does not say what is in
    the stream: then its own market time stands for that.
    """
    try:
        header, lines = unpack(payload)
        if header.kind != "heartbeat" or not isinstance(lines[-1].message, msgspec.Raw):
            return None
        beat = msgspec.json.decode(lines[-1].message, type=_Beat)
        until_ns = lines[-1].market_time_ns
        if beat.stored_until is not None:
            until_ns = parse_ns(beat.stored_until)
    except (msgspec.DecodeError, ValueError, IndexError):
        return None
    return Mark(header.epoch, until_ns, beat.channels, beat.open_gaps, beat.bars)
