"""The tail judges as silver does: the cases are those of silver's own tests."""

import pytest

from api.ticks import Opened, open_record
from conf.market.wire import Bar, Quote, Trade

MARKET_NS = 1_795_446_000_000_000_000  # 2026-11-23T15:00:00Z
HEADER = '{"schema_version":1,"kind":"data","epoch":"e1","source":"simulator/iex"}'
TRADE = (
    '{"T":"t","S":"AAPL","i":96921,"x":"D","p":126.55,"s":1,'
    '"t":"2026-11-23T14:59:59.208000001Z","c":["@","I"],"z":"C"}'
)
QUOTE = (
    '{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,'
    '"t":"2026-11-23T14:59:59.335Z","c":["R"],"z":"C"}'
)
BAR = (
    '{"T":"b","S":"SPY","o":387.98,"h":388.0,"l":387.97,"c":388.0,"v":49,'
    '"t":"2026-11-23T14:58:00Z","n":1,"vw":387.99}'
)


def line(message: str, receive_ns: int = MARKET_NS) -> str:
    return f'{{"f":7,"i":3,"r":{receive_ns},"m":{MARKET_NS},"d":{message}}}'


def opened(*lines: str, header: str = HEADER) -> Opened:
    record = open_record("\n".join([header, *lines]).encode(), future_max_s=5)
    assert record
    return record


def test_a_record_yields_its_messages_with_their_places():
    record = opened(line(TRADE), line(QUOTE), line(BAR))
    assert [type(x.message) for x in record.ticks] == [Trade, Quote, Bar]
    assert record.ticks[0].event_time_ns == MARKET_NS - 792_000_000 + 1
    assert record.ticks[0].order[1:] == (MARKET_NS, 7, 3)
    assert (record.messages, record.source) == (3, "simulator/iex")
    assert record.is_live


@pytest.mark.parametrize(
    "message",
    [
        TRADE.replace('"S":"AAPL",', ""),
        TRADE.replace("AAPL", "not a ticker"),
        TRADE.replace("126.55", '"abc"'),
        TRADE.replace('"s":1,', '"s":1.5,'),
        TRADE.replace('"s":1,', '"s":1.0,'),
        TRADE.replace('["@","I"]', '"@"'),
        TRADE.replace("126.55", "NaN"),
        TRADE.replace("126.55", "-1"),
        TRADE.replace("126.55", "0"),
        TRADE.replace("126.55", "1e10"),
        TRADE.replace('"p":126.55,', ""),
        TRADE.replace('"i":96921,"x":"D",', ""),
        TRADE.replace("96921", str(2**63)),
        TRADE.replace('"s":1,', '"s":1000000000001,'),
        TRADE.replace("14:59:59", "15:00:59"),
        TRADE.replace("2026-11-23T", "23.11.2026 "),
        TRADE.replace("2026-11-23T", "2026-13-23T"),
        TRADE.replace('01Z"', '01+00:00"'),
        TRADE.replace('"T":"t"', '"T":"zz"'),
        TRADE.replace('"T":"t"', '"T":"c"'),
        TRADE.replace('"T":"t",', ""),
        QUOTE.replace('"bs":1', '"bs":-1'),
        QUOTE.replace('"ap":87.68,', ""),
        BAR.replace('"c":388.0', '"c":"x"'),
        BAR.replace('"v":49,', ""),
        BAR.replace('"n":1', '"n":-1'),
        '"text"',
    ],
)
def test_what_silver_rejects_is_not_shown_and_the_rest_goes_on(message: str):
    record = opened(line(message), line(QUOTE.replace("AMD", "TSLA")))
    assert [tick.message.symbol for tick in record.ticks] == ["TSLA"]


@pytest.mark.parametrize("text", ["hello", "[]", '{"f":1,"i":0,"r":1,"m":1}', ""])
def test_a_line_that_is_none_hides_no_other(text: str):
    assert len(opened(line(TRADE), text, line(QUOTE)).ticks) == 2


def test_the_producer_s_error_is_no_message():
    text = f'{{"f":1,"i":0,"r":{MARKET_NS},"m":{MARKET_NS},"e":"no JSON","x":"[{{"}}'
    assert opened(text, line(TRADE)).messages == 2


@pytest.mark.parametrize("header", ["hello", "{}", HEADER.replace("1,", "2,", 1)])
def test_another_format_is_no_record(header: str):
    payload = "\n".join([header, line(TRADE)]).encode()
    assert open_record(payload, future_max_s=5) is None


@pytest.mark.parametrize(
    "header",
    [HEADER[:-1] + ',"late":true}', HEADER.replace("data", "history")],
)
def test_late_records_and_history_are_not_opened(header: str):
    record = opened(line(TRADE), header=header)
    assert (record.ticks, record.market_time_ns) == ([], 0)


def test_a_heartbeat_tells_the_market_time_and_nothing_else():
    header = HEADER.replace("data", "heartbeat")
    record = opened(line('{"last_event_time":{}}'), header=header)
    assert (record.market_time_ns, record.ticks, record.messages) == (MARKET_NS, [], 0)


def test_a_replay_is_told_by_its_two_clocks():
    assert not opened(line(TRADE, receive_ns=MARKET_NS + 1)).is_live
