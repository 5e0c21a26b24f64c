"""Which windows are open, and when the market clock closes them."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.lake.commit import Transaction
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.create import ensure_tables
from conf.lake.fence import Fence
from conf.lake.market_clock import MarketClock
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.streams import Position
from conf.lake.tables import RECORDS, SYMBOL_STATS
from conf.market.envelope import Kind
from conf.settings import LakeSettings
from gold.symbol_stats import GRACE
from gold.windows import Counted, OnCommit, Windows, ignore_rows
from producer.relay import HEARTBEAT_KEY
from tests.integration.lake.layers import payload

MINUTE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
END = MINUTE + timedelta(minutes=1)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 12, 24, 18, 0, tzinfo=UTC)


def partial(start: datetime, clock: datetime, symbol: str = "AAPL") -> dict[str, Any]:
    return {
        "symbol": symbol,
        "window_start": start,
        "low_e6": 1_000_000,
        "high_e6": 1_010_000,
        "trade_count": 1,
        "volume": 100,
        "price_min": 1.0,
        "price_max": 1.0,
        "sum_e6": Decimal(10**6),
        "sum_squares_e12": Decimal(10**12),
        "market_time": clock,
    }


class Table:
    """The table, its writer, and a driver that can start anew."""

    def __init__(self, root: Path) -> None:
        self.lake = LakeSettings(root=str(root / "lake"))
        ensure_tables(self.lake.root, [RECORDS, SYMBOL_STATS])
        self.fence = Fence(root / "lease.json", 60, lambda _: None)
        self.fence.acquire()
        self._batch = 0
        self.start_anew()

    def start_anew(self, on_commit: OnCommit = ignore_rows) -> None:
        committer = EmbeddedCommitter(self.lake, self.fence)
        self.windows = Windows(self.lake.root, committer, on_commit=on_commit)

    def add(self, *partials: dict[str, Any], again: bool = False) -> None:
        self._batch += not again
        position = Position(self._batch, is_whole=True)
        self.windows.add(partials, position, Transaction("gold", self._batch))

    def final(self) -> dict[tuple[str, datetime], bool]:
        rows = scan(self.lake.root, SYMBOL_STATS).to_pylist()
        return {(row["symbol"], row["window_start"]): row["is_final"] for row in rows}

    def counts(self) -> dict[tuple[str, datetime], int]:
        rows = scan(self.lake.root, SYMBOL_STATS).to_pylist()
        return {
            (row["symbol"], row["window_start"]): row["trade_count"] for row in rows
        }

    def version(self) -> int:
        return DeltaTable(table_uri(self.lake.root, SYMBOL_STATS)).version()

    def land(self, kind: Kind, clock: datetime, arrival: datetime, key: str) -> None:
        row = {
            "arrival_time": arrival,
            "shard_id": "s",
            "sequence_number": "1",
            "partition_key": key,
            "ingest_time": arrival,
            "data": payload(clock, b"{}", kind=kind),
            "day": arrival.date(),
        }
        rows = pa.Table.from_pylist([row], schema=RECORDS.schema)
        write_deltalake(table_uri(self.lake.root, RECORDS), rows, mode="append")


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    opened = Table(tmp_path)
    yield opened
    opened.fence.release()


def test_the_clock_closes_every_symbol_of_a_window_that_it_has_passed(table: Table):
    table.add(partial(MINUTE, MINUTE), partial(MINUTE, MINUTE, "SPY"))
    table.add(partial(END, END))

    table.windows.close(END + GRACE - timedelta(microseconds=1))
    assert not any(table.final().values())

    table.windows.close(END + GRACE)
    assert table.final() == {
        ("AAPL", MINUTE): True,
        ("SPY", MINUTE): True,
        ("AAPL", END): False,
    }


def test_a_trade_after_a_long_pause_closes_the_window_before_it(table: Table):
    table.add(partial(MINUTE, MINUTE))
    table.add(partial(MINUTE + HOUR, MINUTE + HOUR, "SPY"))

    assert table.final() == {("AAPL", MINUTE): True, ("SPY", MINUTE + HOUR): False}


def test_a_window_that_was_open_when_the_driver_ended_is_closed_by_the_next(
    table: Table,
):
    table.add(partial(MINUTE, MINUTE))
    table.start_anew()
    table.windows.close(END + HOUR)

    assert table.final() == {("AAPL", MINUTE): True}


def test_a_closed_window_keeps_its_numbers_and_its_source(table: Table):
    table.add(partial(MINUTE, MINUTE), partial(MINUTE, MINUTE))
    (before,) = scan(table.lake.root, SYMBOL_STATS).to_pylist()
    table.windows.close(END + HOUR)
    (after,) = scan(table.lake.root, SYMBOL_STATS).to_pylist()

    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"is_final", "updated_time"}


def test_a_batch_that_a_restart_repeats_is_neither_counted_nor_told_again(
    table: Table,
):
    heard = list[pa.Table]()
    table.add(partial(MINUTE, MINUTE))
    table.start_anew(heard.append)
    table.add(partial(MINUTE, MINUTE), again=True)
    assert not heard

    table.add(partial(MINUTE, MINUTE))
    assert table.counts() == {("AAPL", MINUTE): 2}


def test_no_count_is_lost_between_what_is_held_and_what_is_read(table: Table):
    """Some trades come minutes late; the driver starts anew, minutes close."""
    chance = random.Random(7)
    sent = Counter[tuple[str, datetime]]()
    for batch in range(40):
        now = MINUTE + timedelta(seconds=30 * batch)
        late = chance.choice([0, 0, 1, 1, 2, 12])
        start = now.replace(second=0) - timedelta(minutes=late)
        for symbol in chance.sample(["AAPL", "SPY", "QQQ"], 2):
            table.add(partial(start, now, symbol))
            sent[symbol, start] += 1
        if chance.random() < 0.2:
            table.windows.close(now + GRACE)
        if chance.random() < 0.1:
            table.start_anew()

    assert table.counts() == dict(sent)


def test_whoever_listens_gets_the_rows_of_each_commit_after_it(table: Table):
    heard = list[tuple[pa.Table, int]]()
    table.start_anew(lambda rows: heard.append((rows, table.version())))
    table.add(partial(MINUTE, MINUTE))
    table.windows.close(END + HOUR)
    table.windows.close(END + 2 * HOUR)

    assert [(rows["is_final"].to_pylist(), version) for rows, version in heard] == [
        ([False], 1),
        ([True], 2),
    ]


def test_closing_again_writes_nothing(table: Table):
    table.add(partial(MINUTE, MINUTE))
    table.windows.close(END + HOUR)
    (before,) = scan(table.lake.root, SYMBOL_STATS).to_pylist()
    table.windows.close(END + 2 * HOUR)
    (after,) = scan(table.lake.root, SYMBOL_STATS).to_pylist()

    assert after == before


def test_two_closings_are_two_transactions(table: Table):
    for hours in (0, 1, 2):
        table.add(partial(MINUTE + hours * HOUR, MINUTE))
    for hours in (0, 1, 2):
        table.windows.close(END + GRACE + hours * HOUR)
        assert sum(table.final().values()) == hours + 1


def test_what_is_added_while_a_window_is_counted_anew_is_not_lost(table: Table):
    table.add(partial(MINUTE, MINUTE), partial(MINUTE, MINUTE, "SPY"))

    def count(version: int) -> Counted:
        assert version == 1
        table.add(partial(MINUTE, MINUTE), partial(MINUTE, MINUTE, "SPY"))
        return Counted([partial(MINUTE, MINUTE)] * 5, {("AAPL", MINUTE): 3})

    assert table.windows.restate(count) == 1
    table.add(partial(MINUTE, MINUTE))
    rows = {
        row["symbol"]: row for row in scan(table.lake.root, SYMBOL_STATS).to_pylist()
    }
    assert rows["AAPL"]["trade_count"] == 5 + 1 + 1
    assert rows["AAPL"]["correction_count"] == 3
    assert rows["AAPL"]["source_version"] == 3
    assert rows["SPY"]["trade_count"] == 2


def test_a_window_without_a_trade_left_keeps_its_row(table: Table):
    table.add(partial(MINUTE, END + GRACE))
    table.windows.restate(lambda _: Counted([], {("AAPL", MINUTE): 1}))
    (row,) = scan(table.lake.root, SYMBOL_STATS).to_pylist()
    assert (row["trade_count"], row["price_min"], row["is_final"]) == (0, None, True)

    table.add(partial(MINUTE, END + GRACE))
    (row,) = scan(table.lake.root, SYMBOL_STATS).to_pylist()
    assert (row["trade_count"], row["price_min"]) == (1, 1.0)


def test_nothing_is_counted_anew_while_a_version_is_half_read(table: Table):
    half = Position(1, is_whole=False)
    table.windows.add([partial(MINUTE, MINUTE)], half, Transaction("gold", 1))

    assert table.windows.restate(lambda _: pytest.fail("counted")) == 0


def test_the_clock_is_awaited_only_while_a_window_is_open(table: Table, monkeypatch):
    monkeypatch.setattr("gold.windows.QUIET_S", 0.0)
    assert not table.windows.await_clock()
    table.add(partial(MINUTE, MINUTE))
    assert table.windows.await_clock()
    table.windows.close(END + HOUR)
    assert not table.windows.await_clock()


def test_the_newest_heartbeat_tells_the_market_clock(table: Table):
    clock = MarketClock(table.lake.root)
    assert clock.read(NOW) is None

    table.land("heartbeat", END, NOW - timedelta(seconds=2), HEARTBEAT_KEY)
    table.land("heartbeat", END + GRACE, NOW - timedelta(seconds=1), HEARTBEAT_KEY)
    table.land("data", END + HOUR, NOW, "AAPL")
    assert clock.read(NOW) == END + GRACE


def test_an_old_heartbeat_is_no_clock(table: Table):
    table.land("heartbeat", END, NOW - timedelta(minutes=1), HEARTBEAT_KEY)

    assert MarketClock(table.lake.root).read(NOW) is None
