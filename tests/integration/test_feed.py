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
from producer import feed
from producer.backoff import Backoff
from producer.feed import Feed
from producer.protocol import Control, decode
from producer.reactions import AuthFailed, Cause
from producer.relay import Frame
from producer.subscription import Channels, Mismatch

Conversation = Callable[[ServerConnection, int], Awaitable[None]]
CHANNELS = {"trades": ["AAPL", "TSLA"], "quotes": ["SPY"]}
TRADE = '[{"T":"t","S":"AAPL","i":1}]'


class Account:
    """What a feed said of its connections."""

    def __init__(self) -> None:
        self.confirmations: list[Channels] = []
        self.ends: list[tuple[str, Cause]] = []

    def confirmed(self, _: str, channels: Channels) -> None:
        self.confirmations.append(channels)

    def lost(self, epoch: str, cause: Cause, _: int) -> None:
        self.ends.append((epoch, cause))


class Running:
    """A feed that reads, and what its server was told."""

    def __init__(
        self, feed: Feed, frames: asyncio.Queue[Frame], account: Account
    ) -> None:
        self.feed, self.frames, self.account = feed, frames, account
        self.task = asyncio.create_task(feed.run())

    async def frame(self) -> Frame:
        return await asyncio.wait_for(self.frames.get(), 5)


@asynccontextmanager
async def reading(
    conversation: Conversation,
    is_open: Callable[[], bool] = lambda: True,
    **settings: object,
) -> AsyncIterator[Running]:
    connections = 0

    async def talk(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await conversation(socket, connections)

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        silent = {key: [] for key in ("bars", "updated_bars", "statuses", "lulds")}
        url = f"ws://127.0.0.1:{port}"
        chosen = {**CHANNELS, **silent, "url": url, **settings}
        frames: asyncio.Queue[Frame] = asyncio.Queue(100)
        account = Account()
        backoff = Backoff(0.01, 0.05)
        reader = Feed(
            AlpacaSettings(**chosen), frames, backoff, account, is_open=is_open
        )
        running = Running(reader, frames, account)
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
    assert running.account.ends[:3] == [(epoch, "cut") for epoch in epochs[:3]]


async def test_a_closed_market_is_not_mute_until_it_opens():
    asked = 0

    async def conversation(socket: ServerConnection, _: int) -> None:
        await accept(socket)
        await socket.wait_closed()

    def is_open() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5  # each time, the feed was silent for as long as it may be

    async with reading(conversation, is_open, mute_timeout_s=0.05) as running:
        async with asyncio.timeout(5):
            while not running.account.ends:
                await asyncio.sleep(0.01)
    assert asked >= 6
    assert running.account.ends[0][1] == "mute"


async def test_a_mute_connection_is_left():
    async def conversation(socket: ServerConnection, number: int) -> None:
        await accept(socket)
        if number == 3:
            await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation, mute_timeout_s=0.05) as running:
        frame = await running.frame()
    assert frame.payload == TRADE.encode()
    assert [cause for _, cause in running.account.ends[:2]] == ["mute", "mute"]


async def test_a_link_that_answers_no_ping_is_half_open(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(feed, "_PROBE_AFTER_S", 0.05)
    monkeypatch.setattr(feed, "_PONG_WITHIN_S", 0.12)

    came_back = asyncio.Event()

    async def conversation(socket: ServerConnection, number: int) -> None:
        await accept(socket)
        if number == 1:
            socket.transport.pause_reading()
            await came_back.wait()
            socket.transport.abort()
        else:
            came_back.set()
            await socket.send(TRADE)
            await socket.wait_closed()

    async with reading(conversation) as running:
        await running.frame()
    assert [cause for _, cause in running.account.ends[:1]] == ["half_open"]


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
    assert running.account.confirmations[0] == {
        "trades": ["AAPL"],
        "quotes": ["SPY"],
        "corrections": ["AAPL"],
        "cancelErrors": ["AAPL"],
    }


async def test_a_full_spool_holds_the_feed_until_it_is_released():
    async def conversation(socket: ServerConnection, _: int) -> None:
        await accept(socket)
        await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation) as running:
        first = await running.frame()
        running.feed.hold("no room")
        async with asyncio.timeout(5):
            while running.feed.state != "held":
                await asyncio.sleep(0.01)
        assert running.account.ends == [(first.epoch, "spool_full")]
        running.feed.release()
        assert (await running.frame()).epoch > first.epoch


async def test_a_slow_client_error_is_counted():
    async def conversation(socket: ServerConnection, number: int) -> None:
        await accept(socket)
        if number == 1:
            await socket.send('[{"T":"error","code":407,"msg":"slow client"}]')
        await socket.send(TRADE)
        await socket.wait_closed()

    async with reading(conversation) as running:
        refused = await running.frame()
        (control,) = decode(refused.payload, "json").controls
        running.feed.on_control(refused.epoch, control)
        await running.frame()
        later = await running.frame()
    assert later.epoch > refused.epoch
    assert running.account.ends[0] == (refused.epoch, "slow_client")
    assert running.feed.slow_client_errors == 1


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
