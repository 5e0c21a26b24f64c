"""The simulated Alpaca over real sockets, for raw clients and for alpaca-py."""

import asyncio
import json
import socket
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgpack
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conf.market.rfc3339 import format_ns, parse_ns
from conf.settings import DEFAULT_SYMBOLS
from producer.simulator import conversation
from tests.integration.simulated import (
    ALL,
    ask,
    connected,
    error,
    eventually,
    frames_of,
    log_in,
    receive_all,
    simulated,
    status,
    subscribe,
    truth,
)

FAULTS = {
    "repeated_share": 0.05,
    "out_of_order_share": 0.05,
    "late_share": 0.01,
    "malformed_share": 0.02,
}
# alpaca-py still uses the client that websockets has deprecated
alpaca_py = pytest.mark.filterwarnings("ignore::DeprecationWarning:websockets.legacy")


async def test_truth_is_what_the_client_received(tmp_path: Path):
    async with (
        simulated(
            rate_per_s=3_000, stop_after_s=3, truth_dir=tmp_path, **FAULTS
        ) as port,
        connected(port) as client,
    ):
        await log_in(client)
        await subscribe(client, **ALL)
        frames = await receive_all(client, port)
        counted = await status(port)

    sent = truth(tmp_path)
    received = ",".join(
        frame[1:-1] if frame.endswith("]") else frame for frame in frames
    )
    summary = json.loads((tmp_path / "summary.json").read_text())

    assert received == ",".join(text for _, _, text in sent)
    assert len(sent) == summary["emitted"] == counted["emitted"] == 9_000
    assert [due_ns for due_ns, _, _ in sent] == sorted(due_ns for due_ns, _, _ in sent)
    assert {name: summary[name] for name in counted["injected"]} == {
        "repeated": sum(flag == "r" for _, flag, _ in sent),
        "out_of_order": sum(flag == "o" for _, flag, _ in sent),
        "late": sum(flag == "l" for _, flag, _ in sent),
        "malformed": sum(flag == "m" for _, flag, _ in sent),
    }
    assert summary["malformed"] == pytest.approx(180, abs=12)
    assert max(frame.count('"T":') for frame in frames) <= 100


async def test_the_rate_holds_over_ten_seconds():
    async with simulated(rate_per_s=4_096, stop_after_s=10) as port:
        async with connected(port) as client:
            await log_in(client)
            await subscribe(client, **ALL)
            began_s = time.monotonic()
            frames = await receive_all(client, port)
        seconds = time.monotonic() - began_s
        found = await status(port)

    received = sum(frame.count('"T":') for frame in frames)
    assert received == found["emitted"] == pytest.approx(40_960, rel=0.005)
    assert seconds == pytest.approx(10, abs=1)


@alpaca_py
async def test_an_unmodified_alpaca_py_stream_gets_every_message(tmp_path: Path):
    from alpaca.data.live import StockDataStream  # noqa: PLC0415 (it warns)

    received: list[dict[str, Any]] = []

    async def keep(message: dict[str, Any]) -> None:
        received.append(message)

    async with simulated(rate_per_s=2_000, truth_dir=tmp_path) as port:
        url = f"ws://127.0.0.1:{port}/v2/iex"
        stream = StockDataStream("key", "secret", raw_data=True, url_override=url)
        stream.subscribe_trades(keep, *DEFAULT_SYMBOLS)
        stream.subscribe_quotes(keep, *DEFAULT_SYMBOLS)
        stream.subscribe_bars(keep, "*")
        stream.subscribe_updated_bars(keep, "*")
        running_stream = asyncio.create_task(asyncio.to_thread(stream.run))
        async with asyncio.timeout(20):
            while len(received) < 4_000:
                await asyncio.sleep(0.02)
        await asyncio.to_thread(stream.stop)
        await running_stream

    as_json = [
        {**message, "t": format_ns(message["t"].to_unix_nano())} for message in received
    ]
    sent = [json.loads(text) for _, _, text in truth(tmp_path)]
    assert as_json == sent[: len(as_json)]


@alpaca_py
async def test_alpaca_py_parses_trades_quotes_and_history():
    from alpaca.data.historical import StockHistoricalDataClient  # noqa: PLC0415
    from alpaca.data.live import StockDataStream  # noqa: PLC0415
    from alpaca.data.requests import StockBarsRequest  # noqa: PLC0415
    from alpaca.data.timeframe import TimeFrame  # noqa: PLC0415

    seen: dict[str, Any] = {}

    async def keep(message: Any) -> None:
        seen.setdefault(type(message).__name__, message)

    async with simulated(rate_per_s=500) as port:
        rest = StockHistoricalDataClient(
            "key", "secret", url_override=f"http://127.0.0.1:{port}"
        )
        asked = StockBarsRequest(
            symbol_or_symbols=["AAPL", "KO"], timeframe=TimeFrame.Minute
        )
        bars = await asyncio.to_thread(rest.get_stock_bars, asked)
        url = f"ws://127.0.0.1:{port}/v2/iex"
        stream = StockDataStream("key", "secret", url_override=url)
        stream.subscribe_trades(keep, "AAPL")
        stream.subscribe_quotes(keep, "AAPL")
        running_stream = asyncio.create_task(asyncio.to_thread(stream.run))
        async with asyncio.timeout(20):
            while len(seen) < 2:
                await asyncio.sleep(0.02)
        await asyncio.to_thread(stream.stop)
        await running_stream

    assert [len(bars[symbol]) for symbol in ("AAPL", "KO")] == [390, 390]
    assert seen["Trade"].price == pytest.approx(bars["AAPL"][-1].close, rel=0.01)
    assert seen["Quote"].bid_price < seen["Quote"].ask_price


