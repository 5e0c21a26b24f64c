"""The events of the last half minute, for clients that were away for a moment."""

from collections import deque

import msgspec

from api.payloads import Payload, Topic

KEEP_S = 60.0
MAX_BYTES = 32 * 1024 * 1024

_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True):
    """One event as published; ``text`` is what a client without symbols gets."""

    number: int
    topic: Topic
    payload: Payload
    sent_s: float
    text: bytes


class Ring:
    """Events by number, without a gap: the oldest go when they are too many or old.

    Args:
        keep_s: An event is kept at least so long,
        max_bytes: unless the texts of all are more than this.
    """

    def __init__(self, keep_s: float = KEEP_S, max_bytes: int = MAX_BYTES) -> None:
        self._keep_s, self._max_bytes = keep_s, max_bytes
        self._events: deque[Event] = deque()
        self._bytes = 0

    def append(self, event: Event) -> None:
        """Keep an event; its number follows the last one's."""
        self._events.append(event)
        self._bytes += len(event.text)
        oldest_s = event.sent_s - self._keep_s
        while self._events[0].sent_s < oldest_s or (
            self._bytes > self._max_bytes and len(self._events) > 1
        ):
            self._bytes -= len(self._events.popleft().text)

    def after(self, number: int) -> list[Event] | None:
        """Return the events after a number; None if some of them are gone."""
        if not self._events:
            return [] if number == 0 else None
        first = self._events[0].number
        if not first - 1 <= number <= self._events[-1].number:
            return None
        missed = self._events[-1].number - number
        return list(self._events)[len(self._events) - missed :]


def to_text(topic: str, payload: object, event_id: str | None) -> bytes:
    """Return an event as the stream writes it."""
    number = b"id: %b\n" % event_id.encode() if event_id else b""
    data = _encode(payload)
    return b"%bevent: %b\ndata: %b\n\n" % (number, topic.encode(), data)
