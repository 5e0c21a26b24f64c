"""Order updates become lines of late records; after an outage they are told again."""

import json
from typing import Any

import pytest

from conf.market.envelope import unpack
from conf.market.rfc3339 import parse_ns
from producer.batcher import PartitionKeys, Record
from producer.order_updates import OrderUpdates
from producer.relay import Frame

NOON = parse_ns("2026-11-23T17:00:00Z")
S = 1_000_000_000


def updates(*, live: bool = True) -> OrderUpdates:
    return OrderUpdates("alpaca/trade_updates", PartitionKeys(["KO", "BA"]), live=live)


def frame(payload: bytes) -> Frame:
    return Frame("e1", 7, NOON, payload)


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": "o1", "symbol": "KO", "status": "filled", "filled_qty": "5",
        "filled_avg_price": "60.1", "submitted_at": "2026-11-23T17:00:01Z",
        "updated_at": "2026-11-23T17:00:09Z", "filled_at": "2026-11-23T17:00:03Z",
        "canceled_at": None, **changes,
    }  # fmt: skip


def told(event: str, **changes: Any) -> bytes:
    data = {"event": event, "timestamp": "2026-11-23T17:00:01Z"}
    data |= {"order": order(**changes)}
    return json.dumps({"stream": "trade_updates", "data": data}).encode()


def missed(known: OrderUpdates, *orders: dict[str, Any], of: tuple[int, int] = (0, 20)):
    page = Frame("backfill-e1-orders", 0, NOON, b"")
    gap = NOON + of[0] * S, NOON + of[1] * S
    records = known.add_orders(page, orders, gap, NOON, 0)
    return [(x["event"], x["timestamp"][-3:-1], x["order"]) for x in map(data, records)]


def data(record: Record) -> dict[str, Any]:
    _, (line,) = unpack(record.data)
    return dict(json.loads(bytes(line.message))["data"])


def test_an_update_keeps_its_bytes_in_a_late_record_of_its_symbol():
    payload = told("new", status="new")
    (record,) = updates().add(frame(payload), NOON + 1, 3.0)
    header, (line,) = unpack(record.data)
    assert (header.kind, header.epoch, header.late) == ("data", "e1", True)
    assert header.source == "alpaca/trade_updates"
    assert bytes(line.message) == payload
    assert (line.frame, line.index, line.market_time_ns) == (7, 0, NOON + 1)
    assert (record.partition_key, record.opened_ms) == ("KO", 3.0)


@pytest.mark.parametrize(("live", "market_ns"), [(True, NOON), (False, NOON + S)])
def test_in_a_replay_an_update_is_the_newest_message(live: bool, market_ns: int):
    """Its own time is NOON + 1 s."""
    known = updates(live=live)
    page = Frame("backfill-e1-orders", 0, NOON, b"")
    gap = NOON, NOON + 2 * S
    records = known.add_orders(page, [order(status="new", id="o2")], gap, NOON, 0)
    records += known.add(frame(told("new", status="new")), NOON, 0)
    opened = [unpack(record.data)[1][0] for record in records]
    assert [line.market_time_ns for line in opened] == [market_ns] * 2
    (record,) = known.add(frame(told("new", status="new")), NOON + 5 * S, 0)
    assert unpack(record.data)[1][0].market_time_ns == NOON + 5 * S


def test_what_is_no_update_goes_on_for_silver_to_reject():
    (record,) = updates().add(frame(b'{"stream":"trade_up'), NOON, 0)
    _, (line,) = unpack(record.data)
    assert line.error
    assert line.raw == '{"stream":"trade_up'
    assert record.partition_key == "unknown"


def test_an_order_of_the_outage_is_told_as_new_and_in_its_last_state():
    new, fill = missed(updates(), order())
    assert (new[0], new[1], new[2]["status"], new[2]["filled_qty"]) == (
        "new", "01", "new", "0",
    )  # fmt: skip
    assert (fill[0], fill[1], fill[2]) == ("fill", "03", order())


def test_what_happened_before_or_after_the_outage_is_not_told():
    assert [x[:2] for x in missed(updates(), order(), of=(2, 20))] == [("fill", "03")]
    assert [x[:2] for x in missed(updates(), order(), of=(0, 3))] == [("new", "01")]
    assert missed(updates(), order(), of=(5, 20)) == []


def test_what_the_stream_told_is_not_told_again():
    known = updates()
    known.add(frame(told("new", status="new", filled_qty="0")), NOON, 0)
    assert [x[0] for x in missed(known, order())] == ["fill"]
    assert missed(known, order()) == []


def test_other_ends():
    canceled = order(
        status="canceled", filled_at=None, canceled_at="2026-11-23T17:00:05Z"
    )
    rejected = order(status="rejected", filled_at=None, failed_at=order()["filled_at"])
    part = order(status="partially_filled", filled_at=None)
    waiting = order(status="accepted", filled_at=None)
    assert [x[:2] for x in missed(updates(), canceled)] == [
        ("new", "01"), ("canceled", "05"),
    ]  # fmt: skip
    assert [x[:2] for x in missed(updates(), rejected)] == [("rejected", "03")]
    assert [x[:2] for x in missed(updates(), part)] == [
        ("new", "01"), ("partial_fill", "09"),
    ]  # fmt: skip
    assert [x[0] for x in missed(updates(), waiting)] == ["accepted"]
