"""A connection of the server: HTTP requests with bodies, and one that can fall silent.

websockets reads the GET request of a handshake and nothing else. This connection keeps
the method and the body of any request aside and shows websockets the rest as a GET.
"""

import asyncio

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

MAX_BODY_BYTES = 1_000_000
_HEAD_END = b"\r\n\r\n"
_OF_BODY = (b"content-length:", b"transfer-encoding:", b"expect:")


class Connection(ServerConnection):
    """One TCP connection, before, during and after its handshake."""

    request: Request
    method = "GET"
    """Of the HTTP request that opened it."""
    body = b""

    _unread: bytearray | None = None
    _is_silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to collect the first request."""
        self._unread = bytearray()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Collect the first request whole, then leave everything to websockets."""
        if self._unread is None:
            super().data_received(data)
            return
        self._unread += data
        head, end, rest = bytes(self._unread).partition(_HEAD_END)
        if not end and len(head) <= MAX_BODY_BYTES:
            return
        length = _content_length(head)
        if len(rest) < length <= MAX_BODY_BYTES:
            return
        self._unread = None
        self.method, self.body = (
            head.partition(b" ")[0].decode("latin-1"),
            rest[:length],
        )
        super().data_received(_as_get(head) + end + rest[length:])

    def fall_silent(self, *, silent: bool) -> None:
        """Neither read nor write any more, without a word to the other side."""
        self._is_silent = silent
        if silent:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def send_data(self) -> None:
        """Write what websockets has to say, unless the connection is silent."""
        if self._is_silent:
            self.protocol.data_to_send()
        else:
            super().send_data()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0


def _as_get(head: bytes) -> bytes:
    request, *headers = head.split(b"\r\n")
    kept = [line for line in headers if not line.lower().startswith(_OF_BODY)]
    return b"\r\n".join([b"GET " + request.partition(b" ")[2], *kept])
