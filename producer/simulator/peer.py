"""One side of a conversation: what it is sent, and what can be done to it."""

import asyncio
from collections import deque
from typing import NamedTuple

import msgspec
from websockets.asyncio.connection import broadcast
from websockets.protocol import State

from producer.simulator.connection import Connection
from producer.simulator.protocol import ErrorCode, error

_TORN = b'\x81\x7e\x10\x00[{"T":"t","S":"'
"""The beginning of a text frame of 4,096 bytes."""


class Who(NamedTuple):
    """Whose connection it is: Alpaca allows one per key and feed."""

    feed: str
    key: str


class Peer:
    """Writes to one connection, never waiting for it.

    Frames go straight into the connection's write buffer, or wait a little when the
    server plays slow.
    """

    def __init__(self, connection: Connection, *, text: bool) -> None:
        self.connection = connection
        self.who: Who | None = None
        """Set when it has logged in."""
        self.delay_s = 0.0
        self.is_abandoned = False
        """It is frozen, and another connection of the same key may take its place."""
        self.end_cause: str | None = None
        """Why the server ended the connection; None when the client did."""
        self._text = text
        self._is_frozen = False
        self._held: deque[tuple[float, int, bytes]] = deque()
        self._written = 0
        self._unsent: deque[tuple[int, int]] = deque()
        self._lost_since_ns: int | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether the connection has ended or is about to."""
        return self.end_cause is not None or self.connection.state is not State.OPEN

    @property
    def is_reachable(self) -> bool:
        """Whether what is sent now goes out at all."""
        return not self._is_frozen and not self.is_over

    @property
    def unsent_bytes(self) -> int:
        """What the client has not taken yet."""
        return self.connection.transport.get_write_buffer_size()

    def write(self, payload: bytes, due_ns: int) -> None:
        """Send one frame whose first message was due then."""
        if self.delay_s or self._held:
            now_s = asyncio.get_running_loop().time()
            self._held.append((now_s + self.delay_s, due_ns, payload))
        else:
            self._write(payload, due_ns)

    def release(self) -> None:
        """Send the frames that were held back long enough."""
        now_s = asyncio.get_running_loop().time()
        while self._held and (self._held[0][0] <= now_s or not self.delay_s):
            _, due_ns, payload = self._held.popleft()
            self._write(payload, due_ns)

    def lost_since_ns(self, now_ns: int) -> int:
        """Return from when on messages are lost, if the connection ends now at last."""
        return now_ns if self._lost_since_ns is None else self._lost_since_ns

    def say(self, message: bytes) -> None:
        """Send one frame at once, before everything that is held back."""
        broadcast([self.connection], message, text=self._text)

    def cut(self, cause: str, *, code: int | None = None) -> None:
        """End the connection: with a close frame of that code, or with none at all."""
        self._end(cause)
        if code is None:
            self.connection.transport.abort()
        else:
            closing = self.connection.close(code)
            self._closing = asyncio.create_task(closing)

    def hang_up(self, cause: str) -> None:
        """End the connection without a close frame, after what was written."""
        self._end(cause)
        self.connection.transport.close()

    def tear(self) -> None:
        """End the connection in the middle of a frame."""
        self.connection.transport.write(_TORN)
        self.hang_up("torn_frame")

    def freeze(self, *, frozen: bool, holds_place: bool = False) -> None:
        """Keep the connection open and let nothing through, in either direction."""
        self._is_frozen = frozen
        self.is_abandoned = frozen and not holds_place
        self.connection.fall_silent(silent=frozen)

    def fail(self, code: ErrorCode) -> None:
        """Send an error and end the connection, as Alpaca does."""
        self.say(msgspec.json.encode([error(code)]))
        self.hang_up(f"error {int(code)}")

    def _end(self, cause: str) -> None:
        self.end_cause = cause
        self._forget_sent()
        waiting = [due_ns for _, due_ns in self._unsent]
        waiting += [due_ns for _, due_ns, _ in self._held]
        self._lost_since_ns = min(waiting, default=None)

    def _write(self, payload: bytes, due_ns: int) -> None:
        broadcast([self.connection], payload, text=self._text)
        self._written += len(payload)
        self._unsent.append((self._written, due_ns))
        self._forget_sent()

    def _forget_sent(self) -> None:
        sent = self._written - self.unsent_bytes
        while self._unsent and self._unsent[0][0] <= sent:
            self._unsent.popleft()
