"""Order updates of the account stream as wire records: pure, and apart from the feed.

An update is one line of a record marked late, with Alpaca's message as it came;
``silver.orders`` takes it. After an outage the updates are told again from the orders
as REST has them: what can be known is when one was new, and its last state. Such an
update has no execution id and no price of its own.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from conf.market.envelope import Kind, Line, encode_header, encode_line, pack
from conf.market.gaps import EVERY_SYMBOL
from conf.market.rfc3339 import parse_ns
from producer.batcher import PartitionKeys, Record
from producer.protocol import decode
from producer.relay import Frame

CHANNEL = "trade_updates"
CHANNELS = {CHANNEL: [EVERY_SYMBOL]}
"""What is listened to, as the gap ledger names it: the stream has no symbols."""

_EVENT_OF_STATUS = {"filled": "fill", "partially_filled": "partial_fill"}
_NOT_YET_NEW = frozenset(
    {"accepted", "accepted_for_bidding", "pending_new", "rejected", "suspended"}
)
_MOMENTS = ("filled_at", "canceled_at", "expired_at", "failed_at", "replaced_at")
_REMEMBERED = 10_000

Order = dict[str, Any]
"""An order as ``GET /v2/orders`` gives it."""


class _Order(msgspec.Struct, frozen=True):
    id: str
    symbol: str | None = None
    status: str | None = None
    filled_qty: str | None = None


class _Data(msgspec.Struct, frozen=True):
    order: _Order
    timestamp: str | None = None


class _Update(msgspec.Struct, frozen=True):
    data: _Data


_decode_update = msgspec.json.Decoder(_Update).decode


class OrderUpdates:
    """Turns frames and orders into records, and remembers what was told.

    Args:
        source: Ends in ``/trade_updates``, as ``alpaca/trade_updates``.
        keys: Partition key of each symbol.
        live: Whether market time is wall-clock time. In a replay it is that of the
            newest message, and an update is one: the account's clock goes on while
            the recording is silent.
    """

    def __init__(self, source: str, keys: PartitionKeys, *, live: bool = True) -> None:
        self._source, self._keys, self._live = source, keys, live
        self._told: dict[str, tuple[str | None, str | None]] = {}
        self.messages_total = 0

    def add(self, frame: Frame, market_time_ns: int, now_ms: float) -> list[Record]:
        """Return the records of one frame of the account stream.

        Args:
            frame: As it was read.
            market_time_ns: Market time then.
            now_ms: The batcher's clock.
        """
        records = []
        for message in decode(frame.payload, "json").messages:
            place = (frame.number, message.index, frame.receive_time_ns)
            update = None
            if message.data is None:
                line = Line(
                    *place, market_time_ns, error=message.error, raw=message.raw
                )
            else:
                update = self._note(message.data)
                market_ns = self._market_ns(update, market_time_ns)
                line = Line(*place, market_ns, message=message.data)
            records.append(self._record("data", frame.epoch, line, update, now_ms))
        self.messages_total += len(records)
        return records

    def add_orders(
        self,
        page: Frame,
        orders: Iterable[Order],
        gap: tuple[int, int],
        market_time_ns: int,
        now_ms: float,
    ) -> list[Record]:
        """Return the records of the updates that an outage hid.

        Args:
            page: Its epoch names the outage, its number the page.
            orders: As REST has them.
            gap: From when (inclusive) to when (exclusive), market time, epoch ns.
            market_time_ns: Now.
            now_ms: The batcher's clock.
        """
        records: list[Record] = []
        for order in orders:
            for update in self._missed(order, *gap):
                message = {"stream": CHANNEL, "data": update}
                data = msgspec.Raw(msgspec.json.encode(message))
                place = (page.number, len(records), page.receive_time_ns)
                noted = self._note(data)
                line = Line(
                    *place, self._market_ns(noted, market_time_ns), message=data
                )
                records.append(
                    self._record("backfill", page.epoch, line, noted, now_ms)
                )
        return records

    def _missed(self, order: Order, from_ns: int, to_ns: int) -> list[dict[str, Any]]:
        state = order.get("status"), order.get("filled_qty")
        created_at, changed_at = order.get("submitted_at"), _last_change(order)
        told = self._told.get(str(order.get("id")))
        updates = []
        was_new = told is None and state[0] not in _NOT_YET_NEW
        if was_new and from_ns <= _time_ns(created_at, from_ns) < to_ns:
            begun = {"status": "new", "filled_qty": "0", "filled_avg_price": None}
            first = {**order, **begun}
            updates.append({"event": "new", "timestamp": created_at, "order": first})
        is_inside = from_ns <= _time_ns(changed_at, from_ns) < to_ns
        if state[0] != "new" and told != state and is_inside:
            event = _EVENT_OF_STATUS.get(str(state[0]), state[0])
            updates.append({"event": event, "timestamp": changed_at, "order": order})
        return updates

    def _market_ns(self, update: _Data | None, newest_ns: int) -> int:
        if self._live or update is None:
            return newest_ns
        return max(newest_ns, _time_ns(update.timestamp))

    def _note(self, data: msgspec.Raw) -> _Data | None:
        """Remember the state that an update tells; return the update."""
        try:
            update = _decode_update(data).data
        except msgspec.DecodeError:
            return None  # silver rejects the message with its reason
        order = update.order
        self._told.pop(order.id, None)
        self._told[order.id] = order.status, order.filled_qty
        if len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]
        return update

    def _record(
        self, kind: Kind, epoch: str, line: Line, update: _Data | None, now_ms: float
    ) -> Record:
        header = encode_header(kind, epoch, self._source, late=True)
        payload = pack(header, [encode_line(line)])
        symbol = None if update is None else update.order.symbol
        return Record(self._keys.of(symbol), payload, 1, now_ms)


def _last_change(order: Order) -> str | None:
    moments = [order[name] for name in _MOMENTS if order.get(name)]
    return max(moments, key=_time_ns, default=order.get("updated_at"))


def _time_ns(text: object, unknown_ns: int = 0) -> int:
    """Return a time in epoch ns; a text that is none is left to silver to reject."""
    try:
        return parse_ns(str(text))
    except ValueError:
        return unknown_ns
