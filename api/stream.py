"""The hub: every event is encoded once and handed to all who want it.

A client has a bounded queue. One that does not read is cut off: it comes back with
``Last-Event-ID`` and gets what it missed, or, if that is gone, a ``reset`` and a
snapshot. Nobody waits for anybody.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from api.payloads import TOPICS, Payload, Reset, Symbols, Topic
from api.publication import STATS_EVERY_S, FreshLake, LiveTail, News, Publication
from api.replay import Event, Ring, to_text
from conf.errors import TickhouseError
from conf.logs import get_logger
from conf.settings import ApiSettings

PING_EVERY_S = 10.0
RETRY = b"retry: 1000\n\n"
PING = b": ping\n\n"

Encode = Callable[[str, object, str | None], bytes]

_log = get_logger(__name__)


class WakingTail(LiveTail, Protocol):
    """A tail that says when there is something new."""

    @property
    def changed(self) -> asyncio.Event:
        """Set when its state may have changed."""


class TooManyClients(TickhouseError):
    """A stream more would be one too many: of one address, or in all."""


@dataclass(frozen=True)
class Subscription:
    """What a client wants to hear; no symbols are all symbols."""

    topics: frozenset[Topic] = frozenset(TOPICS)
    symbols: Symbols | None = None


class Client:
    """One open stream.

    Args:
        subscription: What it hears.
        address: Where it comes from.
        queue_max: Chunks that may wait for it.

    Attributes:
        evicted: Set when it did not read: its connection must be cut.
    """

    def __init__(
        self, subscription: Subscription, address: str, queue_max: int
    ) -> None:
        self.subscription, self.address = subscription, address
        self.evicted = asyncio.Event()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(queue_max)

    def offer(self, chunk: bytes) -> bool:
        """Queue a chunk; return False, and evict, if there is no room."""
        try:
            self._queue.put_nowait(chunk)
        except asyncio.QueueFull:
            self.evicted.set()
        return not self.evicted.is_set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what is to be sent, a ping when there was nothing for long."""
        while True:
            try:
                async with asyncio.timeout(PING_EVERY_S):
                    chunk = await self._queue.get()
            except TimeoutError:
                chunk = PING
            yield chunk


class Hub:
    """Publishes frames to its clients.

    Args:
        tail: The live tail; ``changed`` wakes the hub.
        lake: The tables.
        settings: Frames per second and the limits of clients.
        epoch: Names this process; an id of another epoch cannot be resumed.
        encode: Turns an event into text; called once per event and set of symbols.

    Attributes:
        evicted_total: Clients that were cut off.
        events_total: Events published.
    """

    def __init__(
        self,
        tail: WakingTail,
        lake: FreshLake,
        settings: ApiSettings,
        epoch: str | None = None,
        encode: Encode = to_text,
    ) -> None:
        self.epoch = epoch or f"{time.time_ns():x}"
        self.evicted_total = self.events_total = 0
        self._tail, self._settings, self._encode = tail, settings, encode
        self._publication = Publication(tail, lake, self.epoch)
        self._ring = Ring()
        self._clients: dict[Client, None] = {}
        self._snapshots: dict[Subscription, bytes] = {}

    @property
    def clients(self) -> int:
        """Open streams."""
        return len(self._clients)

    async def run(self) -> None:
        """Publish until cancelled: at once when there is news, but not too often."""
        while True:
            self._tail.changed.clear()
            await self._publication.prepare()
            self.publish(datetime.now(UTC))
            await asyncio.sleep(1 / self._settings.stream_hz)
            with suppress(TimeoutError):
                async with asyncio.timeout(STATS_EVERY_S):
                    await self._tail.changed.wait()

    def publish(self, now: datetime) -> None:
        """Publish one frame, if there is anything to say."""
        news = self._publication.news(now, self.clients)
        if not news:
            return
        events = [self._event(topic, payload, now) for topic, payload in news]
        self._snapshots.clear()
        chunks: dict[Subscription, bytes] = {}
        for client in tuple(self._clients):
            wanted = client.subscription
            if wanted not in chunks:
                chunks[wanted] = self._chunk(events, wanted)
            if chunks[wanted] and not client.offer(chunks[wanted]):
                self._evict(client)

    def subscribe(
        self,
        subscription: Subscription,
        address: str = "",
        last_event_id: str | None = None,
    ) -> Client:
        """Return a client that has all it missed, or a snapshot, in its queue.

        Raises:
            TooManyClients: Of this address, or in all.
        """
        limits = self._settings
        of_address = sum(client.address == address for client in self._clients)
        if (
            self.clients >= limits.stream_clients_max
            or of_address >= limits.stream_clients_per_address
        ):
            raise TooManyClients(
                f"{of_address} streams of {address}, {self.clients} in all: close one, "
                "or raise api.stream_clients_per_address or api.stream_clients_max"
            )
        client = Client(subscription, address, limits.stream_queue_max)
        client.offer(RETRY + self._greeting(subscription, last_event_id))
        self._clients[client] = None
        return client

    def leave(self, client: Client) -> None:
        """Forget a client; one that was evicted is forgotten already."""
        self._clients.pop(client, None)

    def _event(self, topic: Topic, payload: Payload, now: datetime) -> Event:
        self.events_total += 1
        number = self.events_total
        text = self._encode(topic, payload, self._id(number))
        event = Event(number, topic, payload, now.timestamp(), text)
        self._ring.append(event)
        return event

    def _id(self, number: int) -> str:
        return f"{self.epoch}-{number}"

    def _chunk(self, events: Sequence[Event], wanted: Subscription) -> bytes:
        texts = (
            self._text(event, wanted.symbols)
            for event in events
            if event.topic in wanted.topics
        )
        return b"".join(texts)

    def _text(self, event: Event, symbols: Symbols | None) -> bytes:
        if symbols is None or event.topic == "status":
            return event.text
        payload = event.payload.only(symbols)
        if not payload:
            return b""
        return self._encode(event.topic, payload, self._id(event.number))

    def _greeting(self, wanted: Subscription, last_event_id: str | None) -> bytes:
        if last_event_id is None:
            return self._snapshot(wanted)
        epoch, _, number = last_event_id.rpartition("-")
        if epoch != self.epoch or not number.isdecimal():
            return self._reset("new_epoch", wanted)
        missed = self._ring.after(int(number))
        if missed is None:
            return self._reset("too_old", wanted)
        return self._chunk(missed, wanted)

    def _reset(
        self, reason: Literal["new_epoch", "too_old"], wanted: Subscription
    ) -> bytes:
        return self._encode("reset", Reset(reason), None) + self._snapshot(wanted)

    def _snapshot(self, wanted: Subscription) -> bytes:
        """Return all that is published, in one chunk for all who want the same.

        Only its last event has an id: whoever breaks off within gets it again.
        """
        if wanted not in self._snapshots:
            news = self._publication.snapshot(datetime.now(UTC), self.clients)
            told: News = [
                (
                    topic,
                    payload if wanted.symbols is None else payload.only(wanted.symbols),
                )
                for topic, payload in news
                if topic in wanted.topics
            ]
            ids = [None] * (len(told) - 1) + [self._id(self.events_total)]
            self._snapshots[wanted] = b"".join(
                self._encode(topic, payload, event_id)
                for (topic, payload), event_id in zip(told, ids, strict=True)
            )
        return self._snapshots[wanted]

    def _evict(self, client: Client) -> None:
        self.evicted_total += 1
        self.leave(client)
        _log.info("client does not read, cut off", address=client.address)
