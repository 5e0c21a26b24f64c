"""uvicorn's HTTP protocol with what a long stream and a quick answer need.

A client that does not read leaves bytes in the socket that a polite close waits for,
for ever; and a server that stops waits for streams that never end. So a request's
scope carries its connection, which can be cut, and which says when the server stops.
What is written goes out at once: head and body are two writes, and Nagle's algorithm
would keep the second until the client, 40 ms later, acknowledges the first.
"""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "tickhouse.connection"

SEND_BUFFER_BYTES = 256 * 1024
"""Of the socket: left to itself, Linux keeps 4 MB for a client that does not read."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``linger``: on, for no time at all."""


class Connection(HttpToolsProtocol):
    """Pass as ``http=`` to ``uvicorn.Config``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (uvicorn's)
        super().__init__(*args, **kwargs)
        self.stopping = asyncio.Event()

    def connection_made(  # type: ignore[override]  # as in the class above
        self, transport: asyncio.Transport
    ) -> None:
        """Bound what the kernel holds for this client, and let it hold nothing back."""
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        # asyncio does so only where the listening socket names its protocol
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Let the request know its connection."""
        super().on_message_begin()
        # uvicorn's own type wants plain dictionaries here
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]

    def shutdown(self) -> None:
        """Tell streams that the server stops."""
        self.stopping.set()
        super().shutdown()

    def cut(self) -> None:
        """Reset the connection; what the client has not read is dropped."""
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()
