"""The feed against a small real server that speaks what of Alpaca a test needs."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import msgpack
import pytest
from websockets.asyncio.server import ServerConnection, serve

from conf.errors import FixSetup
from conf.settings import AlpacaSettings
from producer.backoff import Backoff
from producer.feed import Feed
from producer.protocol import AuthFailed, Control, Mismatch
from producer.relay import Frame

Conversation = Callable[[ServerConnection, int], Awaitable[None]]
CHANNELS = {"trades": ["AAPL", "TSLA"], "quotes": ["SPY"], "bars": []}
TRADE = '[{"T":"t","S":"AAPL","i":1}]'


class Running:
    """A feed that reads, and what its server was told."""

    def __init__(self, feed: Feed, frames: asyncio.Queue[Frame]) -> None:
        self.feed, self.frames = feed, frames
        self.task = asyncio.create_task(feed.run())

    async def frame(self) -> Frame:
        return await asyncio.wait_for(self.frames.get(), 5)


@asynccontextmanager
async def reading(
    conversation: Conversation, **settings: object
) -> AsyncIterator[Running]:
    connections = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await conversation(socket, connections)

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        chosen = {**CHANNELS, "url": f"ws://127.0.0.1:{port}", **settings}
        frames: asyncio.Queue[Frame] = asyncio.Queue(100)
        feed = Feed(AlpacaSettings(**chosen), frames, Backoff(0.01, 0.05))
        running = Running(feed, frames)
        try:
            yield running
        finally:
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)


async def accept(socket: ServerConnection, **answer: object) -> list[object]:
    """Go through the hand-shake; return what the client said."""
    await socket.send('[{"T":"success","msg":"connected"}]')
    said = [json.loads(await socket.recv())]
    await socket.send('[{"T":"success","msg":"authenticated"}]')
    said.append(json.loads(await socket.recv()))
    await socket.send(json.dumps([{"T": "subscription", **CHANNELS, **answer}]))
    return said


async def refuse(socket: ServerConnection, code: int) -> None:
    await socket.send('[{"T":"success","msg":"connected"}]')
    await socket.recv()
    await socket.send(json.dumps([{"T": "error", "code": code, "msg": "no"}]))
    await socket.wait_closed()


async def test_it_authenticates_then_subscribes_each_channel_then_hands_frames_over():
    said: list[object] = []
    headers = []

    async def conversation(socket: ServerConnection, _: int) -> None:
        assert socket.request is not None
        headers.append(socket.request.headers["Content-Type"])
        said.extend(await accept(socket))
        await socket.send(TRADE)
        await socket.send(TRADE.encode())
        await socket.wait_closed()

    async with reading(conversation, api_key="K", secret_key="S") as running:
        first, second = await running.frame(), await running.frame()
    assert headers == ["application/json"]
    assert said == [
        {"action": "auth", "key": "K", "secret": "S"},
        {"action": "subscribe", **CHANNELS},
    ]
    # connected, authenticated and subscription were frames 0 to 2
    assert (first.number, second.number) == (3, 4)
    assert first.payload == second.payload == TRADE.encode()
    assert first.epoch == second.epoch == running.feed.epoch
    assert first.receive_time_ns <= second.receive_time_ns
    assert running.feed.mismatch is None


async def test_it_speaks_msgpack_when_asked_to():
    said = []

    async def conversation(socket: ServerConnection, _: int) -> None:
        await socket.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
        said.append(msgpack.unpackb(await socket.recv()))
        await socket.send(msgpack.packb([{"T": "success", "msg": "authenticated"}]))
        said.append(msgpack.unpackb(await socket.recv()))
        await socket.send(msgpack.packb([{"T": "subscription", **CHANNELS}]))
        await socket.send(msgpack.packb([{"T": "t"}]))
        await socket.wait_closed()

    async with reading(conversation, encoding="msgpack") as running:
        frame = await running.frame()
    assert msgpack.unpackb(frame.payload) == [{"T": "t"}]
    assert said[1] == {"action": "subscribe", **CHANNELS}


async def test_an_abrupt_end_is_followed_by_the_same_subscription_in_a_new_epoch():
    said = []

    async def conversation(socket: ServerConnection, _: int) -> None:
        said.append(await accept(socket))
        await socket.send(TRADE)
        await socket.ping()
        socket.transport.abort()

    async with reading(conversation) as running:
        frames = [await running.frame() for _ in range(4)]
    assert all(before == after for before, after in pairwise(said))
    epochs = [frame.epoch for frame in frames]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) == 4
    assert {frame.number for frame in frames} == {3}


async def test_a_mute_connection_is_left():
    async def conversation(socket: ServerConnection, number: int) -> None:
        await accept(socket)
        if number == 3:
            await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation, mute_timeout_s=0.05) as running:
        frame = await running.frame()
    assert frame.payload == TRADE.encode()


async def test_data_beside_or_before_the_confirmation_is_not_lost():
    async def conversation(socket: ServerConnection, _: int) -> None:
        await socket.send('[{"T":"success","msg":"connected"}]')
        await socket.recv()
        await socket.send('[{"T":"success","msg":"authenticated"}]')
        await socket.recv()
        await socket.send(TRADE)
        confirmation = json.dumps({"T": "subscription", **CHANNELS})
        await socket.send(f"[{confirmation},{TRADE[1:-1]}]")
        await socket.wait_closed()

    async with reading(conversation) as running:
        frames = [await running.frame(), await running.frame()]
    assert [frame.number for frame in frames] == [2, 3]


async def test_a_confirmation_that_differs_is_told():
    async def conversation(socket: ServerConnection, _: int) -> None:
        await accept(socket, trades=["AAPL"], quotes=["SPY", "QQQ"])
        await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation) as running:
        await running.frame()
        assert running.feed.mismatch == Mismatch(
            missing={"trades": ["TSLA"]}, extra={"quotes": ["QQQ"]}
        )


@pytest.mark.parametrize(
    ("code", "expected"), [(402, AuthFailed), (405, FixSetup), (409, FixSetup)]
)
async def test_what_a_person_must_fix_ends_the_feed(
    code: int, expected: type[FixSetup]
):
    async def conversation(socket: ServerConnection, _: int) -> None:
        await refuse(socket, code)

    async with reading(conversation) as running:
        with pytest.raises(expected, match=str(code)):
            await asyncio.wait_for(running.task, 5)


@pytest.mark.parametrize("code", [404, 406, 407, 500])
async def test_other_refusals_are_tried_again(code: int):
    async def conversation(socket: ServerConnection, number: int) -> None:
        if number < 3:
            await refuse(socket, code)
            return
        await accept(socket)
        await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation) as running:
        frame = await running.frame()
    assert frame.payload == TRADE.encode()


async def test_an_error_among_the_data_ends_its_connection_only():
    async def conversation(socket: ServerConnection, number: int) -> None:
        await accept(socket)
        await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation) as running:
        first = await running.frame()
        error = Control("error", "no", 407)
        running.feed.on_control(first.epoch, error)
        second = await running.frame()
        running.feed.on_control(first.epoch, error)  # of a connection that is gone
        assert running.frames.empty()
    assert second.epoch > first.epoch


async def test_a_setup_error_among_the_data_ends_the_feed():
    async def conversation(socket: ServerConnection, number: int) -> None:
        await accept(socket)
        await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation) as running:
        frame = await running.frame()
        running.feed.on_control(frame.epoch, Control("error", "no", 409))
        with pytest.raises(FixSetup, match="409"):
            await asyncio.wait_for(running.task, 5)


async def test_close_hands_over_the_frames_that_are_already_here():
    sent = asyncio.Event()

    async def conversation(socket: ServerConnection, _: int) -> None:
        await accept(socket)
        for _ in range(50):
            await socket.send(TRADE)
        sent.set()
        await socket.wait_closed()

    async with reading(conversation) as running:
        await asyncio.wait_for(sent.wait(), 5)
        await running.frame()
        await running.feed.close()
        await asyncio.wait_for(running.task, 5)
        assert running.frames.qsize() == 49
