"""A minute that backfill told and history restates later is told again, as restated."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

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

    def payloads(self, _: int) -> Iterator[bytes]:
        return iter(())

    def symbols(self) -> list[str]:
        return []


async def test_a_bar_of_backfill_that_is_restated_in_the_next_gap(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(attempts, "_SETTLE_S", 0.0)
    monkeypatch.setattr(backfill, "_IDLE_S", 0.01)
    ledger, history, outlet = Ledger(), History(), Outlet()
    settings = Settings.model_validate({"alpaca": {"url": "ws://127.0.0.1:1"}})
    process: Any = history
    filling = Backfill(settings, ledger, process, outlet, Seen(), Rates())
    task = asyncio.create_task(filling.run())
    for outage, trades, second in (("e1", 10, 58), ("e2", 12, 88), ("e3", 12, 110)):
        history.trades = trades
        since_ns = MINUTE + second * SECOND_NS
        ledger.lose(outage, "cut", CHANNELS, since_ns, since_ns)
        ledger.receive(CHANNELS, since_ns + 4 * SECOND_NS)
        async with asyncio.timeout(5):
            while ledger.unsettled:
                await asyncio.sleep(0.01)
    task.cancel()
    assert outlet.told == [("b", 10), ("u", 12)]
