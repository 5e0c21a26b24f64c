"""Faults by command, over real sockets: what a client sees and what the truth says."""

import asyncio
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conf.settings import DEFAULT_SYMBOLS
from producer.simulator.disturbances import scripted
from tests.integration.simulated import (
    ALL,
    connected,
    error,
    eventually,
    frames_of,
    http,
    log_in,
    missed,
    order_fault,
    read_for,
    simulated,
    subscribe,
    truth,
)

RATE = 400


@asynccontextmanager
async def subscribed(port: int) -> AsyncIterator[ClientConnection]:
    async with connected(port) as client:
        assert (await log_in(client))["T"] == "success"
        await subscribe(client, **ALL)
        yield client


async def read_to_end(client: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Return the messages up to the end of a connection, and its close code."""
    read: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while True:
            try:
                read += json.loads(await client.recv())
            except ConnectionClosed as ended:
                return read, ended.rcvd.code if ended.rcvd else 1006


async def intervals(port: int) -> list[dict[str, Any]]:
    return (await http(port, "GET", "/sim/missed"))[1]


def assert_nothing_is_unaccounted(folder: Path, *, gap: bool = True) -> None:
    """Sent and missed together are every slot of the market, none of them twice."""
    sent, lost = truth(folder), missed(folder)
    due_ns = sorted(row[0] for row in sent + lost)
    seconds = (due_ns[-1] - due_ns[0]) / 1e9

    assert bool(lost) == gap
    assert len(due_ns) == pytest.approx(seconds * RATE, abs=2)
    assert max(b - a for a, b in itertools.pairwise(due_ns)) < 2e9 / RATE


async def test_a_cut_and_what_was_missed_until_the_next_subscription(tmp_path: Path):
    async with simulated(rate_per_s=RATE, truth_dir=tmp_path) as port:
        async with subscribed(port) as client:
            await order_fault(port, kind="cut", after_s=0.3)
            _, code = await read_to_end(client)
        assert code == 1006
        assert {each["to_ns"] for each in await intervals(port)} == {None}
        await asyncio.sleep(0.4)
        async with subscribed(port) as client:
            await read_for(client, 0.3)
            found = await intervals(port)
            await client.close()

    # four channels, and corrections and cancels with the trades
    assert len(found) == 6 * len(DEFAULT_SYMBOLS)
    assert {each["cause"] for each in found} == {"cut"}
    for each in found:
        assert 0.4e9 < each["to_ns"] - each["from_ns"] < 2e9
        if each["messages"]:
            due_ns = [each["first_due_ns"], each["last_due_ns"]]
            assert [each["from_ns"], *due_ns, each["to_ns"]] == sorted(
                [each["from_ns"], *due_ns, each["to_ns"]]
            )
    assert_nothing_is_unaccounted(tmp_path)
    lines = (tmp_path / "missed.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    ended = [each for each in kept if each["cause"] == "cut"]
    assert ended == found
    assert sum(each["messages"] for each in kept) == len(missed(tmp_path))


@pytest.mark.parametrize("code", [1001, 1011])
async def test_a_cut_with_a_close_code(code: int):
    async with simulated(rate_per_s=RATE) as port, subscribed(port) as client:
        await order_fault(port, kind="cut", code=code)

        assert (await read_to_end(client))[1] == code


async def test_during_a_lasting_cut_nobody_gets_in():
    async with simulated(rate_per_s=RATE) as port, subscribed(port) as client:
        number = await order_fault(port, kind="cut", for_s=60)
        await read_to_end(client)
        with pytest.raises(InvalidStatus) as refused:
            async with connected(port):
                pass
        assert refused.value.response.status_code == HTTPStatus.SERVICE_UNAVAILABLE

        await http(port, "DELETE", f"/sim/faults/{number}")
        async with subscribed(port):
            pass


async def test_a_mute_connection_lives_and_says_nothing(tmp_path: Path):
    async with (
        simulated(rate_per_s=RATE, truth_dir=tmp_path) as port,
        subscribed(port) as client,
    ):
        await read_for(client, 0.2)
        await order_fault(port, kind="mute", for_s=0.6)
        await read_for(client, 0.1)
        silent = await read_for(client, 0.3)
        await asyncio.wait_for(await client.ping(), 5)
        again = await read_for(client, 0.6)
        found = await intervals(port)

    assert (silent, bool(again)) == ([], True)
    assert {each["cause"] for each in found} == {"mute"}
    assert all(0.5e9 < each["to_ns"] - each["from_ns"] < 1e9 for each in found)
    assert_nothing_is_unaccounted(tmp_path)


async def test_a_mute_of_some_symbols_leaves_the_others():
    async with simulated(rate_per_s=RATE) as port, subscribed(port) as client:
        await order_fault(port, kind="mute", for_s=60, symbols=["AAPL", "KO"])
        await read_for(client, 0.2)
        heard = {message["S"] for message in await read_for(client, 1.0)}
        found = await intervals(port)

    assert heard & {"AAPL", "KO"} == set()
    assert len(heard) > 15
    assert {each["symbol"] for each in found} == {"AAPL", "KO"}


async def test_a_half_open_connection_does_not_even_answer_a_ping(tmp_path: Path):
    async with (
        simulated(rate_per_s=RATE, truth_dir=tmp_path) as port,
        subscribed(port) as client,
    ):
        await order_fault(port, kind="half_open", for_s=1.0)
        await read_for(client, 0.2)
        pong = await client.ping()
        assert await read_for(client, 0.4) == []
        assert not pong.done()
        async with subscribed(port) as second:  # its place is free at once
            assert await read_for(second, 0.2)
            await asyncio.wait_for(pong, 5)
            assert await read_for(second, 0.2)

    assert_nothing_is_unaccounted(tmp_path)


async def test_a_half_open_connection_replaces_nobody_who_leaves(tmp_path: Path):
    async with (
        simulated(rate_per_s=RATE, truth_dir=tmp_path) as port,
        subscribed(port) as client,
    ):
        await order_fault(port, kind="half_open", for_s=60)
        await read_for(client, 0.2)  # what was sent before
        async with subscribed(port) as second:
            assert await read_for(second, 0.2)
        assert await read_for(client, 0.3) == []
        async with subscribed(port) as third:
            assert await read_for(third, 0.2)
        await http(port, "DELETE", "/sim/faults")

    assert_nothing_is_unaccounted(tmp_path)


async def test_the_end_of_a_fault_ends_nothing_while_another_lasts(tmp_path: Path):
    async with (
        simulated(rate_per_s=RATE, truth_dir=tmp_path) as port,
        subscribed(port) as client,
    ):
        await order_fault(port, kind="mute", for_s=0.5)
        await order_fault(port, kind="half_open", for_s=1.2)
        await read_for(client, 0.9)
        assert all(each["to_ns"] is None for each in await intervals(port))
        assert await read_for(client, 1.0)
        found = await intervals(port)

    assert {each["cause"] for each in found} == {"mute"}
    assert all(each["to_ns"] - each["from_ns"] > 1.1e9 for each in found)
    assert_nothing_is_unaccounted(tmp_path)


async def test_the_end_of_a_mute_does_not_end_the_next(tmp_path: Path):
    async with simulated(rate_per_s=RATE, truth_dir=tmp_path) as port:
        async with subscribed(port):
            await order_fault(port, kind="mute", for_s=0.8)
        async with subscribed(port) as second:
            await order_fault(port, kind="mute", for_s=1.5)
            await read_for(second, 0.3)
            assert await read_for(second, 0.7) == []
            assert await read_for(second, 1.0)

    assert_nothing_is_unaccounted(tmp_path)


async def test_a_half_open_connection_may_hold_its_place():
    async with simulated(rate_per_s=RATE) as port, subscribed(port):
        await order_fault(port, kind="half_open", for_s=60, holds_place=True)
        await eventually(port, lambda found: found["missed"] > 0)
        async with connected(port) as second:
            assert await log_in(second) == error(406, "connection limit exceeded")
        await http(port, "DELETE", "/sim/faults")


async def test_a_frame_is_torn():
    async with simulated(rate_per_s=RATE) as port, subscribed(port) as client:
        await order_fault(port, kind="torn_frame")
        read, code = await read_to_end(client)

    assert code == 1006
    assert all("S" in message for message in read)


async def test_a_slow_server_delivers_everything_later(tmp_path: Path):
    async with simulated(
        rate_per_s=RATE, truth_dir=tmp_path, stop_after_s=2
    ) as port, subscribed(port) as client:  # fmt: skip
        await order_fault(port, kind="slow", delay_s=0.5, for_s=0.8)
        await read_for(client, 0.1)
        assert await read_for(client, 0.2) == []
        await read_for(client, 2.0)
        await client.close()

    assert_nothing_is_unaccounted(tmp_path, gap=False)


@pytest.mark.parametrize(
    ("code", "text"), [(407, "slow client"), (500, "internal error")]
)
async def test_an_error_out_of_the_blue_ends_the_connection(code: int, text: str):
    async with simulated(rate_per_s=RATE) as port, subscribed(port) as client:
        await order_fault(port, kind="error", code=code)
        read, close_code = await read_to_end(client)
        found = await intervals(port)

    assert read[-1] == error(code, text)
    assert close_code == 1006
    assert {each["cause"] for each in found} == {f"error {code}"}


async def test_406_for_a_while_then_welcome():
    async with simulated(rate_per_s=RATE) as port:
        await order_fault(port, kind="error", code=406, for_s=0.5)
        async with connected(port) as client:
            assert await log_in(client) == error(406, "connection limit exceeded")
            await client.wait_closed()
        await asyncio.sleep(0.6)
        async with subscribed(port):
            pass


@pytest.mark.parametrize("code", [402, 404, 409])
async def test_a_login_is_refused_once(code: int):
    async with simulated(rate_per_s=RATE) as port:
        await order_fault(port, kind="error", code=code, count=1)
        async with connected(port) as client:
            assert (await log_in(client))["code"] == code
        async with subscribed(port):
            _, (fault,), _ = await http(port, "GET", "/sim/faults")

    assert (fault["hits"], fault["state"]) == (1, "over")


@pytest.mark.parametrize("code", [400, 401, 403, 405, 410])
async def test_a_subscription_is_refused_once(code: int):
    async with simulated(rate_per_s=RATE) as port, connected(port) as client:
        await log_in(client)
        await order_fault(port, kind="error", code=code, count=1)

        assert (await subscribe(client, trades=["KO"]))["code"] == code
        assert (await subscribe(client, trades=["KO"]))["trades"] == ["KO"]


async def test_a_confirmation_leaves_symbols_out():
    async with simulated(rate_per_s=RATE) as port, connected(port) as client:
        await log_in(client)
        await order_fault(port, kind="omit", count=1, symbols=["KO"])
        confirmed = await subscribe(client, trades=["KO", "BA"], bars=["KO"])
        found = await intervals(port)
        await client.send('{"action":"subscribe","trades":["KO"]}')
        (again,) = [m for m in await read_for(client, 0.3) if m["T"] == "subscription"]
        ended = await intervals(port)

    assert (confirmed["trades"], confirmed["bars"]) == (["BA"], [])
    assert {(each["channel"], each["symbol"]) for each in found} == {
        (channel, "KO") for channel in ("trades", "bars", "corrections", "cancelErrors")
    }
    assert again["trades"] == ["BA", "KO"]
    assert [each["channel"] for each in ended if each["to_ns"] is None] == ["bars"]


async def test_a_slow_client_misses_what_it_never_took():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    async with simulated(rate_per_s=30_000, client_buffer_bytes=1_500_000) as port:
        sock.connect(("127.0.0.1", port))
        async with connected(port, sock=sock, max_queue=1) as client:
            await log_in(client)
            await subscribe(client, **ALL)
            await eventually(port, lambda found: found["clients"] == 0)
            now_ns = time.time_ns()
            cut = await intervals(port)
            with pytest.raises(ConnectionClosed):
                await frames_of(client)

    assert {each["cause"] for each in cut} == {"slow_client"}
    # 1.5 MB are a third of a second, which was lost before the cut was made
    assert now_ns - cut[0]["from_ns"] > 0.15e9


async def test_faults_name_a_feed_or_a_key():
    async with simulated(rate_per_s=RATE) as port, connected(port) as one:
        await log_in(one, key="one")
        await order_fault(port, kind="cut", key="another")
        await order_fault(port, kind="cut", feed="/v2/sip")
        assert (await subscribe(one, trades=["KO"]))["trades"] == ["KO"]
        await order_fault(port, kind="cut", key="one", feed="/v2/iex")
        await read_to_end(one)


async def test_a_script_is_added_listed_and_removed():
    script = [{"kind": "cut", "after_s": 50.0}, {"kind": "mute", "after_s": 60.0}]
    async with simulated() as port:
        code, added, _ = await http(port, "POST", "/sim/faults", script)
        _, listed, _ = await http(port, "GET", "/sim/faults")
        _, removed, _ = await http(port, "DELETE", "/sim/faults/1")
        gone, _, _ = await http(port, "DELETE", "/sim/faults/1")
        _, rest, _ = await http(port, "GET", "/sim/faults")

    assert (code, gone) == (201, 404)
    assert added == listed
    assert [each["fault"]["kind"] for each in listed] == ["cut", "mute"]
    assert {each["state"] for each in listed} == {"waiting"}
    assert listed[1]["from_ns"] - listed[0]["from_ns"] == pytest.approx(10e9, abs=1e8)
    assert (removed[0]["state"], [each["id"] for each in rest]) == ("removed", [2])


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "flood"},
        {"kind": "error"},
        {"kind": "error", "code": 408},
        {"kind": "cut", "after_s": -1},
        {"kind": "reject", "count": 0},
        {"kind": "cut", "colour": "red"},
        {"kind": "withhold", "channels": ["rumours"]},
        "cut",
    ],
)
async def test_a_wrong_fault_is_refused(fault: object):
    async with simulated() as port:
        code, answer, _ = await http(port, "POST", "/sim/faults", fault)

    assert code == 400
    assert answer["message"]


def test_a_scripted_campaign_follows_from_its_seed():
    one, other = scripted(7, 50, 300.0), scripted(8, 50, 300.0)

    assert one == scripted(7, 50, 300.0) != other
    assert [fault.after_s for fault in one] == sorted(fault.after_s for fault in one)
    assert {fault.kind for fault in one} == {"cut", "mute", "half_open", "torn_frame"}
    assert {fault.code for fault in scripted(7, 20, 9.0, ["error"])} == {406, 407, 500}
