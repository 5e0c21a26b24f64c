import json
import os
from pathlib import Path

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.market.rfc3339 import parse_ns
from conf.market.wire import CONTROL_TYPES
from producer.protocol import (
    Control,
    Decoded,
    auth_message,
    decode,
    subscribe_message,
)

TRADE = (
    b'{"T":"t","S":"AAPL","i":96921,"x":"D","p":126.55,"s":1,'
    b'"t":"2021-02-22T15:51:44.208Z","c":["@","I"],"z":"C"}'
)
QUOTE = (
    b'{"T":"q","S":"AMD","bx":"U","bp":87.66,"bs":1,"ax":"Q","ap":87.68,"as":4,'
    b'"t":"2021-02-22T15:51:45.335Z","c":["R"],"z":"C"}'
)
BAR = (
    b'{"T":"b","S":"SPY","o":387.98,"h":388.0,"l":387.97,"c":388.0,"v":49,'
    b'"t":"2021-02-22T19:15:00Z","n":1,"vw":387.99}'
)
REQUEST = {
    "trades": ["AAPL", "TSLA", "NVDA"],
    "quotes": ["SPY", "QQQ"],
    "bars": ["MSFT", "GOOGL"],
}
DATA = Path(
    os.environ.get("TICKHOUSE_DATA", Path(__file__).parents[4] / "shared" / "data")
)


def data_of(decoded: Decoded) -> list[bytes | None]:
    return [None if x.data is None else bytes(x.data) for x in decoded.messages]


def test_auth_message_is_the_briefs():
    assert json.loads(auth_message("K", "S", "json")) == {
        "action": "auth",
        "key": "K",
        "secret": "S",
    }


def test_subscribe_message_has_a_list_per_channel():
    assert json.loads(subscribe_message(REQUEST, "json")) == {
        "action": "subscribe",
        **REQUEST,
    }


def test_messages_are_msgpack_when_that_is_spoken():
    assert isinstance(auth_message("K", "S", "json"), str)
    assert msgpack.unpackb(auth_message("K", "S", "msgpack"))["action"] == "auth"
    assert msgpack.unpackb(subscribe_message(REQUEST, "msgpack"))["quotes"] == [
        "SPY",
        "QQQ",
    ]


def test_control_messages_are_told_from_data():
    decoded = decode(b'[{"T":"success","msg":"authenticated"},' + TRADE + b"]", "json")
    assert decoded.controls == [Control("success", "authenticated")]
    assert [x.index for x in decoded.messages] == [1]


@pytest.mark.parametrize("message", [TRADE, QUOTE, BAR])
def test_a_message_of_the_brief_keeps_its_bytes(message: bytes):
    decoded = decode(b"[" + message + b"]", "json")
    assert data_of(decoded) == [message]
    expected = json.loads(message)
    head = decoded.messages[0].head
    assert (head.type, head.symbol, head.event_time) == (
        expected["T"],
        expected["S"],
        expected["t"],
    )


def test_messages_keep_their_order_and_their_odd_spelling():
    odd = b'{ "T":"t", "p": 1.50, "v": 1e2, "s" : "\\u00e9\xc3\xa9" }'
    decoded = decode(b"[ " + odd + b" ,\t" + TRADE + b"]", "json")
    assert data_of(decoded) == [odd, TRADE]
    assert [x.index for x in decoded.messages] == [0, 1]


def test_pretty_printed_message_loses_its_newlines_and_nothing_else():
    decoded = decode(b'[\n {"T": "t",\n  "p": 1.50,\r\n "s": "a b"}\n]', "json")
    assert data_of(decoded) == [b'{"T":"t","p":1.50,"s":"a b"}']


@pytest.mark.parametrize(
    "message",
    [b"7", b"null", b'"text"', b"[1]", b'{"T":1}', b'{"T":"t","S":5}', b'{"t":true}'],
)
def test_a_message_without_readable_head_is_data_without_symbol(message: bytes):
    decoded = decode(b"[" + message + b"]", "json")
    assert data_of(decoded) == [message]
    assert decoded.messages[0].head.symbol is None


