"""A simulated Alpaca on a free port, and a raw JSON client of it."""

import asyncio
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from conf.settings import SimulatorSettings
from producer.simulator.server import running

ALL = {channel: ["*"] for channel in ("trades", "quotes", "bars", "updatedBars")}


@asynccontextmanager
async def simulated(
    clock: Callable[[], int] = time.time_ns, **chosen: object
) -> AsyncIterator[int]:
    """Run a simulator, on a free port unless told one, and yield the port."""
    settings = SimulatorSettings(**{"port": free_port(), **chosen})
    async with running(settings, clock=clock):
        yield settings.port


def fast_clock(speed: int) -> Callable[[], int]:
    """Return a clock that begins now and runs so many times as fast."""
    began_ns = time.time_ns()
    return lambda: began_ns + (time.time_ns() - began_ns) * speed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def connected(
    port: int, path: str = "/v2/iex", **chosen: object
) -> AsyncIterator[ClientConnection]:
    """Connect as a raw JSON client and read the welcome."""
    url = f"ws://127.0.0.1:{port}{path}"
    async with connect(url, max_size=None, **chosen) as client:
        assert await client.recv() == '[{"T":"success","msg":"connected"}]'
        yield client


async def ask(client: ClientConnection, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request in three fragments and return the answer."""
    text = json.dumps(request)
    await client.send([text[:5], text[5:9], text[9:]])
    (answer,) = json.loads(await client.recv())
    return answer


async def log_in(client: ClientConnection, key: str = "key") -> dict[str, Any]:
    return await ask(
        client,
        {"action": "auth", "key": key, "secret": "secret"},  # pragma: allowlist secret
    )


async def subscribe(client: ClientConnection, **channels: list[str]) -> dict[str, Any]:
    return await ask(client, {"action": "subscribe", **channels})


def error(code: int, text: str) -> dict[str, Any]:
    return {"T": "error", "code": code, "msg": text}


async def status(port: int) -> dict[str, Any]:
    return await asyncio.to_thread(_status, port)


def _status(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sim/status") as answer:
        return json.load(answer)


async def eventually(
    port: int, met: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Return the first status that meets a condition."""
    async with asyncio.timeout(30):
        while not met(found := await status(port)):
            await asyncio.sleep(0.02)
    return found


async def receive_all(client: ClientConnection, port: int) -> list[str]:
    """Return every frame up to the end of a market that ends by itself."""
    reading = asyncio.create_task(frames_of(client))
    await eventually(port, lambda found: found["finished"])
    await client.close()
    return await reading


async def read_for(client: ClientConnection, seconds: float) -> list[dict[str, Any]]:
    """Return the messages of some time."""
    read: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(seconds):
            async for frame in client:
                read += json.loads(frame)
    except TimeoutError:
        pass
    return read


async def frames_of(client: ClientConnection) -> list[str]:
    """Return all frames until the connection ends."""
    return [str(frame) async for frame in client]


def truth(folder: Path) -> list[tuple[int, str, str]]:
    """Return what was sent: due time, flag, text."""
    return _lines(folder, "messages-*.tsv")


def _lines(folder: Path, names: str) -> list[tuple[int, str, str]]:
    lines = "".join(path.read_text() for path in sorted(folder.glob(names)))
    rows = [line.split("\t") for line in lines.splitlines()]
    return [(int(due_ns), flag, text) for due_ns, flag, text in rows]


async def http(
    port: int, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Return status, decoded body and headers of one HTTP request."""
    return await asyncio.to_thread(_http, port, method, path, body, headers)


def _http(
    port: int, method: str, path: str, body: object, headers: dict[str, str]
) -> tuple[int, Any, dict[str, str]]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None, dict(answer.getheaders())


async def order_fault(port: int, **fault: object) -> int:
    """Add one fault and return its id."""
    code, added, _ = await http(port, "POST", "/sim/faults", fault)
    assert code == 201, added
    return added[0]["id"]


def missed(folder: Path) -> list[tuple[int, str, str]]:
    """Return what was owed and not sent, as ``truth``."""
    return _lines(folder, "missed-*.tsv")
