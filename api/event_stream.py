"""The response of an open stream: it ends when the client goes, or must go."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.connection import EXTENSION, Connection
from api.stream import Client, Hub


class EventStream(Response):
    """Server-sent events of one client, until either side closes."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, client: Client) -> None:
        # no-transform: a proxy that compresses would hold events back
        headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._hub, self._client = hub, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client goes, is evicted, or the server stops."""
        connection = (scope.get("extensions") or {}).get(EXTENSION)
        ends: list[Coroutine[Any, Any, object]] = [
            self._send_all(send),
            _disconnected(receive),
            self._client.evicted.wait(),
        ]
        if isinstance(connection, Connection):
            ends.append(connection.stopping.wait())
        tasks = [asyncio.create_task(end) for end in ends]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self._client)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._client.evicted.is_set() and isinstance(connection, Connection):
            connection.cut()
            await _disconnected(receive)
        else:
            await send({"type": "http.response.body", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        async for chunk in self._client.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
