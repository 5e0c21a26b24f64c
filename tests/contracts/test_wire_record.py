"""The bytes on Kinesis: what is written today, every reader must read for ever.

A golden file is one Kinesis record. A change that breaks one needs a new
``SCHEMA_VERSION`` and new files beside the old ones, never new bytes in a file.
"""

from pathlib import Path

import msgspec
import pytest

from conf.market.envelope import SCHEMA_VERSION, Header, Line, pack, unpack
from conf.market.wire import Head
from producer.announcer import Announcer
from producer.batcher import Batcher, PartitionKeys, Record
from producer.gaps import Ledger, Outage
from producer.heartbeat import decode_heartbeat
from producer.mark import Mark
from producer.market_clock import MarketClock
from producer.protocol import Message, decode
from producer.relay import Frame, Relay, Row

GOLDEN = Path(__file__).parent / "golden"
EPOCH = "1a2062db477-c66031"
RECEIVED_NS = 1_795_398_600_000_000_000
TRADE = (
    '{"T":"t","S":"AAPL","i":96921,"x":"D","p":126.55,"s":1,'
    '"t":"2026-11-23T01:49:59.208Z","c":["@","I"],"z":"C"}'
)
QUOTE = (
    '{"T":"q","S":"AAPL","bx":"U","bp":126.50,"bs":1,"ax":"Q","ap":126.6,"as":4,'
    '"t":"2026-11-23T01:49:59.335000001Z","c":["R"],"z":"C"}'
)
BAR = '{"T":"b","S":"AAPL","c":126.55,"v":49,"t":"2026-11-22T23:59:00Z"}'


def relay(*, live: bool = True) -> Relay:
    batcher = Batcher(linger_ms=100, max_messages=4, max_bytes=25_000)
    clock, keys = MarketClock(live=live), PartitionKeys(["AAPL"])
    return Relay("simulator/iex", clock, keys, batcher, late_after_s=120)


def add(out: Relay, payload: str, number: int = 812) -> list[Record]:
    frame = Frame(EPOCH, number, RECEIVED_NS, payload.encode())
    return out.add(frame, decode(frame.payload, "json").messages, 0.0)


def data_record() -> Record:
    out = relay()
    add(out, f"[{TRADE},{QUOTE},{QUOTE}]")
    (record,) = add(out, '[{"T":"t","S":"AAPL","x":"é\\u00e9"}]', 813)
    return record


def late_record() -> Record:
    late = TRADE.replace("2026-11-23T01:49", "2026-11-22T20:00")
    (record,) = add(relay(), f"[{late},{late},{late},{late}]")
    return record


def replay_record() -> Record:
    out = relay(live=False)
    (record,) = add(out, f"[{TRADE},{TRADE},{TRADE},{TRADE}]")
    return record


def error_record() -> Record:
    messages = decode(b"[0,7,0,0]", "json").messages
    for index in (0, 2, 3):
        messages[index] = Message(
            index, Head(), error="NaN is no JSON", raw='{"T":"t","p":NaN}'
        )
    (record,) = relay().add(Frame(EPOCH, 812, RECEIVED_NS, b""), messages, 0.0)
    return record


def heartbeat_record() -> Record:
    out = relay()
    add(out, f"[{TRADE},{QUOTE}]")
    (record,) = out.heartbeat(RECEIVED_NS + 1_000_000_000, 0.0)
    return record


def heartbeat_with_gaps_record() -> Record:
    out = relay()
    add(out, f"[{TRADE}]")
    ended = Outage("1a2062d0000-0a0b0c", "cut", RECEIVED_NS, {"trades": ["AAPL"]})
    mark = Mark(EPOCH, RECEIVED_NS, {"trades": ["AAPL"]}, [ended])
    (record,) = out.heartbeat(RECEIVED_NS + 1_000_000_000, 0.0, mark)
    return record


def gap_record() -> Record:
    ledger = Ledger()
    since_ns = RECEIVED_NS - 1_750_000_000
    told = ledger.lose(EPOCH, "cut", {"trades": ["AAPL"]}, since_ns, RECEIVED_NS)
    (gap,) = ledger.receive({"trades": ["AAPL"]}, RECEIVED_NS + 3_500_000_000)
    told += ledger.delay(gap, "REST answered 429", RECEIVED_NS + 70_000_000_000)
    told.append(
        ledger.settle(gap, "backfilled", RECEIVED_NS + 75_000_000_000, rows=128)
    )
    announcer = Announcer(f"run-{EPOCH}", "simulator/iex")
    (record,) = announcer.records(told, RECEIVED_NS, RECEIVED_NS, 0.0)
    return record


