"""What smoke knows of the market while it runs."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from conf.errors import FixSetup
from conf.settings import SimulatorSettings
from infra.local.observe import Market
from producer.simulator.server import running


class Status(BaseHTTPRequestHandler):
    """Answers as the simulator does, with what the test says."""

    told: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.told).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Status) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


def tell(emitted: int, *, started_s: float | None, finished: bool = False) -> None:
    started_ns = None if started_s is None else int(started_s * 1e9)
    Status.told = {
        "emitted": emitted,
        "started_wall_ns": started_ns,
        "finished": finished,
    }


def test_it_tells_how_long_the_market_is_open_and_when_it_ends(port: int):
    market = Market(port)
    tell(0, started_s=None)
    market.look()
    assert (market.open_s, market.finished) == (0, False)
    tell(10, started_s=time.time() - 100)
    market.look()
    assert 100 <= market.open_s < 110
    tell(20, started_s=time.time() - 101, finished=True)
    market.look()
    assert market.finished


def test_a_market_that_stands_still_is_an_error(port: int):
    market = Market(port, silent_after_s=-1)
    tell(7, started_s=time.time())
    with pytest.raises(FixSetup, match="stands still after 7 messages"):
        market.look()


def test_a_market_that_does_not_answer_is_waited_for():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        market = Market(free.getsockname()[1])
    market.look()
    assert not market.finished


async def test_the_simulator_tells_what_is_read():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    market = Market(port)
    async with running(SimulatorSettings(port=port)):
        await asyncio.to_thread(market.look)
    assert (market.open_s, market.finished) == (0, False)
