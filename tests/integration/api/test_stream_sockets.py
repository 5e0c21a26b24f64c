"""The stream over real sockets: slow clients, limits, and a server that stops."""

import asyncio
import select
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import pytest

from api.connection import Connection
from api.stream import Hub
from conf.settings import ApiSettings
from tests.integration.api.serving import DEADLINE_S, listening, serving
from tests.unit.api.live import Lake, Tail, quote, record

NON_READERS = 50
SYMBOLS = [f"S{number}" for number in range(400)]


class Publishing:
    """A hub with real clients that publishes large frames when told."""

    def __init__(self, hub: Hub, tail: Tail, url: str) -> None:
        self.hub, self.tail, self.url = hub, tail, url
        self._frames = 0

    def frame(self) -> None:
        self._frames += 1
        at_s = self._frames / 100
        quotes = [quote(at_s, 10.0, symbol=symbol) for symbol in SYMBOLS]
        self.tail.state.add(record(*quotes))
        self.hub.publish(datetime.now(UTC))

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not met():
                self.frame()
                await asyncio.sleep(0.001)


@pytest.fixture
async def publishing() -> AsyncIterator[Publishing]:
    tail = Tail()
    settings = ApiSettings(stream_queue_max=16, stream_clients_per_address=60)
    hub = Hub(tail, Lake(), settings)
    async with serving(hub) as url:
        yield Publishing(hub, tail, url)


def connect_and_never_read(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    client.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


async def test_the_rest_of_an_answer_does_not_wait_for_an_acknowledgement():
    at_once: list[int] = []

    class Observed(Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the class above
            super().connection_made(transport)
            raw = transport.get_extra_info("socket")
            at_once.append(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    async with (
        serving(Hub(Tail(), Lake(), ApiSettings()), Observed) as url,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        await client.get(f"{url}/nothing")
    assert at_once == [1]


async def test_fifty_clients_that_never_read_are_cut_off_and_harm_none(
    publishing: Publishing,
):
    hub = publishing.hub
    with ExitStack() as sockets:
        deaf = [
            sockets.enter_context(connect_and_never_read(publishing.url))
            for _ in range(NON_READERS)
        ]
        await publishing.until(lambda: hub.clients == NON_READERS)
        async with listening(publishing.url) as events:
            reading = asyncio.create_task(read_tickers(events))
            await publishing.until(lambda: hub.evicted_total == NON_READERS)
            await publishing.until(lambda: hub.clients == 1)
            reading.cancel()
            delays_s, numbers = await reading
        for client in deaf:
            assert await asyncio.to_thread(is_reset, client)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    delays_s.sort()
    assert delays_s[len(delays_s) // 2] < 0.5


async def read_tickers(events) -> tuple[list[float], list[int]]:
    """Return the delay and the number of every event until cancelled."""
    delays_s, numbers = [], []
    try:
        async for event in events:
            if not event.data["snapshot"]:
                sent = datetime.fromisoformat(event.data["sent_time"]).timestamp()
                delays_s.append(time.time() - sent)
                numbers.append(int(event.id.rpartition("-")[2]))
    except asyncio.CancelledError:
        pass
    return delays_s, numbers


def is_reset(client: socket.socket) -> bool:
    """Wait until the server resets a connection of which nothing is read."""
    poll = select.poll()
    poll.register(client, 0)
    return bool(poll.poll(1000 * DEADLINE_S))


def read_to_end(client: socket.socket) -> None:
    client.settimeout(DEADLINE_S)
    while client.recv(1 << 20):
        pass


async def test_a_client_that_was_cut_off_resumes_where_it_stopped(
    publishing: Publishing,
):
    async with listening(publishing.url) as events:
        publishing.frame()
        async for event in events:
            if event.id and not event.data["snapshot"]:
                break
    publishing.frame()
    publishing.frame()
    async with listening(publishing.url, event.id) as events:
        following = await anext(events)
    before, after = (int(x.id.rpartition("-")[2]) for x in (event, following))
    assert after == before + 1


async def test_a_client_that_goes_is_forgotten(publishing: Publishing):
    async with listening(publishing.url) as events:
        await anext(events)
        assert publishing.hub.clients == 1
    await publishing.until(lambda: publishing.hub.clients == 0)
    assert publishing.hub.evicted_total == 0


async def test_a_server_that_stops_ends_its_streams():
    async with serving(Hub(Tail(), Lake(), ApiSettings())) as url:
        client = connect_and_never_read(url)
        client.settimeout(DEADLINE_S)
        assert await asyncio.to_thread(client.recv, 4096)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 5
    await asyncio.to_thread(read_to_end, client)
    client.close()


async def test_the_headers_keep_proxies_from_holding_events_back(
    publishing: Publishing,
):
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", f"{publishing.url}/api/v1/stream") as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert "content-length" not in answer.headers


@pytest.mark.parametrize("query", ["topics=ticks", "symbols=aapl", "symbols=A,,B"])
async def test_what_is_no_topic_or_symbol_is_refused(
    publishing: Publishing, query: str
):
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{publishing.url}/api/v1/stream?{query}")
    assert answer.status_code == 422


async def test_too_many_streams_are_refused_with_when_to_come_back():
    settings = ApiSettings(stream_clients_per_address=1)
    async with (
        serving(Hub(Tail(), Lake(), settings)) as url,
        listening(url),
        httpx.AsyncClient(trust_env=False) as client,
    ):
        answer = await client.get(f"{url}/api/v1/stream")
    assert answer.status_code == 429
    assert answer.headers["retry-after"]
