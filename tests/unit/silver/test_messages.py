"""What silver accepts, what it rejects and why."""

from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession

from conf.lake.spark_schema import spark_schema
from conf.lake.tables import RECORDS
from silver.messages import EVENT, to_messages

pytestmark = pytest.mark.spark

ARRIVAL = datetime(2026, 11, 23, 15, 0, 2, tzinfo=UTC)
MARKET_NS = 1_795_446_000_000_000_000  # 2026-11-23T15:00:00Z
CORRECTION = (
    '{"T":"c","S":"EEM","x":"M","oi":10,"op":39.15,"os":40,"oc":[" ","7"],"ci":11,'
    '"cp":39.18,"cs":41,"cc":[" "],"t":"2026-11-23T14:59:59.5Z","z":"B"}'
)
CANCEL = (
    '{"T":"x","S":"GOOGL","i":465,"x":"D","p":105.31,"s":300,"a":"C",'
    '"t":"2026-11-23T14:59:59.000000007Z","z":"C"}'
)
STATUS = (
    '{"T":"s","S":"AAPL","sc":"H","sm":"Trading Halt","rc":"T12","rm":"News",'
    '"t":"2026-11-23T14:59:59Z","z":"C"}'
)
BAND = (
    '{"T":"l","S":"IONM","u":3.24,"d":2.65,"i":"B","t":"2026-11-23T14:59:59Z","z":"C"}'
)
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
DAY = BAR.replace('"T":"b"', '"T":"d"').replace("14:58", "05:00")
LATE_HEADER = HEADER[:-1] + ',"late":true}'
ACCOUNT_HEADER = HEADER.replace("iex", "trade_updates")
GAP_HEADER = HEADER.replace('"data"', '"gap"')
GAP = (
    '{"T":"gap","S":"AAPL","t":"2026-11-23T14:59:59.5Z","gap_id":"e1/trades/AAPL",'
    '"state":"opened","channel":"trades","cause":"cut","from":"2026-11-23T14:59:58.25Z"}'
)
FILLED = GAP.replace("opened", "backfilled").replace(
    "}", ',"to":"2026-11-23T14:59:59Z","rows":128,"detail":"in 2 pages"}'
)
ORDER = (
    '{"stream":"trade_updates","data":{"event":"fill","timestamp":'
    '"2026-11-23T14:59:59.000000009Z","execution_id":"x1","price":"126.5","qty":"40",'
    '"position_qty":"140","order":{"id":"o1","client_order_id":"c1","symbol":"AAPL",'
    '"qty":"100","filled_qty":"40","filled_avg_price":"126.5","limit_price":"127",'
    '"type":"limit","side":"buy","time_in_force":"day","status":"partially_filled",'
    '"extended_hours":false,"legs":null,"new_field":{"a":[1]}}}}'
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
        return (messages.dropDuplicates(EVENT) if one_copy else messages).collect()

    return to_rows


def test_the_brief_s_messages_reach_their_tables(judge):
    rows = judge(record(line(TRADE), line(QUOTE), line(BAR)))

    tables = {row["table"]: row for row in rows}
    trade = tables["silver.trades"]["trades"][0]
    quote = tables["silver.quotes"]["quotes"][0]
    bar = tables["silver.bars"]["bars"][0]
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
        (TRADE.replace('"T":"t"', '"T":"i"'), "no table takes messages of type i"),
        (TRADE.replace('"T":"t",', ""), "no message type"),
        (QUOTE.replace('"bs":1', '"bs":-1'), "size is negative"),
        (QUOTE.replace('"ap":87.68,', ""), "ask_price missing"),
        (BAR.replace('"c":388.0', '"c":"x"'), "a field has the wrong type"),
        (BAR.replace('"v":49,', ""), "volume missing"),
        (DAY.replace('"n":1,', ""), "trade_count missing"),
        (CORRECTION.replace('"cp":39.18,', ""), "corrected_price missing"),
        (CORRECTION.replace('"oi":10,', ""), "trade_id missing"),
        (CORRECTION.replace('"cs":41', '"cs":-1'), "size is negative"),
        (CORRECTION.replace('"oc":[" ","7"]', '"oc":7'), "a field has the wrong type"),
        (CANCEL.replace('"a":"C"', '"a":"Z"'), "action is neither C nor E"),
        (CANCEL.replace('"p":105.31,', ""), "price missing"),
        (STATUS.replace('"sc":"H",', ""), "status_code missing"),
        (BAND.replace('"u":3.24,', ""), "limit_up_price missing"),
        (BAND.replace("2.65", "-2.65"), "limit_down_price is not a price"),
        (BAND.replace("2.65", '"2.65"'), "a field has the wrong type"),
    ],
)
def test_a_bad_message_is_rejected_with_its_reason_and_the_rest_goes_on(
    judge, message, reason
):
    rows = judge(record(line(message), line(QUOTE.replace("AMD", "TSLA"))))

    (rejected,) = [row["rejects"][0] for row in rows if row["rejects"]]
    assert rejected.reason.startswith(reason)
    assert rejected.position == 1
    assert message in rejected.message
    assert [row["table"] for row in rows if not row["rejects"]] == ["silver.quotes"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (ORDER.replace('"id":"o1",', ""), "order_id missing"),
        (ORDER.replace('"qty":"100"', '"qty":"all"'), "a price or quantity is no"),
        (ORDER.replace('"symbol":"AAPL",', ""), "no symbol"),
        (ORDER.replace('"order":{', '"order":"none","else":{'), "a field has the"),
        (ORDER.replace("14:59:59.", "yesterday"), "no RFC 3339 event time"),
        (ORDER.replace("trade_updates", "listening"), "unknown message type listening"),
        (GAP.replace('"cause":"cut",', ""), "cause missing"),
        (GAP.replace("opened", "closed"), "unknown state"),
        (GAP.replace("opened", "lost"), "end_time missing"),
        (GAP.replace('"from":', '"since":'), "start_time missing"),
    ],
)
def test_a_bad_gap_or_order_update_is_rejected_with_its_reason(judge, message, reason):
    header = GAP_HEADER if message.startswith('{"T":"gap"') else ACCOUNT_HEADER
    (row,) = judge(record(line(message), header=header), late=True)

    assert row["rejects"][0].reason.startswith(reason)


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

    assert row["rejects"][0].reason == "not a line of a wire record"
    assert row["rejects"][0].message == text


