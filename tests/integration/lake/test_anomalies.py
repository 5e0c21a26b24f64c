"""Spikes among the trades of silver: each found once, whatever is run again."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.create import ensure_tables
from conf.lake.fence import open_fence
from conf.lake.streams import ignore_report
from conf.lake.tables import ANOMALIES, BARS, STATUSES, TRADES
from conf.market import wire
from gold.anomalies import QUERY, Anomalies
from gold.spikes import AFTER_HALT
from tests.integration.lake.layers import Layers, payload, rfc3339
from tests.integration.lake.scripted import Lake, Script, lineage

OPEN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SPIKES = {300: 150.0, 450: 60.0}


def prices() -> list[float]:
    steps = np.random.default_rng(1).normal(0, 0.01, 600)
    walk = np.round(100 + np.cumsum(steps), 2).tolist()
    return [SPIKES.get(place, price) for place, price in enumerate(walk)]


def market(open_time: datetime = OPEN) -> list[dict[str, Any]]:
    """Return trades of one symbol, a second apart, two of them far off."""
    script = Script(seed=1)
    fixed = {"symbol": "SPY", "conditions": ["@"]}
    for place, price in enumerate(prices()):
        moment = open_time + place * SECOND
        script.trade(moment, moment, price=price, **fixed)
    return script.trades


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(tmp_path)
    ensure_tables(lake.settings.root, [BARS, STATUSES, ANOMALIES])
    yield lake
    lake.fence.release()


@pytest.fixture
def driver(lake: Lake) -> Iterator["Drivers"]:
    drivers = Drivers(lake)
    yield drivers
    drivers.fence.release()


class Drivers:
    """Starts the query anew, as another driver would."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.fence = open_fence(lake.settings.root, "gold", 15)

    def start(self) -> Anomalies:
        committer = EmbeddedCommitter(self.lake.settings, self.fence)
        return Anomalies(self.lake.settings, committer, ignore_report)


def found(lake: Lake) -> dict[int, float]:
    """Return the price of each outlier by the number of its trade."""
    rows = lake.rows(ANOMALIES)
    assert len({row["event_id"] for row in rows}) == len(rows)
    return {int(row["event_id"].split("/")[1]): row["value"] for row in rows}


@pytest.mark.parametrize("cuts", [(0, 600), (0, 1, 299, 301, 450, 600)])
def test_spikes_are_found_however_the_trades_are_cut(lake, driver, cuts):
    trades, query = market(), driver.start()
    for first, end in pairwise(cuts):
        lake.append(TRADES, trades[first:end])
        query.look()
        query.look()

    assert found(lake) == SPIKES


def test_a_restarted_driver_knows_the_scales_and_repeats_nothing(lake, driver):
    trades = market()
    lake.append(TRADES, trades[:400])
    driver.start().look()
    lake.append(TRADES, trades[400:])
    driver.start().look()
    assert found(lake) == SPIKES

    stored = Path(lake.settings.checkpoints) / QUERY / "offsets.json"
    stored.unlink()
    driver.start().look()
    assert found(lake) == SPIKES


def test_a_driver_that_died_before_it_noted_how_far_it_read_reads_again(lake, driver):
    trades, query = market(), driver.start()
    lake.append(TRADES, trades[:200])
    query.look()
    stored = Path(lake.settings.checkpoints) / QUERY / "offsets.json"
    before = stored.read_text()
    lake.append(TRADES, trades[200:])
    query.look()
    stored.write_text(before)
    driver.start().look()

    assert found(lake) == SPIKES


def test_a_late_trade_of_another_symbol_hides_none_from_a_restarted_driver(
    lake, driver
):
    """The spike waits for its next trade, and the other's is earlier than both."""
    trades, others = market(), Script(seed=2)
    late = OPEN + 295 * SECOND
    others.trade(late, late, symbol="AAPL", price=7.0, conditions=["@"])
    lake.append(TRADES, trades[:301])
    driver.start().look()
    lake.append(TRADES, [*others.trades, *trades[301:]])
    driver.start().look()

    assert found(lake) == SPIKES


