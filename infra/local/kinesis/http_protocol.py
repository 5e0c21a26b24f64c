"""HTTP/1.1 with as little as the AWS clients need, and nothing that can kill us.

Requests with a Content-Length on connections that stay open, ``Expect: 100-continue``,
one request at a time on a connection. Written by hand because this process shares its
two cores with Spark: a web framework would cost more than all the rest here.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

MAX_HEAD_BYTES = 64 << 10
MAX_BODY_BYTES = 16 << 20
"""10 MiB of payload as base64, with room for the JSON around it."""

_HEAD_END = b"\r\n\r\n"


class BadRequestError(Exception):
    """The bytes are no request that is served here; the connection is closed."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status
        super().__init__(status.phrase)


@dataclass(frozen=True, slots=True)
class Head:
    """The request line and the headers, their names in lower case."""

    method: str
    target: str
    version: str
    headers: dict[str, str]
    content_length: int

    @property
    def keeps_alive(self) -> bool:
        """Tell whether the client wants to use the connection again."""
        closes = self.headers.get("connection", "").lower() == "close"
        return self.version == "HTTP/1.1" and not closes

    @property
    def expects_continue(self) -> bool:
        """Tell whether the client waits for our word before it sends the body."""
        return self.headers.get("expect", "").lower() == "100-continue"


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request."""

    head: Head
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers beside those of the transport, and the body."""

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes


Handler = Callable[[Request], Awaitable[Response | None]]


def parse_head(raw: bytes) -> Head:
    """Read the request line and the headers, without the empty line at their end.

    Raises:
        BadRequestError: Malformed, too large, or with a body of unknown length.
    """
    request_line, *header_lines = raw.decode("latin-1").split("\r\n")
    method, _, target_and_version = request_line.partition(" ")
    target, _, version = target_and_version.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    headers = dict(map(_parse_header, header_lines))
    if "transfer-encoding" in headers:
        raise BadRequestError(HTTPStatus.LENGTH_REQUIRED)
    return Head(method, target, version, headers, _content_length(headers))


def _parse_header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    return name.lower(), value.strip()


def _content_length(headers: dict[str, str]) -> int:
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()):
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    if int(length) > MAX_BODY_BYTES:
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(length)


class HttpProtocol(asyncio.Protocol):
    """One connection.

    Args:
        handle: Answers a request; must not raise. None resets the connection.
        connections: The open connections; this one enters and leaves by itself.
    """

    def __init__(self, handle: Handler, connections: set["HttpProtocol"]) -> None:
        self._handle = handle
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._head: Head | None = None
        self._answering: asyncio.Task[None] | None = None
        self._stopping = False
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the open connections."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave; an answer under way goes nowhere, but what it stored stays."""
        self._transport = None
        self._connections.discard(self)
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        """Gather a request and start to answer it."""
        self._received += data
        if len(self._received) > MAX_HEAD_BYTES + MAX_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif self._answering is None:
            self._advance()

    def stop(self) -> None:
        """Close after the answer under way, or at once."""
        self._stopping = True
        if self._answering is None:
            self._close()

    def _advance(self) -> None:
        try:
            request = self._next_request()
        except BadRequestError as error:
            self._refuse(error.status)
            return
        if request is not None:
            self._answering = asyncio.ensure_future(self._answer(request))

    def _next_request(self) -> Request | None:
        if self._head is None:
            self._head = self._next_head()
        if self._head is None or len(self._received) < self._head.content_length:
            return None
        head, self._head = self._head, None
        body = bytes(self._received[: head.content_length])
        del self._received[: head.content_length]
        return Request(head, body)

    def _next_head(self) -> Head | None:
        end = self._received.find(_HEAD_END, 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._received) >= MAX_HEAD_BYTES:
                raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return None
        head = parse_head(bytes(self._received[:end]))
        del self._received[: end + len(_HEAD_END)]
        if head.expects_continue and len(self._received) < head.content_length:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return head

    async def _answer(self, request: Request) -> None:
        response = await self._handle(request)
        self._answering = None
        if response is None:
            self._reset()
            return
        self._send(response)
        if self._stopping or not request.head.keeps_alive:
            self._close()
        else:
            self._advance()

    def _reset(self) -> None:
        if self._transport is not None:
            # without lingering, closing sends a reset in place of what is unsent
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self._transport.abort()

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(Response(status, {"connection": "close"}, b""))
        self._close()

    def _send(self, response: Response) -> None:
        headers = response.headers | {"content-length": str(len(response.body))}
        lines = [
            f"HTTP/1.1 {response.status.value} {response.status.phrase}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._write("\r\n".join(lines).encode("latin-1") + _HEAD_END + response.body)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