@pytest.mark.parametrize(
    "header",
    ["hello", "{}", HEADER.replace("1,", "2,", 1), HEADER.replace("data", "x")],
)
def test_a_record_of_another_format_is_one_reject_at_position_0(judge, header):
    (row,) = judge(record(line(TRADE), line(QUOTE), header=header))

    assert row["rejects"][0].reason == "not a wire record of version 1"
    assert row["rejects"][0].position == 0


def test_the_producer_s_error_is_the_reason_and_its_text_the_message(judge):
    text = f'{{"f":1,"i":0,"r":{MARKET_NS},"m":{MARKET_NS},"e":"no JSON","x":"[{{"}}'
    (row,) = judge(record(text))

    assert (row["rejects"][0].reason, row["rejects"][0].message) == ("no JSON", "[{")


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
    marked = record(line(TRADE), header=LATE_HEADER)
    other = record(line(QUOTE))

    assert [row["table"] for row in judge(marked, other)] == ["silver.quotes"]
    assert [r["table"] for r in judge(marked, other, late=True)] == ["silver.trades"]


def test_each_restatement_of_a_bar_is_a_revision_of_its_own(judge):
    first = BAR.replace('"T":"b"', '"T":"u"').replace('"n":1', '"n":2')
    second = first.replace('"n":2', '"n":3')
    rows = judge(
        record(line(BAR), line(first), line(second), line(second)), one_copy=True
    )

    assert sorted(row["bars"][0].revision for row in rows) == [0, 2, 3]


def test_a_correction_and_a_cancel_name_the_trade_that_they_mean(judge):
    correction, cancel = (
        row["corrections"][0] for row in judge(record(line(CORRECTION), line(CANCEL)))
    )

    assert (correction.action, cancel.action) == ("correct", "cancel")
    assert {correction.match_state, cancel.match_state} == {"pending"}
    assert (correction.exchange, correction.trade_id) == ("M", 10)
    assert (correction.price, correction.size) == (39.15, 40)
    assert correction.conditions == [" ", "7"]
    assert correction.corrected_trade_id == 11
    assert (correction.corrected_price, correction.corrected_size) == (39.18, 41)
    assert correction.corrected_conditions == [" "]
    assert (cancel.exchange, cancel.trade_id) == ("D", 465)
    assert (cancel.price, cancel.size, cancel.tape) == (105.31, 300, "C")
    assert cancel.event_time_ns == MARKET_NS - 10**9 + 7
    assert (cancel.corrected_trade_id, cancel.trade_event_time_ns) == (None, None)


