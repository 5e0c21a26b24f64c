"""What can be ordered: the market's symbols, and those that a recording quotes."""

import json
from typing import Any

import pytest

from producer.simulator.batch import Route
from producer.simulator.disturbances import Disturbances
from producer.simulator.listing import TEST_SYMBOL
from producer.simulator.paper.broker import Broker
from producer.simulator.paper.orders import RefusedRequest
from producer.simulator.record import Record

QUOTE = (
    b'{"T":"q","S":"IBM","t":"2026-11-20T15:00:00Z","bx":"V","bp":180.0,"bs":100,'
    b'"ax":"V","ap":180.1,"as":100,"c":["R"],"z":"A"}'
)


def broker(latest: dict[Route, bytes]) -> Broker:
    def clock() -> int:
        return 0

    return Broker(
        ["KO"], latest, clock, Record(None), Disturbances(clock), lambda: None
    )


def order(at: Broker, symbol: str) -> Any:
    wanted = {"symbol": symbol, "side": "buy", "type": "market", "qty": "1"}
    body = json.dumps({**wanted, "time_in_force": "ioc"}).encode()
    return at.answer("key", "POST", ["orders"], {}, body)


async def test_what_a_recording_quotes_can_be_ordered():
    latest: dict[Route, bytes] = {}
    at = broker(latest)
    assert order(at, "KO")[1].symbol == "KO"
    with pytest.raises(RefusedRequest, match='asset "IBM" not found'):
        order(at, "IBM")
    latest["q", "IBM"] = QUOTE
    assert order(at, "IBM")[1].symbol == "IBM"
    assert at.answer("key", "GET", ["assets", "IBM"], {}, b"")[1]["tradable"]


async def test_the_symbol_of_the_test_feed_cannot_be_ordered():
    with pytest.raises(RefusedRequest, match="not found"):
        order(broker({("q", TEST_SYMBOL): QUOTE}), TEST_SYMBOL)
