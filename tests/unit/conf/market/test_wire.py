"""Every message type keeps Alpaca's keys: what is decoded encodes to itself."""

import json

import msgspec
import pytest

from conf.market import wire

TIME = "2026-11-23T14:30:00.000000001Z"
BAR = {"o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5, "v": 300, "t": TIME, "n": 3, "vw": 1.25}
MESSAGES = [
    {"T": "b", "S": "KO", **BAR},
    {"T": "u", "S": "KO", **BAR},
    {"T": "d", "S": "KO", **BAR},
    {
        "T": "c", "S": "KO", "x": "D", "oi": 7, "op": 63.9, "os": 100, "oc": [" "],
        "ci": 9, "cp": 63.8, "cs": 90, "cc": [" ", "I"], "z": "A", "t": TIME,
    },
    {
        "T": "x", "S": "KO", "i": 9, "x": "D", "p": 63.8, "s": 90, "a": "C",
        "z": "A", "t": TIME,
    },
    {
        "T": "s", "S": "KO", "sc": "2", "sm": "Trading Halt", "rc": "M",
        "rm": "Volatility Trading Pause", "z": "A", "t": TIME,
    },
    {"T": "l", "S": "KO", "u": 67.1, "d": 60.7, "i": "B", "z": "A", "t": TIME},
]  # fmt: skip
_decode = msgspec.json.Decoder(wire.Message).decode


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["T"])
def test_a_message_keeps_its_keys(message: dict):
    decoded = _decode(json.dumps(message))

    encoded = json.loads(msgspec.json.encode(decoded))
    assert {key: value for key, value in encoded.items() if value is not None} == (
        message
    )
    assert encoded.keys() == {"T", *wire.wire_fields(type(decoded))}


def test_an_account_message_keeps_its_order():
    order = {
        name: TIME if name.endswith("_at") else "1"
        for name in wire.Order.__struct_fields__
        if name in wire.required_fields(wire.Order)
    } | {"extended_hours": False}
    update = {"event": "fill", "timestamp": TIME, "order": order, "price": "63.9"}
    message = {"stream": "trade_updates", "data": update}

    decoded = msgspec.json.decode(json.dumps(message), type=wire.AccountMessage)

    assert decoded.data.order.status == "1"
    encoded = json.loads(msgspec.json.encode(decoded))
    assert encoded["data"]["order"].items() >= order.items()
    assert encoded["data"].keys() == update.keys()
