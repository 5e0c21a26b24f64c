"""Bronze to silver to gold: every message once, whatever is run again.

Long because its tests share one finished lake, which takes Spark longest to make.
"""

import random
import shutil
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

import gold.job
from conf.lake.read import connect
from conf.lake.tables import (
    BARS,
    CORRECTIONS,
    GAPS,
    ORDERS,
    QUOTES,
    REJECTS,
    STATUSES,
    SYMBOL_STATS,
    TRADES,
)
from conf.market import wire
from producer.relay import HEARTBEAT_KEY
from tests.integration.lake.layers import Layers, payload, rfc3339

pytestmark = pytest.mark.spark

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
SYMBOLS = ("AAPL", "BRK.B", "SPY")
PRICES = (1, 10, 126.55, 1_234.5, 600_000)


@dataclass
class Market:
    """Trades as a seeded market makes them, and the record of what it made."""

    seed: int
    trades: list[wire.Trade] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def trade(self, moment: datetime, **fields: Any) -> wire.Trade:
        """Make a trade at a price with at most four decimals."""
        is_official = self._random.random() < 0.1
        made: dict[str, Any] = {
            "symbol": self._random.choice(SYMBOLS),
            "trade_id": len(self.trades) + self.seed * 1_000,
            "exchange": "V",
            "price": round(self._random.choice(PRICES) * self._random.random(), 4),
            "size": self._random.randrange(1_000),
            "event_time": rfc3339(moment),
            "conditions": ["M"] if is_official else ["@", "I"],
        }
        self.trades.append(wire.Trade(**{**made, **fields}))
        return self.trades[-1]

    def minutes(self, start: datetime, minutes: int) -> Iterator[bytes]:
        """Yield one record for each ten seconds from ``start``."""
        for tick in range(minutes * 6):
            clock = start + timedelta(seconds=10 * tick)
            moments = (clock - timedelta(seconds=s) for s in (3, 2, 1))
            yield payload(clock, *(self.trade(moment) for moment in moments))


def recount(trades: Iterable[wire.Trade]) -> dict[tuple[str, datetime], dict[str, Any]]:
    """Return the windows of trades by the book: exact fractions, no batches."""
    windows = defaultdict[tuple[str, datetime], list[wire.Trade]](list)
    for trade in trades:
        moment = datetime.fromisoformat(trade.event_time)
        if trade.conditions != ["M"]:
            minute = moment.replace(second=0, microsecond=0)
            windows[(trade.symbol, minute)].append(trade)
    return {key: summed(window) for key, window in windows.items()}


def summed(trades: list[wire.Trade]) -> dict[str, Any]:
    prices = [Fraction(round(trade.price * 1_000_000), 1_000_000) for trade in trades]
    variance = statistics.variance(prices) if len(prices) > 1 else None
    return {
        "trade_count": len(trades),
        "volume": sum(trade.size for trade in trades),
        "price_min": float(min(prices)),
        "price_max": float(max(prices)),
        "price_mean": pytest.approx(float(statistics.mean(prices)), rel=1e-12),
        "price_variance": variance and pytest.approx(float(variance), rel=1e-12),
        "price_sum_e6": sum(prices) * 10**6,
        "price_sum_squares_e12": sum(price**2 for price in prices) * 10**12,
        "price_buckets": buckets([int(price * 10**6) for price in prices]),
    }


