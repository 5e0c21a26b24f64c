"""REST against the stream: an unmodified alpaca-py gets what was sent."""

import asyncio
import json
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conf.market.rfc3339 import format_ns, parse_ns
from tests.integration.alpaca_py import (
    APIError,
    StockBarsRequest,
    StockHistoricalDataClient,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockTradesRequest,
    TimeFrame,
)
from tests.integration.simulated import (
    ALL,
    connected,
    http,
    log_in,
    order_fault,
    read_for,
    receive_all,
    simulated,
    subscribe,
    truth,
)

SYMBOLS = ["AAPL", "KO", "BA"]
Events = dict[str, list[dict[str, Any]]]


def rest(port: int, key: str = "key") -> StockHistoricalDataClient:
    url = f"http://127.0.0.1:{port}"
    return StockHistoricalDataClient(key, "secret", raw_data=True, url_override=url)


async def market(port: int) -> None:
    """Take part in a market until it ends by itself."""
    async with connected(port) as client:
        await log_in(client)
        await subscribe(client, **ALL)
        await receive_all(client, port)


def by_symbol(folder: Path, kind: str) -> Events:
    """Return what was sent, repeats left out, as REST should tell it."""
    found: Events = defaultdict(list)
    for _, flag, text in truth(folder):
        message = {} if flag in "rm" else json.loads(text)
        if message.get("T") == kind:
            event = {k: v for k, v in message.items() if k not in ("T", "S")}
            found[message["S"]].append(event)
    for events in found.values():
        events.sort(key=lambda event: parse_ns(event["t"]))
    return found


async def test_trades_and_quotes_are_those_of_the_stream(tmp_path: Path):
    since = datetime.now(UTC) - timedelta(hours=7)
    async with simulated(
        rate_per_s=6_000, symbols=SYMBOLS, stop_after_s=4, truth_dir=tmp_path,
        repeated_share=0.03, out_of_order_share=0.03, late_share=0.01,
        malformed_share=0.01,
    ) as port:  # fmt: skip
        await market(port)
        client = rest(port)
        asked = {"symbol_or_symbols": SYMBOLS, "start": since}
        trades = await asyncio.to_thread(
            client.get_stock_trades, StockTradesRequest(**asked)
        )
        quotes = await asyncio.to_thread(
            client.get_stock_quotes, StockQuotesRequest(**asked)
        )

    assert sum(map(len, quotes.values())) > 10_000, "more than one page"
    for kind, found in ("t", trades), ("q", quotes):
        sent = by_symbol(tmp_path, kind)
        assert found.keys() == sent.keys() == set(SYMBOLS)
        for symbol in SYMBOLS:
            assert found[symbol] == sent[symbol], (kind, symbol)


async def test_a_gap_is_filled_from_rest_but_for_what_is_withheld():
    async with simulated(rate_per_s=1_000, symbols=SYMBOLS) as port:
        async with connected(port) as client:
            await log_in(client)
            await subscribe(client, **ALL)
            await read_for(client, 0.3)
            await order_fault(
                port, kind="withhold", for_s=0.4, symbols=["KO"], channels=["trades"]
            )
            _, (added,), _ = await http(port, "GET", "/sim/faults")
            await read_for(client, 0.8)
        query = f"symbols=KO,BA&limit=10000&start={format_ns(added['from_ns'])}"
        _, trades, _ = await http(port, "GET", f"/v2/stocks/trades?{query}")
        _, quotes, _ = await http(port, "GET", f"/v2/stocks/quotes?{query}")
        await http(port, "DELETE", "/sim/faults")
        _, again, _ = await http(port, "GET", f"/v2/stocks/trades?{query}")

    ko = [parse_ns(trade["t"]) for trade in trades["trades"]["KO"]]
    ba = [parse_ns(trade["t"]) for trade in trades["trades"]["BA"]]
    assert min(ko) >= added["to_ns"] > min(ba)
    assert parse_ns(quotes["quotes"]["KO"][0]["t"]) < added["to_ns"]
    assert parse_ns(again["trades"]["KO"][0]["t"]) < added["to_ns"]