def test_what_is_backfilled_is_not_judged(lake, driver):
    trades = [trade | {"kind": "backfill"} for trade in market()]
    lake.append(TRADES, trades)
    driver.start().look()

    assert found(lake) == {}


def halt(moment: datetime) -> dict[str, Any]:
    status = {
        "event_time": moment,
        "event_time_ns": int(moment.timestamp() * 1e9),
        "symbol": "SPY",
        "channel": "status",
        "status_code": "H",
        "message_hash": 1,
        "day": moment.date(),
    }
    return status | lineage(moment)


def test_a_halt_becomes_context_as_soon_as_it_is_known(lake, driver):
    trades, query = market(), driver.start()
    lake.append(TRADES, trades[:300])
    query.look()
    lake.append(STATUSES, [halt(OPEN + 200.5 * SECOND)])
    lake.append(TRADES, trades[300:])
    query.look()

    (first, *_) = lake.rows(ANOMALIES)
    assert first["context"] == [AFTER_HALT]


def test_the_last_trade_of_a_week_is_judged_by_what_was_known_then(lake, driver):
    friday = OPEN - timedelta(days=3)
    lake.append(TRADES, market(friday)[:301])
    lake.append(STATUSES, [halt(friday + 200.5 * SECOND)])
    query = driver.start()
    query.look()
    lake.append(TRADES, market()[:1])
    query.look()

    (row,) = lake.rows(ANOMALIES)
    assert (row["value"], row["context"]) == (SPIKES[300], [AFTER_HALT])


def built_bars(count: int) -> list[dict[str, Any]]:
    """Return minutes of our own, the 150th of them with far too many shares."""
    random = np.random.default_rng(3)
    closes = np.round(100 * np.exp(np.cumsum(random.normal(0, 5e-4, count))), 2)
    rows = []
    for place, close in enumerate(closes.tolist()):
        start = OPEN + 60 * place * SECOND
        volume = int(random.lognormal(8, 0.4)) * (100 if place == 150 else 1)
        rows.append(
            {
                "window_start": start,
                "symbol": "SPY",
                "bar_length_s": 60,
                "source": "trades",
                "revision": 0,
                "window_end": start + 60 * SECOND,
                "open": close,
                "high": round(close * 1.0005, 2),
                "low": round(close * 0.9995, 2),
                "close": close,
                "volume": volume,
                "known_time": start + 61.5 * SECOND,
                "day": start.date(),
            }
        )
    return rows


def test_odd_bars_are_found_once_by_any_driver(lake, driver):
    bars = built_bars(200)
    query = driver.start()
    lake.append(BARS, bars[:100])
    query.look()
    # A later revision and Alpaca's bar are no bars of their own.
    others = [bars[99] | {"revision": 1}, bars[99] | {"source": "alpaca"}]
    lake.append(BARS, [*others, *bars[100:140]])
    driver.start().look()
    lake.append(BARS, bars[140:])
    for _ in range(2):
        driver.start().look()

    (row,) = lake.rows(ANOMALIES)
    assert (row["method"], row["event_time"]) == ("lof", bars[150]["window_start"])
    assert row["context"] == ["odd_volume"]


@pytest.mark.spark
def test_sparks_engine_writes_them_once_too(spark: SparkSession, tmp_path: Path):
    lake = Layers(spark, tmp_path, "spark")
    trades = [
        wire.Trade("SPY", n, "V", price, 10, rfc3339(OPEN + n * SECOND), ["@"])
        for n, price in enumerate(prices())
    ]
    lake.land(payload(OPEN + 600 * SECOND, *trades))
    lake.run_silver()
    lake.run_anomalies()
    lake.delete_checkpoint(QUERY)
    lake.run_anomalies()
    lake.release()

    assert sorted(row["value"] for row in lake.rows(ANOMALIES)) == sorted(
        SPIKES.values()
    )
