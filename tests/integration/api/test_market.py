"""Prices, bars and statistics as a client reads them, from real Delta tables."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.responses import rfc3339
from tests.integration.api.markets import OPEN, Api, Market, serving


async def items(api: Api, path: str) -> list[dict[str, Any]]:
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def at(seconds: float) -> str:
    return rfc3339(OPEN + timedelta(seconds=seconds))


async def test_trades_are_newest_first_and_typed_for_javascript(
    market: Market, api: Api
):
    market.trade({"at": 1, "price": 10.5, "trade_id": 2**60})
    market.trade({"at": 3, "symbol": "MSFT"}, {"at": 2, "conditions": None})
    await api.look()

    answer = (await api.get("/api/v1/trades")).json()

    assert [row["event_time"] for row in answer["items"]] == [at(3), at(2), at(1)]
    assert answer["items"][2]["trade_id"] == str(2**60)
    assert answer["items"][2]["event_time_ns"] == "1795444201000000000"
    assert answer["items"][1]["conditions"] == []
    assert answer["next_cursor"] is None
    assert answer["table_version"] == "2"
    assert answer["newest_event_time"] == at(3)


async def test_trades_of_one_symbol_and_time_span(market: Market, api: Api):
    market.trade(*({"at": n} for n in range(6)), {"at": 3, "symbol": "MSFT"})
    await api.look()

    span = f"start={at(2)}&end={at(4)}"
    found = await items(api, f"/api/v1/trades?symbol=AAPL&{span}")

    assert [row["event_time"] for row in found] == [at(3), at(2)]


async def test_quotes_name_both_venues_and_their_occurrence(market: Market, api: Api):
    market.quote(
        {"at": 1, "bid_price": 10.0, "ask_price": 10.1, "occurrence": 1},
        {"at": 1, "bid_exchange": None, "bid_price": 0.0},
    )
    await api.look()

    one_sided, whole = await items(api, "/api/v1/quotes?symbol=AAPL")

    assert (whole["bid_price"], whole["ask_price"], whole["occurrence"]) == (
        10,
        10.1,
        1,
    )
    assert (one_sided["bid_exchange"], one_sided["bid_price"]) == (None, 0)


async def test_bars_show_the_latest_revision_in_ascending_order(
    market: Market, api: Api
):
    market.bar({"at": 0, "close": 1.0}, {"at": 60, "close": 2.0})
    market.bar({"at": 0, "close": 1.5, "revision": 7})
    await api.look()

    found = await items(api, "/api/v1/bars?symbol=AAPL")

    assert [(b["window_start"], b["close"]) for b in found] == [
        (at(0), 1.5),
        (at(60), 2),
    ]
    assert [b["revision"] for b in found] == [7, 0]
    assert all(b["is_final"] for b in found)


async def test_long_bars_are_folded_from_minutes(market: Market, api: Api):
    minute = {"trade_count": 10, "volume": 100, "vwap": 1.0}
    market.bar(
        {"at": 0, "open": 1.0, "high": 3.0, "low": 0.5, "close": 2.0, **minute},
        {"at": 60, "open": 2.0, "high": 4.0, "low": 1.5, "close": 3.0, **minute},
        {"at": 300, **minute, "volume": 300, "vwap": 3.0},
        {"at": 360, **minute, "trade_count": None},
    )
    await api.look()

    first, second = await items(api, "/api/v1/bars?symbol=AAPL&bar_length=5m")

    assert (first["window_start"], first["window_end"]) == (at(0), at(300))
    assert [first[n] for n in ("open", "high", "low", "close")] == [1.0, 4.0, 0.5, 3.0]
    assert (first["volume"], first["trade_count"], first["is_final"]) == (200, 20, True)
    assert (second["vwap"], second["trade_count"]) == (2.5, None)
    assert second["is_final"] is False


async def test_a_page_of_bars_leads_to_the_older_ones(market: Market, api: Api):
    market.bar(*({"at": 60 * n, "close": float(n)} for n in range(10)))
    await api.look()

    path, closes = "/api/v1/bars?symbol=AAPL&limit=4", []
    page = (await api.get(path)).json()
    closes.append([bar["close"] for bar in page["items"]])
    while page["next_cursor"]:
        page = (await api.get(f"{path}&cursor={page['next_cursor']}")).json()
        closes.append([bar["close"] for bar in page["items"]])

    assert closes == [[6, 7, 8, 9], [2, 3, 4, 5], [0, 1]]


async def test_long_bars_are_whole_whatever_the_bounds(market: Market, api: Api):
    market.bar(*({"at": 60 * n} for n in range(15)))
    await api.look()

    span = f"start={at(60)}&end={at(660)}"
    found = await items(api, f"/api/v1/bars?symbol=AAPL&bar_length=5m&{span}")

    starts = [(bar["window_start"], bar["volume"]) for bar in found]
    assert starts == [(at(300), 500), (at(600), 500)]


async def test_stats_are_the_newest_window_of_every_symbol(market: Market, api: Api):
    market.stats({"at": 0}, {"at": 60, "trade_count": 7}, {"at": 0, "symbol": "MSFT"})
    market.stats({"at": 0, "symbol": "SPY", "price_variance": None})
    await api.look()

    found = await items(api, "/api/v1/stats")
    of_aapl = await items(api, "/api/v1/stats?symbol=AAPL")
    first = (await api.get("/api/v1/stats?limit=2")).json()
    rest = await items(api, f"/api/v1/stats?limit=2&cursor={first['next_cursor']}")

    assert [(row["symbol"], row["trade_count"]) for row in found] == [
        ("AAPL", 7),
        ("MSFT", 100),
        ("SPY", 100),
    ]
    assert found[2]["price_variance"] is None
    assert [row["window_start"] for row in of_aapl] == [at(60), at(0)]
    assert [row["symbol"] for row in rest] == ["SPY"]


async def test_symbols_show_prices_and_the_change_since_the_close(
    market: Market, api: Api
):
    market.trade({"at": 1, "price": 11.0}, {"at": 2, "price": 12.0})
    market.quote({"at": 2, "bid_price": 11.9, "ask_price": 12.1})
    market.trade({"at": 1, "price": 5.0, "symbol": "MSFT"})
    day_s = 86_400
    market.bar({"at": -day_s, "close": 8.0}, {"at": 0, "close": 9.0})
    market.bar({"at": 0, "open": 4.0, "symbol": "MSFT"})
    market.bar({"at": 0, "kind": "history", "symbol": "SPY", "close": 3.0})
    await api.look()

    aapl, msft, spy = await items(api, "/api/v1/symbols")

    assert (aapl["last"]["price"], aapl["quote"]["bid_price"]) == (12, 11.9)
    assert (aapl["reference"], aapl["change"]) == ("previous_close", 4)
    assert aapl["change_percent"] == 50
    assert (msft["reference"], msft["change"]) == ("session_open", 1)
    assert (spy["last"], spy["reference_price"], spy["change"]) == (None, 3, None)


async def test_symbols_come_in_pages(market: Market, api: Api):
    market.trade(*({"symbol": name} for name in ("A", "B", "C")))
    await api.look()

    first = (await api.get("/api/v1/symbols?limit=2")).json()
    rest = await items(api, f"/api/v1/symbols?limit=2&cursor={first['next_cursor']}")

    assert [row["symbol"] for row in first["items"]] == ["A", "B"]
    assert [row["symbol"] for row in rest] == ["C"]


TICK_LISTS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["AAPL", "MSFT", "SPY"])), max_size=25
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=TICK_LISTS,
    meanwhile=st.lists(TICK_LISTS, max_size=3),
    limit=st.integers(1, 7),
    kind=st.sampled_from(["trades", "quotes"]),
)
def test_no_row_comes_twice_or_is_missed_while_rows_arrive(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[tuple[int, str]],
    meanwhile: list[list[tuple[int, str]]],
    limit: int,
    kind: str,
):
    market = Market(tmp_path_factory.mktemp("paging"))
    market.create()
    numbers = iter(range(10_000))

    def commit(ticks: list[tuple[int, str]]) -> set[int]:
        # ``size`` and ``ask_size`` tell rows apart that are equal in time and symbol
        number, write = (
            ("size", market.trade)
            if kind == "trades"
            else (
                "ask_size",
                market.quote,
            )
        )
        own = "trade_id" if kind == "trades" else "quote_hash"
        rows = [
            {"at": second, "symbol": symbol, number: n, own: n}
            for (second, symbol), n in zip(ticks, numbers, strict=False)
        ]
        if rows:
            write(*rows)
        return {row[number] for row in rows}

    async def walk() -> list[int]:
        seen, arriving = [], iter(meanwhile)
        number = "size" if kind == "trades" else "ask_size"
        async with serving(market.settings) as api:
            path = f"/api/v1/{kind}?limit={limit}"
            page = (await api.get(path)).json()
            seen += [row[number] for row in page["items"]]
            while page["next_cursor"]:
                commit(next(arriving, []))
                await api.look()
                page = (await api.get(f"{path}&cursor={page['next_cursor']}")).json()
                assert len(page["items"]) <= limit
                seen += [row[number] for row in page["items"]]
        return seen

    there = commit(before)
    seen = asyncio.run(walk())

    assert len(seen) == len(set(seen))
    assert there <= set(seen)
