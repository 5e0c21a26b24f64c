import json

import msgspec

from conf.market.envelope import Line, unpack
from producer.batcher import Batcher, PartitionKeys, Record
from producer.market_clock import MarketClock
from producer.protocol import decode
from producer.relay import MAX_LINE_BYTES, Frame, Relay

RECEIVED_NS = 1_795_398_600_000_000_000  # 2026-11-23T01:50:00Z
QUOTE = '{"T":"q","S":"AMD","bp":87.66,"t":"2026-11-23T01:49:59.5Z"}'
TRADE = '{"T":"t","S":"AMD","i":1,"t":"2026-11-23T01:49:59Z"}'


def relay(*, live: bool = True) -> Relay:
    return Relay(
        "simulator/iex",
        MarketClock(live=live),
        PartitionKeys(["AMD"]),
        # every line leaves at once, in a record of its own
        Batcher(linger_ms=100, max_messages=1, max_bytes=25_000),
        late_after_s=120,
    )


def add(out: Relay, *messages: str, epoch: str = "e1", number: int = 0):
    payload = f"[{','.join(messages)}]".encode()
    frame = Frame(epoch, number, RECEIVED_NS, payload)
    return out.add(frame, decode(payload, "json").messages, 0.0)


def line_of(record: Record) -> Line:
    _, (line,) = unpack(record.data)
    return line


def message_of(record: Record) -> bytes:
    message = line_of(record).message
    assert isinstance(message, msgspec.Raw)
    return bytes(message)


def heartbeat_of(out: Relay) -> object:
    (record,) = out.heartbeat(RECEIVED_NS, 0.0)
    return json.loads(message_of(record))


def test_a_line_says_what_the_message_is_where_it_was_and_when():
    _, record = add(relay(), TRADE, QUOTE, number=812)
    header, (line,) = unpack(record.data)
    assert (header.kind, header.epoch, header.source) == (
        "data",
        "e1",
        "simulator/iex",
    )
    assert (line.frame, line.index) == (812, 1)
    assert line.receive_time_ns == line.market_time_ns == RECEIVED_NS
    assert message_of(record) == QUOTE.encode()
    assert record.partition_key == "AMD"


def test_identical_quotes_are_numbered_in_feed_order():
    out = relay()
    records = add(out, QUOTE, TRADE, QUOTE, TRADE) + add(out, QUOTE, number=1)
    assert [line_of(x).occurrence for x in records] == [0, 0, 1, 0, 2]


def test_a_new_epoch_numbers_from_zero():
    out = relay()
    records = add(out, QUOTE) + add(out, QUOTE, epoch="e2")
    assert [line_of(x).occurrence for x in records] == [0, 0]


def test_what_is_no_message_travels_as_an_error():
    _, record = add(relay(), QUOTE, '{"T":"t","p":NaN}')
    assert record.partition_key == "unknown"
    line = line_of(record)
    assert line.index == 1
    assert line.raw == '{"T":"t","p":NaN}'
    assert "malformed" in (line.error or "")


def test_a_message_of_a_mebibyte_is_kept_whole():
    message = json.dumps({"T": "t", "S": "AMD", "x": "y" * (1 << 20)})
    (record,) = add(relay(), message)
    assert message_of(record) == message.encode()


def test_a_message_that_kinesis_cannot_take_becomes_an_error_with_its_beginning():
    message = json.dumps({"T": "t", "S": "AMD", "x": "y" * MAX_LINE_BYTES})
    (record,) = add(relay(), message)
    line = line_of(record)
    assert "more than Kinesis takes" in (line.error or "")
    assert line.raw == message[:65_536]
    assert record.partition_key == "AMD"


def test_replayed_market_time_includes_the_frame_itself():
    out = relay(live=False)
    records = add(out, TRADE, QUOTE) + add(out, TRADE, number=1)
    newest_ns = RECEIVED_NS - 500_000_000
    assert [line_of(x).market_time_ns for x in records] == [newest_ns] * 3


def test_a_heartbeat_tells_the_newest_event_time_per_symbol_and_channel():
    out = relay()
    older = TRADE.replace("49:59", "49:00")
    spy = TRADE.replace("AMD", "SPY")
    add(out, TRADE, older, QUOTE, spy, '{"T":"t","S":"AMD","t":"soon"}')
    assert heartbeat_of(out) == {
        "last_event_time": {
            "AMD": {"t": "2026-11-23T01:49:59Z", "q": "2026-11-23T01:49:59.5Z"},
            "SPY": {"t": "2026-11-23T01:49:59Z"},
        }
    }


def test_an_event_time_far_ahead_does_not_pass_for_progress():
    out = relay()
    add(out, TRADE, TRADE.replace("2026", "2027"))
    assert heartbeat_of(out) == {
        "last_event_time": {"AMD": {"t": "2026-11-23T01:49:59Z"}}
    }


def test_heartbeats_count_within_their_epoch():
    out = relay()
    assert out.heartbeat(RECEIVED_NS, 0.0) == []
    places = []
    for epoch in ("e1", "e1", "e2"):
        add(out, TRADE, epoch=epoch)
        (record,) = out.heartbeat(RECEIVED_NS, 0.0)
        assert record.partition_key == "heartbeat"
        header, (line,) = unpack(record.data)
        assert header.kind == "heartbeat"
        places.append((header.epoch, line.frame, line.index))
    assert places == [("e1", 0, 0), ("e1", 1, 0), ("e2", 0, 0)]


def test_late_messages_travel_in_records_that_say_so():
    late = TRADE.replace("01:49:59", "01:47:59")
    just_not_late = TRADE.replace("01:49:59", "01:48:00")
    records = add(relay(), late, just_not_late, '{"T":"t","S":"AMD","t":"soon"}')
    assert [unpack(x.data)[0].late for x in records] == [True, False, False]


def test_types_that_can_wait_travel_with_the_late_ones():
    messages = [TRADE.replace('"T":"t"', f'"T":"{type_}"') for type_ in "tcxlsbu"]
    records = add(relay(), *messages)
    assert [unpack(x.data)[0].late for x in records] == [
        *(False, True, True, True),
        *(False, False, False),
    ]


def test_a_new_epoch_lets_the_records_of_the_last_one_leave_first():
    out = Relay(
        "simulator/iex",
        MarketClock(live=True),
        PartitionKeys(["AMD"]),
        Batcher(linger_ms=100, max_messages=2, max_bytes=25_000),
        late_after_s=120,
    )
    assert add(out, TRADE) == []
    first, second = add(out, TRADE, TRADE, epoch="e2")
    assert [unpack(x.data)[0].epoch for x in (first, second)] == ["e1", "e2"]


def test_history_names_its_messages_the_same_again():
    bar = '{"T":"b","S":"AMD","t":"2026-11-22T23:59:00Z"}'
    bars = decode(f"[{bar},{TRADE}]".encode(), "json").messages
    runs = [relay().add_history("history-x", bars, RECEIVED_NS, 0.0) for _ in range(2)]
    assert runs[0] == runs[1]
    header, (line,) = unpack(runs[0][0].data)
    assert (header.kind, header.epoch, header.late) == ("history", "history-x", True)
    assert (line.frame, line.index) == (0, 0)
    assert message_of(runs[0][0]) == bar.encode()
    assert line_of(runs[0][1]).index == 1
