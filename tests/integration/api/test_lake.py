"""The reader of the lake: one version an answer, whatever is committed or dropped."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from api import lake as lake_module
from api import questions
from api.lake import Lake
from api.requests import TradesQuery
from conf.errors import FixSetup, RetryLater
from conf.lake.roots import table_uri
from conf.lake.tables import TRADES
from tests.integration.api.markets import Market

NEWEST = questions.trades(TradesQuery())


@pytest.fixture
async def lake(market: Market) -> AsyncIterator[Lake]:
    lake = Lake(market.settings.lake.root)
    yield lake
    lake.close()


def uri(market: Market) -> str:
    return table_uri(market.settings.lake.root, TRADES)


async def test_an_answer_is_of_its_version_whatever_is_committed(
    market: Market, lake: Lake
):
    for second in range(5):
        market.trade({"at": second})
    await lake.refresh()
    before = lake.snapshots[TRADES.name]

    DeltaTable(uri(market)).optimize.compact()
    market.trade({"at": 9})
    await lake.refresh()
    after = lake.snapshots[TRADES.name]

    assert (before.version, after.version) == (5, 7)
    assert (len(before.files), len(after.files)) == (5, 2)
    assert len(await lake.ask(NEWEST, before)) == 5
    assert len(await lake.ask(NEWEST, after)) == 6


async def test_the_newest_rows_are_found_in_few_files(
    market: Market, lake: Lake, monkeypatch: pytest.MonkeyPatch
):
    for second in range(12):
        market.trade({"at": second, "trade_id": second})
    market.trade(
        {"at": 3, "symbol": "LATE", "trade_id": 99}, {"at": 20, "trade_id": 20}
    )
    await lake.refresh()
    monkeypatch.setattr(lake_module, "_FIRST_FILES", 2)
    opened: list[int] = []
    rows_of = lake_module.rows_of
    monkeypatch.setattr(
        lake_module, "rows_of", lambda t, f: opened.append(len(f)) or rows_of(t, f)
    )

    few = await lake.ask(
        questions.trades(TradesQuery(limit=1)), lake.snapshots[TRADES.name]
    )
    rare = await lake.ask(
        questions.trades(TradesQuery(symbol="LATE", limit=1)),
        lake.snapshots[TRADES.name],
    )

    assert [row["trade_id"] for row in few] == [20, 11]
    assert [row["trade_id"] for row in rare] == [99]
    assert opened == [2, 2, 8, 13]


async def test_a_dropped_day_is_asked_for_again(market: Market, lake: Lake):
    market.trade({"at": 0}, {"at": 86_400})
    await lake.refresh()
    old = lake.snapshots[TRADES.name]
    DeltaTable(uri(market)).delete("day = '2026-11-23'")
    shutil.rmtree(Path(uri(market)) / "day=2026-11-23")

    with pytest.raises(RetryLater, match=TRADES.name):
        await lake.ask(NEWEST, old)

    assert len(await lake.ask(NEWEST, lake.snapshots[TRADES.name])) == 1


async def test_a_slow_question_ends_and_holds_up_no_other(
    market: Market, lake: Lake, monkeypatch: pytest.MonkeyPatch
):
    market.trade({})
    await lake.refresh()
    snapshot = lake.snapshots[TRADES.name]
    slow = questions.Question(
        TRADES,
        "SELECT count(*) AS n FROM {rows} a, range(100_000_000) b, range(1000) c "
        "WHERE b.range * c.range % 7 = a.size LIMIT ?",
        (1,),
        1,
    )
    monkeypatch.setattr(lake_module, "_ANSWER_WITHIN_S", 1.0)
    before = threading.active_count()
    waiting = [asyncio.create_task(lake.ask(slow, snapshot)) for _ in range(3)]
    await asyncio.sleep(0)

    assert len(await lake.ask(NEWEST, snapshot)) == 1
    assert not any(task.done() for task in waiting)
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(answer) for answer in answers] == [RetryLater] * 3
    assert threading.active_count() - before < 12


async def test_a_table_that_is_made_anew_is_followed(market: Market, lake: Lake):
    market.trade({}, {"at": 1})
    await lake.refresh()
    shutil.rmtree(market.settings.lake.root)
    await lake.refresh()
    assert lake.version(TRADES.name) is None

    market.create()
    market.trade({})
    await lake.refresh()

    assert lake.version(TRADES.name) == 1
    assert lake.snapshots[TRADES.name].rows == 1


async def test_a_lake_elsewhere_is_refused():
    with pytest.raises(FixSetup, match="not a local folder"):
        Lake("s3a://bucket/lake")


async def test_only_the_last_days_of_statistics_count(market: Market, lake: Lake):
    week_s = timedelta(days=7).total_seconds()
    market.stats({"symbol": "GONE", "at": -week_s})
    market.stats({"symbol": "AAPL", "source_version": 2**60})
    await lake.refresh()

    version, rows = lake.newest_stats()

    assert version == 2
    assert [(row.symbol, row.source_version) for row in rows] == [("AAPL", str(2**60))]
