"""What history has and the stream has not is told once; a restated minute again."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from conf.errors import RetryLater
from conf.market.envelope import Line, encode_header, encode_line, pack
from conf.market.rfc3339 import format_ns
from conf.settings import Settings
from producer import attempts, backfill
from producer.backfill import Backfill
from producer.gaps import Ledger
from producer.history_process import Page
from producer.rates import Rates
from producer.relay import Frame, Row
from producer.seen import Seen

SECOND_NS = 1_000_000_000
MINUTE = 1_795_000_020 * SECOND_NS
CHANNELS = {"bars": ["KO"], "updatedBars": ["KO"]}


class History:
    """Knows one minute, by its number of trades."""

    trades = 10

    async def page(self, resource: str, query: dict[str, str], _: float) -> Page:
        bar = {"t": format_ns(MINUTE), "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}
        return Page({"KO": [{**bar, "n": self.trades}]})

    async def close(self) -> None:
        pass


class Outlet:
    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    async def publish(self, page: Frame, rows: list[Row]) -> None:
        for row in rows:
            bar = json.loads(bytes(row.message.data or b""))
            self.told.append((bar["T"], bar["n"]))

    def announce(self, _: object) -> None:
        pass

    def market_ns(self) -> int:
        return MINUTE + 200 * SECOND_NS

    def payloads(self, since_ns: int, until_ns: int) -> Iterator[bytes]:
        return iter(())

    def symbols(self) -> list[str]:
        return []


class Ticks(History):
    """Knows three trades; the last is on a page that comes at the third try."""

    tries = 0

    async def page(self, resource: str, query: dict[str, str], _: float) -> Page:
        if resource != "trades":
            return Page({})
        if "page_token" not in query:
            return Page({"KO": [trade(1), trade(2)]}, "2")
        self.tries += 1
        if self.tries < 3:
            raise RetryLater("history is away")
        return Page({"KO": [trade(3)]})


class Spooled(Outlet):
    """Has a trade on disk, and a record that nobody can read."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[int] = []
        self.asked: list[tuple[int, int]] = []

    async def publish(self, page: Frame, rows: list[Row]) -> None:
        self.ids += [json.loads(bytes(row.message.data or b""))["i"] for row in rows]

    def payloads(self, since_ns: int, until_ns: int) -> Iterator[bytes]:
        self.asked.append((since_ns, until_ns))
        data = msgspec.Raw(msgspec.json.encode({"T": "t", "S": "KO", **trade(1)}))
        line = encode_line(Line(0, 0, MINUTE, MINUTE, message=data))
        return iter([b"torn", pack(encode_header("data", "e0", "test"), [line])])


def trade(trade_id: int) -> dict[str, Any]:
    return {"t": format_ns(MINUTE), "x": "V", "p": 9.5, "s": 1, "i": trade_id}


def backfill_of(ledger: Ledger, history: History, outlet: Outlet) -> Backfill:
    settings = Settings.model_validate({"alpaca": {"url": "ws://127.0.0.1:1"}})
    process: Any = history
    return Backfill(settings, ledger, process, outlet, Seen(), Rates())


async def settled(ledger: Ledger) -> None:
    async with asyncio.timeout(5):
        while ledger.unsettled:
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_SETTLE_S", 0.0)
    monkeypatch.setattr(attempts, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(backfill, "_IDLE_S", 0.01)


async def test_the_spool_is_read_once_per_interval_and_not_beyond_its_end():
    ledger, outlet = Ledger(), Spooled()
    filling = backfill_of(ledger, Ticks(), outlet)
    channels = {"trades": ["KO"], "quotes": ["KO"], "bars": ["KO"]}
    ledger.lose("e1", "cut", channels, MINUTE, MINUTE)
    ledger.receive(channels, MINUTE + 4 * SECOND_NS)
    task = asyncio.create_task(filling.run())
    await settled(ledger)
    task.cancel()

    assert outlet.asked == [(MINUTE - 45 * SECOND_NS, MINUTE + 49 * SECOND_NS)]
    assert outlet.ids == [2, 3]  # the first is on disk, the second is not told again
    assert filling.unreadable_total == 1


def test_a_gap_that_stays_open_keeps_the_spool_for_half_an_hour():
    ledger, outlet = Ledger(), Outlet()
    filling, now_ns = backfill_of(ledger, History(), outlet), outlet.market_ns()
    ledger.lose("e1", "refused", CHANNELS, now_ns - 1_801 * SECOND_NS, now_ns)
    assert filling.since_ns == now_ns - 45 * SECOND_NS
    ledger.receive(CHANNELS, now_ns)
    assert filling.since_ns == now_ns - 1_846 * SECOND_NS


async def test_a_bar_of_backfill_that_is_restated_in_the_next_gap():
    ledger, history, outlet = Ledger(), History(), Outlet()
    task = asyncio.create_task(backfill_of(ledger, history, outlet).run())
    for outage, trades, second in (("e1", 10, 58), ("e2", 12, 88), ("e3", 12, 110)):
        history.trades = trades
        since_ns = MINUTE + second * SECOND_NS
        ledger.lose(outage, "cut", CHANNELS, since_ns, since_ns)
        ledger.receive(CHANNELS, since_ns + 4 * SECOND_NS)
        await settled(ledger)
    task.cancel()
    assert outlet.told == [("b", 10), ("u", 12)]