def test_an_object_that_is_no_array_is_one_message():
    assert data_of(decode(TRADE, "json")) == [TRADE]


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity"])
def test_a_literal_that_is_no_json_costs_only_its_own_message(literal: bytes):
    bad = b'{"T":"t","S":"AAPL","p":' + literal + b"}"
    decoded = decode(b"[" + TRADE + b", " + bad + b"," + QUOTE + b"]", "json")
    assert data_of(decoded) == [TRADE, None, QUOTE]
    assert decoded.messages[1].raw == bad.decode()
    assert "malformed" in (decoded.messages[1].error or "")
    assert [x.index for x in decoded.messages] == [0, 1, 2]


def test_a_torn_frame_keeps_the_messages_before_the_tear():
    decoded = decode(b"[" + TRADE + b"," + QUOTE[:40], "json")
    assert data_of(decoded) == [TRADE, None]
    assert decoded.messages[1].raw == QUOTE[:40].decode()


def test_a_frame_torn_in_its_first_message_is_kept_as_text():
    (message,) = decode(b'[{"T":"t","S":"BAC","i":3', "json").messages
    assert message.raw == '[{"T":"t","S":"BAC","i":3'


def test_a_frame_that_ends_between_two_messages_is_an_error_too():
    decoded = decode(b"[" + TRADE + b",", "json")
    assert data_of(decoded) == [TRADE, None]


@pytest.mark.parametrize(
    "frame",
    [b"", b"hello", b"<html>", b"\x00\xff", b"{", b"\xef\xbb\xbf[]", b"[" * 9999],
)
def test_a_frame_that_is_no_json_is_one_error(frame: bytes):
    (message,) = decode(frame, "json").messages
    assert message.data is None
    assert message.error
    assert message.raw is not None


def test_text_that_is_no_utf8_costs_only_its_own_message():
    bad = b'{"T":"t","S":"A\xff"}'
    decoded = decode(b"[" + TRADE + b"," + bad + b"," + QUOTE + b"]", "json")
    assert data_of(decoded) == [TRADE, None, QUOTE]
    assert decoded.messages[1].raw == '{"T":"t","S":"A\\xff"}'


def test_a_lone_surrogate_is_an_error():
    decoded = decode(b'[{"T":"t","S":"\\ud800"}]', "json")
    assert data_of(decoded) == [None]


def test_raw_text_of_an_error_is_at_most_64_kib():
    (message,) = decode(b"x" * 200_000, "json").messages
    assert message.raw == "x" * 65_536


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_frame_raises(frame: bytes):
    for encoding in ("json", "msgpack"):
        for message in decode(frame, encoding).messages:
            assert (message.data is None) == (message.error is not None)
            assert message.data is None or b"\n" not in bytes(message.data)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"T": st.sampled_from("tqbucx")},
            optional={"S": st.text(), "p": st.floats(), "s": st.integers()},
        )
    )
)
def test_a_frame_with_bad_numbers_loses_only_those(messages: list[dict[str, object]]):
    texts = [json.dumps(x).encode() for x in messages]
    decoded = decode(b"[" + b",".join(texts) + b"]", "json")
    assert len(decoded.messages) == len(messages)
    for text, message in zip(texts, decoded.messages, strict=True):
        if message.data is None:
            assert message.raw == text.decode()
        else:
            assert bytes(message.data) == text


# --- msgpack --------------------------------------------------------------------------