def backfill_record() -> Record:
    out = relay()
    page = Frame(f"backfill-{EPOCH}-quotes", 2, RECEIVED_NS, b"")
    messages = decode(f"[{QUOTE},{QUOTE}]".encode(), "json").messages
    rows = [Row(message, n) for n, message in enumerate(messages)]
    assert out.add_backfill(page, rows, 0.0) == []
    assert out.add_backfill(page, rows[:1], 0.0) == []
    (record,) = out.add_backfill(page, rows[1:], 0.0)
    return record


def history_record() -> Record:
    bars = decode(f"[{BAR}]".encode(), "json").messages
    epoch = "history-2026-11-22T00:00:00Z"
    (record,) = relay().add_history(epoch, bars, RECEIVED_NS, 0.0)
    return record


RECORDS = {
    "data": data_record,
    "late": late_record,
    "replay": replay_record,
    "error": error_record,
    "heartbeat": heartbeat_record,
    "heartbeat_with_gaps": heartbeat_with_gaps_record,
    "gap": gap_record,
    "backfill": backfill_record,
    "history": history_record,
}


@pytest.mark.parametrize("name", RECORDS)
def test_the_producer_writes_the_golden_bytes(name: str):
    assert RECORDS[name]().data == (GOLDEN / f"wire_record_{name}.jsonl").read_bytes()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("wire_record_*.jsonl")), ids=str)
def test_a_golden_record_is_read_and_written_back(path: Path):
    payload = path.read_bytes()
    header, lines = unpack(payload)
    assert header.schema_version == SCHEMA_VERSION
    encode = msgspec.json.encode
    assert pack(encode(header), [encode(line) for line in lines]) == payload


def test_a_data_record_says_what_it_says():
    header, lines = unpack((GOLDEN / "wire_record_data.jsonl").read_bytes())
    assert header == Header(1, "data", EPOCH, "simulator/iex")
    places = [(x.frame, x.index, x.receive_time_ns, x.market_time_ns) for x in lines]
    at = (RECEIVED_NS, RECEIVED_NS)
    assert places == [(812, 0, *at), (812, 1, *at), (812, 2, *at), (813, 0, *at)]
    assert [x.occurrence for x in lines] == [0, 0, 1, 0]
    assert [message_of(x) for x in lines[:3]] == [TRADE, QUOTE, QUOTE]
    assert message_of(lines[3]) == '{"T":"t","S":"AAPL","x":"é\\u00e9"}'


def test_an_error_record_has_text_in_place_of_messages():
    _, lines = unpack((GOLDEN / "wire_record_error.jsonl").read_bytes())
    assert [x.message is msgspec.UNSET for x in lines] == [True, False, True, True]
    assert lines[0].raw == '{"T":"t","p":NaN}'
    assert lines[0].error == "NaN is no JSON"
    assert message_of(lines[1]) == "7"


def test_a_heartbeat_tells_the_next_producer_what_it_must_know():
    payload = (GOLDEN / "wire_record_heartbeat_with_gaps.jsonl").read_bytes()
    ended = Outage("1a2062d0000-0a0b0c", "cut", RECEIVED_NS, {"trades": ["AAPL"]})
    known = Mark(EPOCH, RECEIVED_NS, {"trades": ["AAPL"]}, [ended])
    assert decode_heartbeat(payload) == known


def test_a_heartbeat_of_an_older_producer_tells_its_time():
    payload = (GOLDEN / "wire_record_heartbeat.jsonl").read_bytes()
    assert decode_heartbeat(payload) == Mark(EPOCH, RECEIVED_NS + 1_000_000_000)


@pytest.mark.parametrize("name", ["data", "error", "gap"])
def test_other_records_are_no_heartbeats(name: str):
    payload = (GOLDEN / f"wire_record_{name}.jsonl").read_bytes()
    assert decode_heartbeat(payload) is None


def message_of(line: Line) -> str:
    assert isinstance(line.message, msgspec.Raw)
    return bytes(line.message).decode()
