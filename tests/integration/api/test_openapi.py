"""The schema says what the API does: schemathesis asks, the schema judges."""

import asyncio
from collections.abc import Iterator
from threading import Thread

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from api.__main__ import listen
from api.app import create_app
from conf.settings import ROOT, ApiSettings
from tests.integration.api.markets import Market

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]


SCHEMA = schemathesis.openapi.from_path(ROOT / "docs/reference/openapi.json")
STREAMS = ("/api/v1/stream",)
"""Paths whose answers have no end."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over a lake with a little of everything."""
    market = Market(tmp_path_factory.mktemp("openapi"))
    market.create()
    market.trade({"at": 1}, {"at": 2, "symbol": "MSFT", "tape": None})
    market.quote({"at": 1}, {"at": 2, "bid_exchange": None})
    market.bar({}, {"at": 60, "vwap": None, "trade_count": None})
    market.stats({}, {"symbol": "MSFT", "price_variance": None, "price_stddev": None})
    chosen = market.settings.model_copy(update={"api": ApiSettings(port=28_000)})
    server = uvicorn.Server(uvicorn.Config(create_app(chosen), log_config=None))
    with listen(chosen) as listening:
        port = listening.getsockname()[1]
        thread = Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("path", [path for path in SCHEMA if path not in STREAMS])
def test_the_api_keeps_to_its_schema(path: str, url: str):
    @given(case=SCHEMA[path]["GET"].as_strategy())
    @settings(
        max_examples=20,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=url, checks=CHECKS)

    ask()
