import json

import msgpack
import pytest

from conf.market.wire import Trade
from producer.simulator.batch import EVERYONE
from producer.simulator.faults import Malformer, damaged
from producer.simulator.protocol import (
    ErrorCode,
    Refused,
    Subscription,
    broken_msgpack,
    decode_request,
    error,
    msgpack_frame,
)

TRADE = Trade("AAPL", 7, "D", 231.5, 100, "2026-11-23T01:55:52.123456789Z", ["@"], "C")


def subscribe(**channels: object) -> dict:
    return {"action": "subscribe", **channels}


def test_the_confirmation_is_alpacas_documented_example():
    subscription = Subscription(symbol_limit=30)
    subscription.change(subscribe(trades=["AAPL"], quotes=["AMD"], bars=["*"]))
    subscription.change(subscribe(quotes=["CLDR", "AMD"], trades=["AAPL"]))

    assert json.dumps(subscription.state()) == json.dumps(
        {
            "T": "subscription",
            "trades": ["AAPL"],
            "quotes": ["CLDR", "AMD"],
            "bars": ["*"],
            "updatedBars": [],
            "dailyBars": [],
            "statuses": [],
            "lulds": [],
            "corrections": ["AAPL"],
            "cancelErrors": ["AAPL"],
        }
    )


def test_a_channel_carries_only_its_symbols():
    subscription = Subscription(symbol_limit=None)
    subscription.change(subscribe(trades=["AAPL"], quotes=["*"]))
    wanted = subscription.wanted

    assert wanted["t", "AAPL"]
    assert wanted["q", "ANY"]
    assert wanted["x", "AAPL"], "cancels come with the trades"
    assert not wanted["t", "MSFT"]
    assert not wanted["b", "AAPL"]
    assert wanted[EVERYONE]


def test_unsubscribing_takes_away():
    subscription = Subscription(symbol_limit=None)
    subscription.change(subscribe(trades=["AAPL", "MSFT"]))
    subscription.change({"action": "unsubscribe", "trades": ["AAPL", "KO"]})
    assert subscription.state()["corrections"] == ["MSFT"]

    subscription.change({"action": "unsubscribe", "trades": ["MSFT"]})

    assert not subscription
    assert not subscription.wanted[EVERYONE]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (subscribe(trades="AAPL"), ErrorCode.INVALID_SYNTAX),
        (subscribe(trades=[1]), ErrorCode.INVALID_SYNTAX),
        (subscribe(trades=[""]), ErrorCode.INVALID_SYNTAX),
        (subscribe(), ErrorCode.INVALID_SYNTAX),
        (subscribe(news=["AAPL"]), ErrorCode.INVALID_SUBSCRIBE_ACTION),
        (subscribe(trades=["A", "B"], quotes=["C"]), ErrorCode.SYMBOL_LIMIT_EXCEEDED),
    ],
)
def test_a_refused_change_changes_nothing(request_: dict[str, object], code: ErrorCode):
    subscription = Subscription(symbol_limit=2)
    subscription.change(subscribe(bars=["A", "B", "C", "D"]))
    before = subscription.state()

    with pytest.raises(Refused) as refused:
        subscription.change(request_)

    assert refused.value.code == code
    assert subscription.state() == before


def test_errors_read_as_documented():
    assert error(ErrorCode.SLOW_CLIENT) == {
        "T": "error",
        "code": 407,
        "msg": "slow client",
    }
    assert error(ErrorCode.INVALID_SUBSCRIBE_ACTION)["msg"] == (
        "invalid subscribe action for this feed"
    )


@pytest.mark.parametrize(
    ("frame", "is_msgpack"),
    [("[1]", False), ("{", False), (b"\xff", False), (b"\xc1", True), (b"\x01", True)],
)
def test_a_request_that_is_no_object_is_invalid_syntax(
    frame: str | bytes, is_msgpack: bool
):
    with pytest.raises(Refused) as refused:
        decode_request(frame, is_msgpack=is_msgpack)

    assert refused.value.code == ErrorCode.INVALID_SYNTAX


def test_msgpack_carries_the_time_as_its_own_type():
    (message,) = msgpack.unpackb(msgpack_frame([damaged(TRADE, "none")]))

    assert message["t"].to_unix_nano() == 1_795_398_952_123_456_789
    assert message["p"] == 231.5
    assert message["c"] == ["@"]


def test_each_kind_of_damage_survives_both_encodings():
    malformer = Malformer()
    texts = [malformer.spoil(TRADE) for _ in malformer.KINDS]
    (broken,) = (text for text in texts if text.startswith(b"["))
    whole = [text for text in texts if text != broken]

    packed = msgpack.unpackb(msgpack_frame(whole))

    assert len(set(texts)) == len(malformer.KINDS)
    assert len(packed) == len(whole)
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)
    with pytest.raises(ValueError, match="incomplete"):
        msgpack.unpackb(broken_msgpack(broken))


def test_a_huge_message_comes_rarely():
    malformer = Malformer()
    sizes = [len(malformer.spoil(TRADE)) for _ in range(300)]

    assert sum(size > 200_000 for size in sizes) == 3