def test_msgpack_message_becomes_json_with_the_same_values():
    message = {
        "T": "q",
        "S": "AMD",
        "bp": 87.66,
        "bs": 1,
        "c": ["R"],
        "n": None,
        "i": 2**63,
        "t": msgpack.Timestamp(1680782061, 670905508),
    }
    decoded = decode(msgpack.packb([message]), "msgpack")
    assert msgspec.json.decode(decoded.messages[0].data or b"") == {
        **message,
        "t": "2023-04-06T11:54:21.670905508Z",
    }
    assert decoded.messages[0].head.event_time == "2023-04-06T11:54:21.670905508Z"


@given(
    st.integers(
        min_value=parse_ns("0001-01-01T00:00:00Z"),
        max_value=parse_ns("9999-12-31T23:59:59.999999999Z"),
    )
)
def test_msgpack_nanoseconds_come_back(time_ns: int):
    time = msgpack.Timestamp.from_unix_nano(time_ns)
    decoded = decode(msgpack.packb([{"T": "t", "t": time}]), "msgpack")
    text = decoded.messages[0].head.event_time
    assert text is not None
    assert parse_ns(text) == time_ns
    assert not text.endswith("0Z") or "." not in text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_msgpack_float_comes_back(price: float):
    decoded = decode(msgpack.packb([{"p": price}]), "msgpack")
    assert msgspec.json.decode(decoded.messages[0].data or b"") == {"p": price}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"a": float("-inf")}]])
def test_msgpack_number_without_json_is_an_error(value: object):
    frame = msgpack.packb([{"T": "t", "p": 1.0}, {"T": "t", "p": value}])
    decoded = decode(frame, "msgpack")
    assert data_of(decoded) == [b'{"T":"t","p":1.0}', None]
    assert decoded.messages[1].raw == repr({"T": "t", "p": value})


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xc1",
        msgpack.packb([TRADE])[:-1],
        msgpack.packb([msgpack.ExtType(5, b"x")]),
        msgpack.packb([msgpack.Timestamp(2**40, 0)]),
    ],
)
def test_a_frame_that_is_no_msgpack_is_one_error(frame: bytes):
    (message,) = decode(frame, "msgpack").messages
    assert message.data is None
    assert message.error


def test_msgpack_control_message():
    frame = msgpack.packb([{"T": "error", "code": 406, "msg": "limit"}])
    assert decode(frame, "msgpack").controls == [Control("error", "limit", 406)]


# --- subscription and errors ----------------------------------------------------------


def test_a_control_message_of_wrong_types_is_still_control():
    decoded = decode(b'[{"T":"error","code":"x","msg":"bad"}]', "json")
    assert decoded.messages == []
    assert decoded.controls[0].type == "error"


# --- real frames ----------------------------------------------------------------------


def recorded(name: str) -> Path:
    path = DATA / "alpaca" / name
    if not path.exists():
        pytest.skip(f"no recorded frames at {path}: set TICKHOUSE_DATA")
    return path


def test_every_recorded_json_frame_decodes():
    lines = recorded("alpaca_frames.jsonl").read_bytes().splitlines()
    assert len(lines) == 67
    for line in lines:
        frame = msgspec.json.decode(line, type=dict[str, msgspec.Raw])["frame"]
        decoded = decode(bytes(frame), "json")
        expected = msgspec.json.decode(frame, type=list[msgspec.Raw])
        data = [
            bytes(x) for x in expected if json.loads(bytes(x))["T"] not in CONTROL_TYPES
        ]
        assert data_of(decoded) == data
        assert len(decoded.controls) == len(expected) - len(data)


def test_every_recorded_msgpack_frame_decodes_to_the_json_one():
    frames = msgpack.Unpacker()
    frames.feed(recorded("alpaca_frames.msgpack").read_bytes())
    lines = recorded("alpaca_frames.jsonl").read_bytes().splitlines()
    for values, line in zip(frames, lines, strict=True):
        decoded = decode(msgpack.packb(values), "msgpack")
        expected = [x for x in json.loads(line)["frame"] if x["T"] not in CONTROL_TYPES]
        assert [json.loads(x or b"") for x in data_of(decoded)] == expected
