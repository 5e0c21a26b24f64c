"""What is sent is what OpenAPI promises."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from api import events, payloads
from api.market_hours import market_at
from api.publication import Publication
from api.replay import to_text
from api.responses import rfc3339
from api.routes.stream import router
from api.time_text import time_text
from tests.unit.api.live import MINUTE, Lake, Tail, bar, quote, record, stats, trade

MODELS: dict[str, type[BaseModel]] = {
    "ticker": events.TickerEvent,
    "candle": events.CandleEvent,
    "stats": events.StatsEvent,
    "status": events.StatusEvent,
}


def publication(*, empty: bool) -> Publication:
    tail, lake = Tail(), Lake()
    if not empty:
        tail.state.add(record(trade(1), quote(2, 99.0), trade(61, symbol="MSFT")))
        tail.state.add(record(bar()))
        lake.stats = (2**60, [stats("AAPL", 1), stats("MSFT", 2)])
        lake.prices = {"AAPL": (99.5, "previous_close")}
    return Publication(tail, lake, "e1")


def data_of(topic: str, payload: object) -> dict[str, Any]:
    text = to_text(topic, payload, "e1-1").decode()
    number, event, data, *rest = text.split("\n")
    assert (number, event, rest) == ("id: e1-1", f"event: {topic}", ["", ""])
    return dict(json.loads(data.removeprefix("data: ")))


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("snapshot", [True, False])
def test_every_event_is_its_model_s_json_to_the_letter(empty: bool, snapshot: bool):
    source = publication(empty=empty)
    news = source.news(MINUTE, 3)
    if snapshot:
        news = source.snapshot(MINUTE, 3)
    assert {"status"} <= {topic for topic, _ in news}
    for topic, payload in news:
        sent = data_of(topic, payload)
        model = MODELS[topic].model_validate_json(json.dumps(sent), strict=False)
        assert json.loads(model.model_dump_json()) == sent


def test_a_reset_is_its_model_s_json():
    sent = data_of("reset", payloads.Reset("too_old"))
    assert events.ResetEvent.model_validate(sent).model_dump() == sent


def test_statistics_are_the_table_s_numbers_to_the_last_digit():
    source = publication(empty=False)
    (rows,) = (p for topic, p in source.news(MINUTE, 0) if topic == "stats")
    sent = data_of("stats", rows)
    assert sent["table_version"] == str(2**60)
    aapl, msft = sent["rows"]
    assert (aapl["price_variance"], msft["price_variance"]) == (None, 0.1 + 0.2)
    assert msft == json.loads(stats("MSFT", 2).model_dump_json())


def test_the_two_ways_to_write_a_time_are_one():
    moment = datetime(2026, 11, 23, 15, 0, 0, 120, tzinfo=UTC)
    assert time_text(int(moment.timestamp()) * 10**9 + 120_999) == rfc3339(moment)


def test_openapi_describes_every_event():
    app = FastAPI()
    app.include_router(router)
    document = app.openapi()
    models = set(document["components"]["schemas"])
    assert {model.__name__ for model in MODELS.values()} <= models
    assert "ResetEvent" in models
    operation = document["paths"]["/api/v1/stream"]["get"]
    assert operation["operationId"] == "stream"
    content = operation["responses"]["200"]["content"]
    assert list(content) == ["text/event-stream"]
    assert content["text/event-stream"]["schema"]["$ref"].endswith("/StreamEvent")


@pytest.mark.parametrize(
    ("moment", "state", "end"),
    [
        ("2026-11-27T14:29:59Z", "closed", "2026-11-27T18:00:00.000000Z"),
        ("2026-11-27T14:30:00Z", "open", "2026-11-27T18:00:00.000000Z"),
        ("2026-11-27T18:00:00Z", "closed", "2026-11-27T18:00:00.000000Z"),
        ("2026-11-26T15:00:00Z", "closed", None),
    ],
)
def test_alpaca_s_market_has_nyse_hours(moment: str, state: str, end: str | None):
    market = market_at(datetime.fromisoformat(moment), "alpaca/iex", is_live=True)
    assert (market.state, market.session_end) == (state, end)


def test_a_market_of_this_machine_has_no_hours():
    assert market_at(MINUTE, "simulator/iex", is_live=True).state == "simulated"
    assert market_at(MINUTE, "simulator/iex", is_live=False).state == "replay"
    assert market_at(None, "", is_live=True).state == "closed"