async def test_bars_begin_with_the_session_before(tmp_path: Path):
    async with simulated(symbols=SYMBOLS) as port:
        client = rest(port)
        minutes = await asyncio.to_thread(
            client.get_stock_bars,
            StockBarsRequest(symbol_or_symbols=SYMBOLS, timeframe=TimeFrame.Minute),
        )
        hours = await asyncio.to_thread(
            client.get_stock_bars,
            StockBarsRequest(symbol_or_symbols="KO", timeframe=TimeFrame.Hour),
        )

    assert {symbol: len(found) for symbol, found in minutes.items()} == dict.fromkeys(
        SYMBOLS, 390
    )
    assert 6 <= len(hours["KO"]) <= 7
    first = parse_ns(hours["KO"][0]["t"])
    inside = [
        bar for bar in minutes["KO"] if first <= parse_ns(bar["t"]) < first + 3600e9
    ]
    assert hours["KO"][0]["v"] == sum(bar["v"] for bar in inside)


async def test_latest_trades_and_quotes():
    async with simulated(rate_per_s=500, symbols=SYMBOLS) as port:
        async with connected(port) as client:
            await log_in(client)
            await subscribe(client, **ALL)
            await read_for(client, 0.5)
        client = rest(port)
        trade = await asyncio.to_thread(
            client.get_stock_latest_trade,
            StockLatestTradeRequest(symbol_or_symbols=SYMBOLS),
        )
        quote = await asyncio.to_thread(
            client.get_stock_latest_quote,
            StockLatestQuoteRequest(symbol_or_symbols=["KO"]),
        )

    assert sorted(trade) == sorted(SYMBOLS)
    assert quote["KO"]["bp"] < quote["KO"]["ap"]
    assert time.time_ns() - parse_ns(quote["KO"]["t"]) < 20e9


async def test_the_rate_limit_is_told_and_kept():
    async with simulated(rest_calls_per_min=2) as port:
        path = "/v2/stocks/quotes/latest?symbols=KO"
        answers = [await http(port, "GET", path) for _ in range(3)]
        other, _, _ = await http(
            port, "GET", path, **{"APCA-API-KEY-ID": "o", "APCA-API-SECRET-KEY": "s"}
        )

    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert [headers["X-RateLimit-Remaining"] for _, _, headers in answers] == [
        "1", "0", "0",
    ]  # fmt: skip
    assert answers[0][2]["X-RateLimit-Limit"] == "2"
    assert 0 < int(answers[0][2]["X-RateLimit-Reset"]) - time.time() <= 61
    assert other == 200


async def test_alpaca_py_comes_again_after_a_429():
    async with simulated() as port:
        await order_fault(port, kind="rest_error", code=429, count=1)
        client = rest(port)
        client._retry_wait = 0.01
        request = StockBarsRequest(symbol_or_symbols="KO", timeframe=TimeFrame.Minute)
        found = await asyncio.to_thread(client.get_stock_bars, request)

    assert len(found["KO"]) == 390


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/v2/stocks/trades?symbols=KO", "wrong", 403),
        ("/v2/stocks/trades?symbols=KO&feed=sip", "free", 403),
        ("/v2/stocks/trades?symbols=KO&feed=iex", "free", 200),
        ("/v2/stocks/trades?symbols=KO&feed=sip&end=2026-01-01", "free", 200),
        ("/v2/stocks/trades", "key", 400),
        ("/v2/stocks/rumours?symbols=KO", "key", 404),
        ("/v2/stocks/KO/trades", "key", 200),
        ("/v2/stocks", "key", 404),
    ],
)
async def test_who_may_ask_what(path: str, key: str, status: int):
    async with simulated() as port:
        found, body, _ = await http(
            port, "GET", path, **{"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": "s"}
        )

    assert found == status, body


async def test_rest_fails_when_told_to():
    async with simulated() as port:
        await order_fault(port, kind="rest_error", code=503, for_s=60)
        request = StockBarsRequest(symbol_or_symbols="KO", timeframe=TimeFrame.Minute)
        with pytest.raises(APIError, match="simulated"):
            await asyncio.to_thread(rest(port).get_stock_bars, request)
        await http(port, "DELETE", "/sim/faults")
        assert await asyncio.to_thread(rest(port).get_stock_bars, request)
