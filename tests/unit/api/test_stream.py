"""The hub: encoded once, nothing missed, nothing twice, nobody waited for."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import stream
from api.replay import Ring, to_text
from api.stream import Client, Hub, Subscription, TooManyClients
from conf.settings import ApiSettings
from tests.unit.api.live import Lake, Tail, quote, record, stats, trade

START = datetime(2026, 11, 23, 15, 0, 1, tzinfo=UTC)
SETTINGS = ApiSettings(stream_queue_max=8, stream_clients_per_address=100)


@dataclass
class Event:
    topic: str
    data: dict[str, Any]
    id: str | None


def events(text: bytes) -> list[Event]:
    found = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "data" in fields:
            data = json.loads(fields["data"])
            found.append(Event(fields["event"], data, fields.get("id")))
    return found


def queued(client: Client) -> bytes:
    chunks = []
    while not client._queue.empty():
        chunks.append(client._queue.get_nowait())
    return b"".join(chunks)


@dataclass
class Live:
    """A hub whose time is told, and the calls of its encoder."""

    settings: ApiSettings = SETTINGS
    epoch: str = "e1"
    tail: Tail = field(default_factory=Tail)
    lake: Lake = field(default_factory=Lake)
    encoded: list[str] = field(default_factory=list)
    now: datetime = START

    def __post_init__(self) -> None:
        self.hub = Hub(self.tail, self.lake, self.settings, self.epoch, self._encode)

    def _encode(self, topic: str, payload: object, event_id: str | None) -> bytes:
        self.encoded.append(topic)
        return to_text(topic, payload, event_id)

    def frame(self, *ticks: Any, after_s: float = 0.2) -> None:
        self.now += timedelta(seconds=after_s)
        if ticks:
            self.tail.state.add(record(*ticks))
        self.hub.publish(self.now)

    def subscribe(self, last_event_id: str | None = None, **wanted: Any) -> Client:
        return self.hub.subscribe(Subscription(**wanted), "a", last_event_id)


async def test_the_first_bytes_are_the_wait_before_a_reconnect():
    assert queued(Live().subscribe()).startswith(b"retry: 1000\n\n")


async def test_a_new_client_gets_all_topics_once_as_a_snapshot():
    live = Live(lake=Lake(stats=(41, [stats("AAPL", 3)])))
    live.frame(trade(1), quote(1, 99.0, symbol="MSFT"))
    told = events(queued(live.subscribe()))
    assert [event.topic for event in told] == ["ticker", "candle", "stats", "status"]
    assert all(event.data["snapshot"] for event in told)
    ticker, candle, rows, status = (event.data for event in told)
    assert set(ticker["symbols"]) == {"AAPL", "MSFT"}
    assert [x["symbol"] for x in candle["candles"]] == ["AAPL"]
    assert (rows["table_version"], rows["rows"][0]["trade_count"]) == ("41", 3)
    assert status["epoch"] == "e1"
    assert [event.id for event in told] == [None, None, None, "e1-4"]


async def test_an_empty_pipeline_says_so():
    ticker, candle, rows, status = events(queued(Live().subscribe()))
    assert ticker.data["symbols"] == {}
    assert candle.data["candles"] == []
    assert (rows.data["rows"], rows.data["table_version"]) == ([], None)
    assert status.data["tables"]["silver.trades"]["version"] is None
    assert status.id == "e1-0"


async def test_a_frame_is_encoded_once_however_many_listen():
    live = Live()
    live.frame(trade(1))
    clients = [live.subscribe() for _ in range(100)]
    greetings = {queued(client) for client in clients}
    live.encoded.clear()
    live.frame(trade(2))
    assert live.encoded == ["ticker", "candle"]
    chunks = [client._queue.get_nowait() for client in clients]
    assert all(chunk is chunks[0] for chunk in chunks)
    assert len(greetings) == 1


async def test_clients_of_the_same_symbols_share_an_encoding_of_their_own():
    live = Live()
    mine = [live.subscribe(symbols=frozenset({"MSFT"})) for _ in range(50)]
    for client in mine:
        queued(client)
    live.encoded.clear()
    live.frame(trade(1), trade(1, symbol="MSFT"), after_s=0)
    assert sorted(live.encoded) == ["candle", "candle", "status", "ticker", "ticker"]
    texts = {queued(client) for client in mine}
    (told,) = map(events, texts)
    assert list(told[0].data["symbols"]) == ["MSFT"]
    assert [x["symbol"] for x in told[1].data["candles"]] == ["MSFT"]


async def test_what_concerns_none_of_its_symbols_does_not_reach_a_client():
    live = Live()
    live.frame()
    client = live.subscribe(symbols=frozenset({"MSFT"}))
    queued(client)
    live.frame(trade(1))
    assert queued(client) == b""


async def test_only_the_chosen_topics_are_told():
    live = Live()
    client = live.subscribe(topics=frozenset({"candle"}))
    live.frame(trade(1))
    assert {event.topic for event in events(queued(client))} == {"candle"}


async def test_nothing_new_is_no_frame():
    live = Live()
    live.frame(trade(1))
    published = live.hub.events_total
    live.frame(after_s=0.1)
    assert live.hub.events_total == published


async def test_status_comes_each_second():
    live = Live()
    client = live.subscribe(topics=frozenset({"status"}))
    queued(client)
    for _ in range(50):
        live.frame()
        live.frame()
    assert live.now - START == timedelta(seconds=20)
    assert live.encoded.count("status") in (20, 21, 22)


async def test_statistics_are_told_at_most_twice_a_second_and_only_what_changed():
    lake = Lake(stats=(1, [stats("AAPL", 1), stats("MSFT", 1)]))
    live = Live(lake=lake)
    live.frame()
    client = live.subscribe(topics=frozenset({"stats"}))
    queued(client)
    lake.stats = (2, [stats("AAPL", 2), stats("MSFT", 1)])
    live.frame()
    assert queued(client) == b""
    lake.stats = (3, [stats("AAPL", 5), stats("MSFT", 1)])
    live.frame(after_s=0.4)
    (event,) = events(queued(client))
    assert event.data["table_version"] == "3"
    (row,) = event.data["rows"]
    assert (row["symbol"], row["trade_count"]) == ("AAPL", 5)


async def test_a_client_that_does_not_read_is_evicted_and_harms_none():
    live = Live()
    deaf, reader = live.subscribe(), live.subscribe()
    for second in range(SETTINGS.stream_queue_max + 5):
        live.frame(trade(second))
        queued(reader)
    assert deaf.evicted.is_set()
    assert not reader.evicted.is_set()
    assert (live.hub.clients, live.hub.evicted_total) == (1, 1)


async def test_one_address_cannot_take_all_streams():
    live = Live(ApiSettings(stream_clients_per_address=2, stream_clients_max=3))
    first = live.subscribe()
    live.subscribe()
    with pytest.raises(TooManyClients, match="stream_clients_per_address"):
        live.subscribe()
    live.hub.subscribe(Subscription(), "b")
    with pytest.raises(TooManyClients):
        live.hub.subscribe(Subscription(), "c")
    live.hub.leave(first)
    live.subscribe()


async def test_a_ping_comes_when_there_is_nothing_to_say(monkeypatch):
    monkeypatch.setattr(stream, "PING_EVERY_S", 0.01)
    client = Live().subscribe()
    queued(client)
    assert await anext(client.chunks()) == b": ping\n\n"


# What a client knows after the events it heard: the newest of each thing.
Known = dict[tuple[str, str], Any]


def learn(known: Known, told: list[Event]) -> Known:
    for event in told:
        match event.topic:
            case "ticker":
                known |= {("ticker", s): x for s, x in event.data["symbols"].items()}
            case "candle":
                known |= {("candle", c["symbol"]): c for c in event.data["candles"]}
            case "stats":
                known |= {("stats", r["symbol"]): r for r in event.data["rows"]}
    return known


def played(frames: int) -> Iterator[Live]:
    """Yield one market after each of its frames."""
    live = Live(ApiSettings(stream_queue_max=1_000), lake=Lake())
    for number in range(frames):
        symbol = "AAPL" if number % 3 else "MSFT"
        live.lake.stats = (number, [stats(symbol, number)])
        live.frame(trade(number / 10, 100 + number, symbol=symbol))
        yield live


@given(
    st.integers(1, 40),
    st.lists(st.integers(0, 60), max_size=6),
    st.sampled_from([None, frozenset({"AAPL"})]),
)
def test_a_client_that_breaks_off_anywhere_hears_everything_once(
    frames: int, cuts: list[int], symbols: frozenset[str] | None
):
    """It breaks off after an event, also within a snapshot or between two frames."""

    async def listen() -> None:
        heard: list[Event] = []
        last_id, steady, client, live = None, None, None, None
        for number, live in enumerate(played(frames)):
            if steady is None:
                steady = live.subscribe(symbols=symbols)
                client = live.subscribe(symbols=symbols)
            told = events(queued(client))
            kept = told[: number % 3] if number in cuts else told
            heard += kept
            last_id = next((x.id for x in reversed(kept) if x.id), last_id)
            if number in cuts:
                live.hub.leave(client)
                client = live.subscribe(last_id, symbols=symbols)
        assert live
        heard += events(queued(client))
        complete = events(queued(steady))
        numbered = [event.id for event in heard if not event.data.get("snapshot")]
        assert len(numbered) == len(set(numbered))
        owed = [event.id for event in complete if not event.data.get("snapshot")]
        # Before its first id it has nothing to resume from: a new snapshot tells all.
        assert numbered == owed[len(owed) - len(numbered) :]
        assert len(numbered) == len(owed) or 0 in cuts
        assert learn({}, heard) == learn({}, complete)

    asyncio.run(listen())


@given(st.integers(1, 30), st.integers(0, 29))
def test_a_snapshot_and_what_follows_say_as_much_as_everything(frames: int, joins: int):
    async def listen() -> None:
        early = late = None
        for number, live in enumerate(played(frames)):
            early = early or live.subscribe()
            if number == min(joins, frames - 1):
                late = live.subscribe()
        assert early
        assert late
        told = learn({}, events(queued(early)))
        since = learn({}, events(queued(late)))
        # statistics are of the newest window: a symbol without one is left out
        assert {k: x for k, x in told.items() if k[0] != "stats" or k in since} == since

    asyncio.run(listen())


async def test_an_id_of_another_process_is_a_reset_and_a_snapshot():
    live = Live(epoch="e2")
    live.frame(trade(1))
    told = events(queued(live.subscribe("e1-1")))
    assert [event.topic for event in told][:2] == ["reset", "ticker"]
    assert told[0].data == {"reason": "new_epoch"}
    assert told[0].id is None
    assert told[-1].id == f"e2-{live.hub.events_total}"


@pytest.mark.parametrize("nonsense", ["", "e1", "e1-x", "e1--1", "-"])
async def test_an_id_that_is_none_is_a_reset(nonsense: str):
    told = events(queued(Live().subscribe(nonsense)))
    assert told[0].data == {"reason": "new_epoch"}


async def test_what_is_gone_from_the_ring_is_a_reset():
    live = Live()
    for second in range(100):
        live.frame(trade(second / 10), after_s=1)
    told = events(queued(live.subscribe("e1-1")))
    assert told[0].data == {"reason": "too_old"}
    recent = live.hub.events_total - 30
    assert len(events(queued(live.subscribe(f"e1-{recent}")))) == 30


async def test_the_ring_keeps_half_a_minute_and_no_more_bytes_than_it_may():
    live = Live()
    ring = Ring(keep_s=60, max_bytes=2_000)
    live.hub._ring = ring
    for second in range(20):
        live.frame(trade(second), after_s=1)
    kept = ring._events
    assert 0 < sum(len(event.text) for event in kept) <= 2_000
    assert ring._bytes == sum(len(event.text) for event in kept)
    assert ring.after(live.hub.events_total + 1) is None
