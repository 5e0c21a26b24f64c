"""What silver accepts, what it rejects and why."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import DataFrame, SparkSession

from conf.lake.spark_schema import spark_schema
from conf.lake.tables import RECORDS
from silver.messages import keep_one_copy, to_messages

pytestmark = pytest.mark.spark

ARRIVAL = datetime(2026, 11, 23, 15, 0, 2, tzinfo=UTC)
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


def line(message: str, *, frame: int = 0, more: str = "") -> str:
    return f'{{"f":{frame},"i":0,"r":{MARKET_NS},"m":{MARKET_NS}{more},"d":{message}}}'


def record(*lines: str, sequence_number: str = "1", header: str = HEADER) -> tuple:
    data = "\n".join([header, *lines]).encode()
    return (ARRIVAL, "shardId-0", sequence_number, "k", ARRIVAL, data, ARRIVAL.date())


@pytest.fixture
def judge(spark: SparkSession):
    def to_rows(*records: tuple, one_copy: bool = False, late: bool = False) -> list:
        frame = spark.createDataFrame(list(records), spark_schema(RECORDS))
        messages: DataFrame = to_messages(frame, future_max_s=5, late=late)
        return (keep_one_copy(messages) if one_copy else messages).collect()

    return to_rows


def test_the_brief_s_messages_reach_their_tables(judge):
    rows = judge(record(line(TRADE), line(QUOTE), line(BAR)))

    tables = {row["table"]: row for row in rows}
    trade = tables["silver.trades"]["trades"]
    quote = tables["silver.quotes"]["quotes"]
    bar = tables["silver.bars"]["bars"]
    assert len(rows) == 3
    assert (trade.symbol, trade.exchange, trade.trade_id) == ("AAPL", "D", 96921)
    assert (trade.price, trade.size, trade.conditions) == (126.55, 1, ["@", "I"])
    assert trade.event_time_ns == MARKET_NS - 792_000_000 + 1
    assert trade.position == 1
    assert (quote.bid_price, quote.ask_size, quote.occurrence) == (87.66, 4, 0)
    assert (bar.open, bar.close, bar.volume, bar.revision) == (387.98, 388.0, 49, 0)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (TRADE.replace('"S":"AAPL",', ""), "no symbol"),
        (TRADE.replace("AAPL", "not a ticker"), "no symbol"),
        (TRADE.replace("126.55", '"abc"'), "a field has the wrong type"),
        (TRADE.replace('"s":1,', '"s":1.5,'), "a field has the wrong type"),
        (TRADE.replace('["@","I"]', '"@"'), "a field has the wrong type"),
        (TRADE.replace("126.55", "NaN"), "price is not a price"),
        (TRADE.replace("126.55", "-1"), "price is not a price"),
        (TRADE.replace("126.55", "0"), "price is 0"),
        (TRADE.replace('"p":126.55,', ""), "price missing"),
        (TRADE.replace('"i":96921,"x":"D",', ""), "exchange, trade_id missing"),
        (TRADE.replace("14:59:59", "15:00:59"), "event time more than 5 s in"),
        (TRADE.replace("2026-11-23T", "23.11.2026 "), "no RFC 3339 event time"),
        (TRADE.replace("2026-11-23T", "2026-13-23T"), "no RFC 3339 event time"),
        (TRADE.replace('"T":"t"', '"T":"zz"'), "unknown message type zz"),
        (TRADE.replace('"T":"t"', '"T":"c"'), "no table takes messages of type c"),
        (TRADE.replace('"T":"t",', ""), "no message type"),
        (QUOTE.replace('"bs":1', '"bs":-1'), "size is negative"),
        (QUOTE.replace('"ap":87.68,', ""), "ask_price missing"),
        (BAR.replace('"c":388.0', '"c":"x"'), "a field has the wrong type"),
        (BAR.replace('"v":49,', ""), "volume missing"),
    ],
)
def test_a_bad_message_is_rejected_with_its_reason_and_the_rest_goes_on(
    judge, message, reason
):
    rows = judge(record(line(message), line(QUOTE.replace("AMD", "TSLA"))))

    (rejected,) = [row["rejects"] for row in rows if row["rejects"]]
    assert rejected.reason.startswith(reason)
    assert rejected.position == 1
    assert message in rejected.message
    assert [row["table"] for row in rows if not row["rejects"]] == ["silver.quotes"]


@pytest.mark.parametrize(
    "text",
    [
        '{"f":1,"i":0,"r":1',
        "hello",
        "[]",
        "5",
        '{"f":1,"i":0,"r":1,"m":1}',
        '{"f":1,"i":0,"r":1,"m":1,"d":"text"}',
    ],
)
def test_a_line_that_is_no_wire_record_is_rejected(judge, text):
    (row,) = judge(record(text))

    assert row["rejects"].reason == "not a line of a wire record"
    assert row["rejects"].message == text


@pytest.mark.parametrize(
    "header",
    ["hello", "{}", HEADER.replace("1,", "2,", 1), HEADER.replace("data", "x")],
)
def test_a_record_of_another_format_is_one_reject_at_position_0(judge, header):
    (row,) = judge(record(line(TRADE), line(QUOTE), header=header))

    assert row["rejects"].reason == "not a wire record of version 1"
    assert row["rejects"].position == 0


def test_the_producer_s_error_is_the_reason_and_its_text_the_message(judge):
    text = f'{{"f":1,"i":0,"r":{MARKET_NS},"m":{MARKET_NS},"e":"no JSON","x":"[{{"}}'
    (row,) = judge(record(text))

    assert (row["rejects"].reason, row["rejects"].message) == ("no JSON", "[{")


def test_heartbeats_are_no_messages(judge):
    header = HEADER.replace("data", "heartbeat")
    assert judge(record(line('{"last_event_time":{}}'), header=header)) == []


def test_copies_of_an_event_are_one_but_a_numbered_twin_is_another(judge):
    #  record 1: trade, quote, its identical twin (occurrence 1)
    #  record 2: the whole record again, as a retried PutRecords entry stores it
    lines = (line(TRADE), line(QUOTE), line(QUOTE, more=',"o":1'))
    rows = judge(record(*lines), record(*lines, sequence_number="2"), one_copy=True)

    assert sorted(row["table"] for row in rows) == [
        "silver.quotes",
        "silver.quotes",
        "silver.trades",
    ]


def test_a_record_marked_late_is_the_business_of_the_late_query_alone(judge):
    marked = record(line(TRADE), header=HEADER[:-1] + ',"late":true}')
    other = record(line(QUOTE))

    assert [row["table"] for row in judge(marked, other)] == ["silver.quotes"]
    assert [r["table"] for r in judge(marked, other, late=True)] == ["silver.trades"]


def test_each_restatement_of_a_bar_is_a_revision_of_its_own(judge):
    first = BAR.replace('"T":"b"', '"T":"u"').replace('"n":1', '"n":2')
    second = first.replace('"n":2', '"n":3')
    rows = judge(
        record(line(BAR), line(first), line(second), line(second)), one_copy=True
    )

    assert sorted(row["bars"].revision for row in rows) == [0, 2, 3]