def test_halts_and_price_bands_share_a_table(judge):
    status, band = (
        row["statuses"][0] for row in judge(record(line(STATUS), line(BAND)))
    )

    assert (status.channel, status.status_code) == ("status", "H")
    assert (status.reason_code, status.reason_message) == ("T12", "News")
    assert (band.channel, band.status_code) == ("luld", None)
    assert (band.limit_up_price, band.limit_down_price) == (3.24, 2.65)
    assert (band.indicator, band.tape) == ("B", "C")


def test_a_day_so_far_is_a_revision_of_its_day(judge):
    later = DAY.replace('"n":1', '"n":2')
    rows = judge(record(line(DAY), line(later), line(later)), one_copy=True)
    found = {row["bars"][0].revision: row["bars"][0] for row in rows}

    assert sorted(found) == [1, 2]
    assert {bar.bar_length_s for bar in found.values()} == {86_400}
    assert found[1].window_end - found[1].window_start == timedelta(days=1)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (CORRECTION, ('"cc":[" "]', '"cc":["@"]')),
        (CANCEL, ('"a":"C"', '"a":"E"')),
        (STATUS, ('"rm":"News"', '"rm":"Other"')),
        (BAND, ('"u":3.24', '"u":3.25')),
    ],
)
def test_what_differs_in_any_field_is_no_copy(judge, message, change):
    other = message.replace(*change)
    assert other != message
    lines = [line(message), line(other), line(message, frame=9)]

    assert len(judge(record(*lines), one_copy=True)) == 2


def test_a_gap_s_states_are_rows_and_a_state_that_is_told_again_is_a_copy(judge):
    again = GAP.replace("59.5Z", "59.9Z").replace("58.25", "58.5")
    lines = (line(GAP), line(again, frame=1), line(FILLED, frame=2))
    rows = judge(record(*lines, header=GAP_HEADER), one_copy=True, late=True)
    opened, filled = sorted(
        (row["gaps"][0] for row in rows), key=lambda gap: gap.state != "opened"
    )

    assert (opened.gap_id, opened.symbol) == ("e1/trades/AAPL", "AAPL")
    assert (opened.channel, opened.cause, opened.kind) == ("trades", "cut", "gap")
    assert (opened.end_time, opened.backfilled_rows, opened.detail) == (None,) * 3
    assert filled.state == "backfilled"
    assert filled.end_time - filled.start_time == timedelta(seconds=0.75)
    assert filled.known_time - filled.start_time == timedelta(seconds=1.25)
    assert filled.known_time.second == 59
    assert (filled.backfilled_rows, filled.detail) == (128, "in 2 pages")


def test_a_gap_may_be_of_every_symbol_but_a_trade_may_not(judge):
    rows = judge(
        record(line(GAP.replace('"S":"AAPL"', '"S":"*"')), header=GAP_HEADER),
        record(line(TRADE.replace("AAPL", "*")), header=LATE_HEADER),
        late=True,
    )
    found = {row["table"]: row for row in rows}

    assert found["silver.gaps"]["gaps"][0].symbol == "*"
    assert found["silver.rejects"]["rejects"][0].reason == "no symbol"


def test_an_order_update_is_known_by_its_stream(judge):
    assert judge(record(line(ORDER), header=ACCOUNT_HEADER)) == []
    (row,) = judge(record(line(ORDER), header=ACCOUNT_HEADER), late=True)
    order = row["orders"][0]

    assert (order.symbol, order.event_time_ns) == ("AAPL", MARKET_NS - 10**9 + 9)
    assert (order.order_id, order.event, order.execution_id) == ("o1", "fill", "x1")
    assert (order.client_order_id, order.status) == ("c1", "partially_filled")
    assert (order.side, order.order_type, order.time_in_force) == (
        "buy",
        "limit",
        "day",
    )
    assert (order.quantity, order.limit_price, order.stop_price) == (100, 127, None)
    assert (order.filled_quantity, order.filled_price_mean) == (40, 126.5)
    assert (order.fill_price, order.fill_quantity) == (126.5, 40)
    assert order.position_quantity == 140


def test_an_order_update_without_execution_is_its_event(judge):
    new = ORDER.replace('"fill"', '"new"').replace('"execution_id":"x1",', "")
    lines = (line(new), line(new, frame=1), line(ORDER))
    rows = judge(record(*lines, header=ACCOUNT_HEADER), one_copy=True, late=True)

    assert sorted(row["orders"][0].execution_id for row in rows) == ["", "x1"]
