"""Wire records -> ticks: opened, and judged as silver judges them.

What silver rejects, the page does not show. One message silver stores and the tail
skips: a quote without a venue, which ``wire.Quote`` calls meaningless.
"""

import re
from collections.abc import Iterator

import msgspec

from conf.market import envelope, wire
from conf.market.rfc3339 import parse_ns

_SECOND_NS = 1_000_000_000
_MAX_PRICE, _MAX_SIZE, _MAX_LONG, _MAX_COUNT = 1e9, 10**12, 2**63 - 1, 2**31 - 1
_TICKER = re.compile(r"[A-Z][A-Z0-9./-]{0,19}", re.ASCII)
_SHOWN_KINDS = frozenset({"data", "backfill"})
_decoder = msgspec.json.Decoder(wire.Message)


class Tick(msgspec.Struct, frozen=True, gc=False):
    """One accepted message with its place in time and in the feed."""

    message: wire.Message
    event_time_ns: int
    receive_time_ns: int
    frame: int
    index: int

    @property
    def order(self) -> tuple[int, int, int, int]:
        """What sorts ticks by event time, and within one instant by the feed."""
        return self.event_time_ns, self.receive_time_ns, self.frame, self.index


class Opened(msgspec.Struct, frozen=True):
    """What one wire record holds for the page.

    Attributes:
        kind: Of the record; ``data`` moves the ticker, ``backfill`` only candles.
        source: Where its messages come from, as ``simulator/iex``.
        ticks: The accepted messages, in feed order.
        messages: All of its messages, rejected ones too.
        receive_time_ns: When its oldest message was read; 0 if nothing is shown.
        market_time_ns: Market clock of its newest message, likewise.
        is_live: Its market clock is the wall clock.
    """

    kind: envelope.Kind
    source: str
    ticks: list[Tick] = []
    messages: int = 0
    receive_time_ns: int = 0
    market_time_ns: int = 0
    is_live: bool = True


def open_record(payload: bytes, future_max_s: int) -> Opened | None:
    """Open one Kinesis record; None if it is no wire record that silver reads.

    Records of history and those marked late are not opened further: they are older
    than anything that the page shows as live.

    Args:
        payload: Data of the Kinesis record.
        future_max_s: A message further ahead of the market clock is skipped.
    """
    try:
        header, texts = envelope.split(payload)
    except msgspec.DecodeError:
        return None
    if header.schema_version != envelope.SCHEMA_VERSION:
        return None
    is_shown = header.kind in _SHOWN_KINDS and not header.late
    lines = list(_lines(texts)) if is_shown or header.kind == "heartbeat" else []
    if not lines:
        return Opened(header.kind, header.source)
    return Opened(
        header.kind,
        header.source,
        [x for x in (_judged(line, future_max_s) for line in lines) if x],
        len(texts) if is_shown else 0,
        lines[0].receive_time_ns,
        lines[-1].market_time_ns,
        lines[-1].market_time_ns == lines[-1].receive_time_ns,
    )


def _lines(texts: list[bytes]) -> Iterator[envelope.Line]:
    for text in texts:
        try:
            yield envelope.decode_line(text)
        except msgspec.DecodeError:
            continue


def _judged(line: envelope.Line, future_max_s: int) -> Tick | None:
    if line.error is not None or not isinstance(line.message, msgspec.Raw):
        return None
    try:
        message = _decoder.decode(line.message)
        event_time_ns = parse_ns(message.event_time)
    except (msgspec.DecodeError, ValueError):
        return None
    latest_ns = line.market_time_ns + future_max_s * _SECOND_NS
    is_timely = event_time_ns <= latest_ns and message.event_time.endswith("Z")
    if not is_timely or not _TICKER.fullmatch(message.symbol):
        return None
    if not _is_meaningful(message):
        return None
    return Tick(message, event_time_ns, line.receive_time_ns, line.frame, line.index)


def _is_meaningful(message: wire.Message) -> bool:
    match message:
        case wire.Trade():
            return (
                0 < message.price <= _MAX_PRICE
                and 0 <= message.size <= _MAX_SIZE
                and abs(message.trade_id) <= _MAX_LONG
            )
        case wire.Quote():
            return _are_prices(message.bid_price, message.ask_price) and all(
                0 <= size <= _MAX_LONG for size in (message.bid_size, message.ask_size)
            )
        case wire.Bar():
            return (
                _are_prices(message.open, message.high, message.low, message.close)
                and abs(message.volume) <= _MAX_LONG
                and 0 <= (message.trade_count or 0) <= _MAX_COUNT
            )


def _are_prices(*prices: float) -> bool:
    return all(0 <= price <= _MAX_PRICE for price in prices)
