"""What the feed told of bars goes from one producer to the next."""

from typing import Any

import msgspec

from conf.market.rfc3339 import format_ns
from producer.heartbeat import decode_heartbeat, encode_heartbeat
from producer.mark import Mark
from producer.protocol import decode
from producer.seen import Seen

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


def bar(minute: int, trades: int, symbol: str = "KO", kind: str = "b") -> bytes:
    time = format_ns(minute * MINUTE_NS)
    fields: dict[str, Any] = {"T": kind, "S": symbol, "t": time, "n": trades}
    return msgspec.json.encode([fields])


def note(seen: Seen, payload: bytes, market_ns: int) -> None:
    (message,) = decode(payload, "json").messages
    seen.note(message, market_ns)


def test_the_newest_bars_are_handed_on():
    seen, heir = Seen(), Seen()
    for minute in range(5):
        note(seen, bar(minute, 10 + minute), (minute + 1) * MINUTE_NS)
    note(seen, bar(3, 99, kind="u"), 5 * MINUTE_NS + 1)
    heir.restore(seen.bars(6 * MINUTE_NS))
    minutes = [format_ns(minute * MINUTE_NS) for minute in range(5)]
    told = [heir.trade_count("KO", minute) for minute in minutes]
    assert told == [None, None, None, 99, 14]


def test_what_was_told_since_is_newer_than_what_is_handed_on():
    seen, heir = Seen(), Seen()
    for minute in (0, 1):
        note(seen, bar(minute, 10 + minute), (minute + 1) * MINUTE_NS)
    note(heir, bar(1, 99, kind="u"), 3 * MINUTE_NS)
    heir.restore(seen.bars(2 * MINUTE_NS))
    minutes = [format_ns(minute * MINUTE_NS) for minute in (0, 1)]
    assert [heir.trade_count("KO", minute) for minute in minutes] == [10, 99]


def test_what_is_not_known_to_be_stored_is_not_handed_on():
    seen = Seen()
    note(seen, bar(0, 10), MINUTE_NS)
    note(seen, bar(1, 11), 2 * MINUTE_NS)
    assert seen.bars(MINUTE_NS) == {"KO": {format_ns(0): 10}}


def test_a_trade_after_a_halt_says_that_its_end_was_missed():
    seen = Seen()
    note(seen, b'[{"T":"s","S":"KO","t":"2026-11-23T15:00:00Z","sc":"H"}]', MINUTE_NS)
    seen.traded("KO", MINUTE_NS)
    seen.traded("F", 2 * MINUTE_NS)
    assert seen.is_halted("KO")
    seen.traded("KO", MINUTE_NS + 1)
    assert not seen.is_halted("KO")


def test_bars_of_too_many_symbols_are_not_handed_on():
    seen = Seen()
    for number in range(65):
        note(seen, bar(0, 1, f"S{number}"), 1)
    assert seen.bars(MINUTE_NS) == {}


def test_a_heartbeat_tells_the_bars():
    bars = {"KO": {format_ns(0): 10}}
    message = encode_heartbeat({}, Mark("e", SECOND_NS, {}, [], bars))
    assert msgspec.json.decode(message)["bars"] == bars
    assert decode_heartbeat(b"no wire record") is None


def test_an_old_bar_told_late_does_not_push_out_a_newer_one():
    seen = Seen()
    for minute in (*range(20, 30), *range(10)):
        note(seen, bar(minute, minute), 1)
    assert seen.trade_count("KO", format_ns(29 * MINUTE_NS)) == 29
    newest = [format_ns(minute * MINUTE_NS) for minute in (28, 29)]
    assert list(seen.bars(1)["KO"]) == newest
