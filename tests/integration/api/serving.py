"""The live stream over real sockets: uvicorn with a hub, and a plain client of it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from api.connection import Connection
from api.market_state import Reference
from api.responses import Stats
from api.routes.stream import router
from api.stream import Hub
from api.tail import Tail

DEADLINE_S = 30.0


@dataclass
class Lake:
    """A lake at hand, as the hub needs it."""

    stats: tuple[int, Sequence[Stats]] | None = None
    prices: dict[str, Reference] = field(default_factory=dict)

    def version(self, name: str) -> int | None:
        return self.stats[0] if self.stats and name == "gold.symbol_stats" else None

    def newest_event_time(self, name: str) -> datetime | None:
        if self.version(name) is None or self.stats is None:
            return None
        return max(row.window_start for row in self.stats[1])

    def newest_stats(self) -> tuple[int, Sequence[Stats]]:
        assert self.stats
        return self.stats

    def references(self) -> Mapping[str, Reference]:
        return self.prices


@asynccontextmanager
async def serving(
    hub: Hub, protocol: type[Connection] = Connection
) -> AsyncIterator[str]:
    """Serve a hub; yield its base URL. The hub is published by hand or by ``run``."""
    app = FastAPI()
    app.state.hub = hub
    app.include_router(router)
    config = uvicorn.Config(app, http=protocol, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            async with asyncio.timeout(DEADLINE_S):
                await task


@asynccontextmanager
async def running(tail: Tail, hub: Hub) -> AsyncIterator[None]:
    """Let a tail and its hub work."""
    tasks = [asyncio.create_task(tail.run()), asyncio.create_task(hub.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


@dataclass(frozen=True)
class Received:
    """One event as a client got it."""

    topic: str
    data: dict[str, Any]
    id: str | None


@asynccontextmanager
async def listening(
    url: str, last_event_id: str | None = None, **query: str
) -> AsyncIterator[AsyncIterator[Received]]:
    """Open one stream; yield its events."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with (
        httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client,
        client.stream(
            "GET", f"{url}/api/v1/stream", params=query, headers=headers
        ) as answer,
    ):
        assert answer.status_code == 200
        yield events_of(answer.aiter_lines())


async def events_of(lines: AsyncIterator[str]) -> AsyncIterator[Received]:
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            data = json.loads(fields["data"])
            yield Received(fields["event"], data, fields.get("id"))
            fields = {}
        else:
            fields = {}