async def test_msgpack_by_content_type():
    header = {"Content-Type": "application/msgpack"}
    async with (
        simulated(rate_per_s=500, **FAULTS) as port,
        connect(f"ws://127.0.0.1:{port}/v2/iex", additional_headers=header) as client,
    ):
        assert msgpack.unpackb(await client.recv()) == [
            {"T": "success", "msg": "connected"}
        ]
        login = {
            "action": "auth",
            "key": "key",
            "secret": "secret",  # pragma: allowlist secret
        }
        await client.send(msgpack.packb(login))
        await client.recv()
        await client.send(msgpack.packb({"action": "subscribe", **ALL}))
        await client.recv()
        messages = msgpack.unpackb(await client.recv())

    assert isinstance(messages[0]["t"], msgpack.Timestamp)


@pytest.mark.parametrize(
    ("path", "key", "answer"),
    [
        ("/v2/iex", "wrong", error(402, "auth failed")),
        ("/v2/iex", "", error(402, "auth failed")),
        ("/v2/sip", "free", error(409, "insufficient subscription")),
    ],
)
async def test_a_refused_key_ends_the_connection(
    path: str, key: str, answer: dict[str, Any]
):
    async with simulated() as port, connected(port, path) as client:
        assert await log_in(client, key) == answer
        await client.wait_closed()


async def test_keys_in_the_handshake_authenticate():
    headers = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
    async with (
        simulated() as port,
        connected(port, additional_headers=headers) as client,
    ):
        assert json.loads(await client.recv()) == [
            {"T": "success", "msg": "authenticated"}
        ]


async def test_a_second_connection_is_refused_and_the_first_lives_on():
    async with simulated() as port, connected(port) as first:
        await log_in(first)
        async with connected(port) as second:
            assert await log_in(second) == error(406, "connection limit exceeded")
        async with connected(port) as third:
            assert await log_in(third, key="another") == {
                "T": "success",
                "msg": "authenticated",
            }
        assert (await subscribe(first, trades=["KO"]))["trades"] == ["KO"]

        await first.close()
        async with connected(port) as fourth:
            assert (await log_in(fourth))["msg"] == "authenticated"


async def test_requests_out_of_turn_are_answered_and_forgotten():
    async with simulated() as port, connected(port) as client:
        assert await subscribe(client, trades=["KO"]) == error(401, "not authenticated")
        assert await ask(client, {"action": "auth"}) == error(400, "invalid syntax")
        await log_in(client)

        assert await log_in(client) == error(403, "already authenticated")
        assert await ask(client, {"action": "sing"}) == error(400, "invalid syntax")
        await client.send("{")
        assert json.loads(await client.recv()) == [error(400, "invalid syntax")]
        many = [f"S{number}" for number in range(31)]
        assert await subscribe(client, trades=many) == error(
            405, "symbol limit exceeded"
        )
        assert await subscribe(client, news=["KO"]) == error(
            410, "invalid subscribe action for this feed"
        )
        confirmed = await subscribe(client, trades=DEFAULT_SYMBOLS, bars=["KO"])
        assert confirmed["corrections"] == DEFAULT_SYMBOLS
        assert (confirmed["bars"], confirmed["quotes"]) == (["KO"], [])


async def test_who_says_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conversation, "AUTH_TIMEOUT_S", 0.1)
    async with simulated() as port, connected(port) as client:
        assert json.loads(await client.recv()) == [error(404, "auth timeout")]
        await client.wait_closed()


async def test_the_test_feed_has_fakepaca_alone():
    async with (
        simulated(rate_per_s=300, hot_symbol="KO", calendar="nyse") as port,
        connected(port, "/v2/test") as client,
    ):
        await log_in(client)
        await subscribe(client, **ALL)
        messages = json.loads(await client.recv())

    assert {message["S"] for message in messages} == {"FAKEPACA"}


async def test_other_paths_are_not_found():
    async with simulated() as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{port}/v1/iex")

    assert refused.value.response.status_code == HTTPStatus.NOT_FOUND


async def test_a_slow_client_is_disconnected_and_others_go_on():
    slow_socket = socket.socket()
    slow_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    async with simulated(rate_per_s=20_000, client_buffer_bytes=100_000) as port:
        slow_socket.connect(("127.0.0.1", port))
        async with (
            connected(port) as quick,
            connected(port, sock=slow_socket, max_queue=1) as slow,
        ):
            for client, key in (quick, "quick"), (slow, "slow"):
                await log_in(client, key)
                await subscribe(client, **ALL)
            reading = asyncio.create_task(frames_of(quick))
            dropped = await eventually(port, lambda found: found["clients"] == 1)
            await eventually(port, lambda found: found["emitted"] > dropped["emitted"])
            await quick.close()
            assert await reading
            with pytest.raises(ConnectionClosed):
                await frames_of(slow)


async def test_who_reconnects_finds_the_schedule_moved_on():
    async with simulated(rate_per_s=500) as port:
        times_ns = []
        for _ in range(2):
            async with connected(port) as client:
                await log_in(client)
                await subscribe(client, **ALL)
                times_ns.append(parse_ns(json.loads(await client.recv())[0]["t"]))
            gone = await eventually(port, lambda found: found["clients"] == 0)
            await asyncio.sleep(0.1)
        found = await status(port)

    assert times_ns[1] > times_ns[0] + 100_000_000
    assert found["started_wall_ns"] == gone["started_wall_ns"]