def buckets(prices_e6: list[int]) -> list[dict[str, int]]:
    """Count prices by range: a twentieth of a percent of a power of ten, or a cent."""
    counted = Counter[tuple[int, int]]()
    for price in prices_e6:
        width = max(10 ** (len(str(price)) - 1) // 2_000, 10_000)
        low = price // width * width
        counted[(low, low + width)] += 1
    return [
        {"low_e6": low, "high_e6": high, "trade_count": number}
        for (low, high), number in sorted(counted.items())
    ]


def stats_of(layers: Layers) -> dict[tuple[str, datetime], dict[str, Any]]:
    names = list(summed([wire.Trade("X", 1, "V", 1.0, 1, rfc3339(MIDNIGHT))]))
    rows = minutes_of(layers)
    found = {
        (row["symbol"], row["window_start"]): {name: row[name] for name in names}
        for row in rows
    }
    assert len(found) == len(rows), "a key is there twice"
    return found


def minutes_of(layers: Layers) -> list[dict[str, Any]]:
    return [row for row in layers.rows(SYMBOL_STATS) if row["window_length_s"] == 60]


def sliding_of(layers: Layers) -> dict[tuple[str, datetime, int], dict[str, Any]]:
    return {
        (row["symbol"], row["window_end"], row["window_length_s"]): row
        for row in layers.rows(SYMBOL_STATS)
        if row["window_length_s"] != 60
    }


def slid(layers: Layers) -> dict[tuple[str, datetime, int], tuple[Any, ...]]:
    """Return count, shares, extremes and sum of each sliding window, by the book."""
    minutes = minutes_of(layers)
    newest_end = max(row["window_end"] for row in minutes)
    windows = defaultdict[tuple[str, datetime, int], list[dict[str, Any]]](list)
    for row in minutes:
        for length_s in (300, 900, 3_600):
            for later in range(length_s // 60):
                end = row["window_end"] + timedelta(minutes=later)
                if end <= newest_end:
                    windows[(row["symbol"], end, length_s)].append(row)
    return {
        key: (
            sum(row["trade_count"] for row in rows),
            sum(row["volume"] for row in rows),
            min((row["price_min"] for row in rows if row["trade_count"]), default=None),
            max((row["price_max"] for row in rows if row["trade_count"]), default=None),
            sum(row["price_sum_e6"] for row in rows),
            sum(row["correction_count"] for row in rows),
        )
        for key, rows in windows.items()
    }


SLID = [
    "trade_count",
    "volume",
    "price_min",
    "price_max",
    "price_sum_e6",
    "correction_count",
]


def trade_ids(layers: Layers) -> list[int]:
    return sorted(row["trade_id"] for row in layers.rows(TRADES))


QUOTE = wire.Quote("AMD", "U", 87.66, 1, "Q", 87.68, 4, rfc3339(MIDNIGHT))
BAR = wire.Bar("SPY", 9.0, 9.5, 8.5, 9.25, 49, rfc3339(MIDNIGHT - timedelta(hours=1)))
HALT = wire.Status("SPY", "H", "Trading Halt", "T1", "News", rfc3339(MIDNIGHT))
ORDER = (
    b'{"stream":"trade_updates","data":{"event":"new","timestamp":'
    b'"2026-11-23T23:59:59Z","order":{"id":"o1","symbol":"SPY","status":"new"}}}'
)
GAP = (
    b'{"T":"gap","S":"AAPL","t":"2026-11-23T23:59:59Z","gap_id":"e0/trades/AAPL",'
    b'"state":"opened","channel":"trades","cause":"cut","from":"2026-11-23T23:59:00Z"}'
)


@pytest.fixture(scope="module", params=["embedded", "spark"])
def finished(
    request: pytest.FixtureRequest,
    spark: SparkSession,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Layers, Market]]:
    """A lake that has taken three minutes around midnight UTC, with each engine."""
    market = Market(seed=1)
    lake = Layers(spark, tmp_path_factory.mktemp("finished"), request.param)
    hot = list(market.minutes(MIDNIGHT - timedelta(minutes=2), minutes=3))
    late = market.trade(MIDNIGHT - timedelta(hours=6), conditions=["@"])
    lake.land(*hot[:9], payload(MIDNIGHT, QUOTE, BAR))
    #  a retried entry stores a record twice; a reconnect sends its messages again
    lake.land(hot[0], *hot[6:], payload(MIDNIGHT, QUOTE, market.trades[0]))
    lake.land(payload(MIDNIGHT, late, market.trades[1], late=True))
    lake.run_silver()
    lake.run_gold()
    yield lake, market
    lake.release()


@pytest.fixture
def again(
    finished: tuple[Layers, Market], tmp_path: Path
) -> Iterator[tuple[Layers, Market]]:
    """A copy of the finished lake, to go on with."""
    lake, market = finished
    copied = lake.copy(tmp_path / "again")
    yield copied, Market(seed=market.seed + 1, trades=list(market.trades))
    copied.release()


def test_every_message_is_in_silver_once_and_in_gold_counted_once(finished):
    lake, market = finished

    assert trade_ids(lake) == sorted(trade.trade_id for trade in market.trades)
    assert [row["bid_price"] for row in lake.rows(QUOTES)] == [87.66]
    assert [row["close"] for row in lake.rows(BARS)] == [9.25]
    assert lake.rows(REJECTS) == []
    assert stats_of(lake) == recount(market.trades)


def test_a_window_is_final_once_the_market_clock_has_passed_it(finished):
    lake, market = finished
    last = max(datetime.fromisoformat(trade.event_time) for trade in market.trades)

    assert {row["window_start"]: row["is_final"] for row in minutes_of(lake)} == {
        start: start + timedelta(seconds=60) < last
        for _, start in recount(market.trades)
    }


def test_rare_messages_are_stored_once_and_corrections_find_their_trades(again):
    lake, market = again
    sold = market.trades[3]
    late = market.trade(MIDNIGHT - timedelta(hours=2), conditions=["@"])
    rare = payload(MIDNIGHT, cancel_of(sold), cancel_of(late), HALT)
    gap = payload(MIDNIGHT, GAP, kind="gap")
    order = payload(MIDNIGHT, ORDER, source="test/trade_updates")
    lake.land(rare, gap, order)
    lake.land(rare, gap, order)
    lake.run_silver()
    assert states_of(lake) == {sold.trade_id: "matched", late.trade_id: "pending"}

    lake.land(payload(MIDNIGHT, late, late=True))
    lake.delete_checkpoint("silver", "silver_late")
    lake.run_silver()
    assert states_of(lake) == {sold.trade_id: "matched", late.trade_id: "matched"}
    assert len(lake.rows(CORRECTIONS)) == 4
    assert [row["status_code"] for row in lake.rows(STATUSES)] == ["H"]
    assert [row["order_id"] for row in lake.rows(ORDERS)] == ["o1"]
    assert [row["gap_id"] for row in lake.rows(GAPS)] == ["e0/trades/AAPL"]
    assert lake.rows(REJECTS) == []


def test_corrected_trades_change_their_minutes_and_sliding_windows(again):
    lake, market = again
    #  the high of the open minute is taken away, and the minute goes on
    moment = MIDNIGHT + timedelta(seconds=2)
    high = market.trade(moment, price=900_000.5, size=7, conditions=["@"])
    early = next(trade for trade in market.trades if trade.conditions != ["M"])
    corrected = wire.Correction(
        **{f"original_{name}": getattr(early, name) for name in ("price", "size")},
        symbol=early.symbol,
        exchange=early.exchange,
        original_id=early.trade_id,
        original_conditions=early.conditions,
        corrected_id=77,
        corrected_price=3.25,
        corrected_size=11,
        corrected_conditions=["@"],
        event_time=rfc3339(MIDNIGHT),
    )
    lake.land(payload(MIDNIGHT, high, corrected))
    lake.land(payload(MIDNIGHT, cancel_of(high)))
    lake.run_silver()
    lake.run_gold()
    lake.land(*market.minutes(MIDNIGHT, minutes=2))
    lake.run_silver()
    lake.run_gold()

    market.trades.remove(high)
    place = market.trades.index(early)
    market.trades[place] = wire.Trade(
        **{"symbol": early.symbol, "exchange": early.exchange, "trade_id": 77},
        price=3.25,
        size=11,
        event_time=early.event_time,
        conditions=["@"],
    )
    assert stats_of(lake) == recount(market.trades)
    assert sum(row["correction_count"] for row in minutes_of(lake)) == 2

    #  a new checkpoint counts reported trades again, and then what corrects them
    lake.delete_checkpoint("gold")
    lake.run_gold()
    assert stats_of(lake) == recount(market.trades)
    assert {
        key: tuple(row[name] for name in SLID) for key, row in sliding_of(lake).items()
    } == slid(lake)


def test_sliding_windows_are_the_sums_of_their_minutes(finished):
    lake, _ = finished
    found = sliding_of(lake)

    assert {
        key: tuple(row[name] for name in SLID) for key, row in found.items()
    } == slid(lake)
    final = {row["window_end"]: row["is_final"] for row in minutes_of(lake)}
    newest = max(final)
    assert all(row["is_final"] == (end != newest) for (_, end, _), row in found.items())


def states_of(lake: Layers) -> dict[int, str]:
    with connect(lake.chosen.lake.root) as tables:
        found = tables.sql(
            "SELECT trade_id, match_state, trade_event_time_ns"
            " FROM silver.corrections_current"
        ).fetchall()
    assert all((state == "matched") == (time is not None) for _, state, time in found)
    return {trade_id: state for trade_id, state, _ in found}


def cancel_of(trade: wire.Trade) -> wire.CancelError:
    return wire.CancelError(
        symbol=trade.symbol,
        trade_id=trade.trade_id,
        exchange=trade.exchange,
        price=trade.price,
        size=trade.size,
        action="C",
        event_time=rfc3339(MIDNIGHT - timedelta(seconds=1)),
    )


def test_silver_adds_nothing_when_its_checkpoints_are_deleted(again):
    lake, _ = again
    before = lake.rows(TRADES)
    lake.delete_checkpoint("silver", "silver_late")
    lake.run_silver()

    assert sorted(lake.rows(TRADES), key=str) == sorted(before, key=str)
    assert len(lake.rows(QUOTES)) == len(lake.rows(BARS)) == 1


def test_gold_counts_nothing_twice_when_its_checkpoint_is_deleted(again):
    lake, market = again
    #  the second deletion finds silver at the version of the first
    for _ in range(2):
        lake.delete_checkpoint("gold")
        lake.run_gold()
    assert stats_of(lake) == recount(market.trades)

    lake.delete_checkpoint("gold")
    late = market.trade(MIDNIGHT - timedelta(hours=6), conditions=["@"])
    lake.land(*market.minutes(MIDNIGHT, minutes=1), payload(MIDNIGHT, late, late=True))
    lake.run_silver()
    lake.run_gold()
    assert stats_of(lake) == recount(market.trades)


@pytest.mark.parametrize("newest", ["dropped", "compacted"])
def test_gold_recounts_what_is_left_when_the_newest_commit_added_nothing(again, newest):
    lake, market = again
    trades = DeltaTable(f"{lake.chosen.lake.root}/silver/trades")
    before, day = stats_of(lake), MIDNIGHT.date() - timedelta(days=1)
    if newest == "dropped":
        trades.delete(f"day = '{day}'")
        shutil.rmtree(Path(trades.table_uri.removeprefix("file://")) / f"day={day}")
    else:
        trades.optimize.compact()
        trades.vacuum(0, dry_run=False, enforce_retention_duration=False)
    lake.delete_checkpoint("gold")
    lake.run_gold()
    assert stats_of(lake) == before

    lake.land(*market.minutes(MIDNIGHT + timedelta(minutes=1), minutes=1))
    lake.run_silver()
    lake.run_gold()
    assert stats_of(lake) == recount(market.trades)


def test_the_market_clock_closes_a_window_when_no_trade_does(
    spark: SparkSession, tmp_path: Path
):
    #  clock of a replay: the trade's, then a heartbeat's 61 s later
    lake, market = Layers(spark, tmp_path, "embedded"), Market(seed=4)
    lake.land(payload(MIDNIGHT, market.trade(MIDNIGHT, conditions=["@"])))
    lake.run_silver()
    gold_query = gold.job.start(spark, lake.chosen)
    gold_query.processAllAvailable()
    (row,) = minutes_of(lake)
    assert not row["is_final"]

    for seconds in (61, 62):
        clock = MIDNIGHT + timedelta(seconds=seconds)
        lake.land(payload(clock, b"{}", kind="heartbeat"), key=HEARTBEAT_KEY)
    deadline = time.monotonic() + 20
    while not row["is_final"] and time.monotonic() < deadline:
        (row,) = minutes_of(lake)
    gold.job.finish(gold_query)
    lake.release()

    assert row["is_final"]
    assert row["trade_count"] == 1


def test_the_last_window_of_a_day_becomes_final_on_the_next(
    spark: SparkSession, tmp_path: Path
):
    lake, market = Layers(spark, tmp_path, "embedded"), Market(seed=3)
    for tick in (-1, 10):
        clock = MIDNIGHT + timedelta(seconds=tick)
        lake.land(payload(clock, market.trade(clock, conditions=["@"])))
        lake.run_silver()
        lake.run_gold()
    lake.release()

    final = {row["window_start"]: row["is_final"] for row in minutes_of(lake)}
    assert final == {MIDNIGHT - timedelta(minutes=1): True, MIDNIGHT: False}
