"""How long trades took, from the commits that brought them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.lake.commit import Transaction
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.create import ensure_tables
from conf.lake.fence import Fence
from conf.lake.log import files_of, read_commit
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.streams import Position
from conf.lake.tables import LATENCY, SYMBOL_STATS, TRADES
from conf.settings import LakeSettings
from gold.latency import SETTLED_AFTER, Latency
from gold.windows import Windows
from tests.unit.conf.lake.rows import trades

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOPS = ("receive", "arrival", "bronze", "silver", "gold")


class Lake:
    """Trades that took 1, 2 and 3 seconds to Spark, and who measures them."""

    def __init__(self, root: Path) -> None:
        self.chosen = LakeSettings(root=str(root / "lake"))
        ensure_tables(self.chosen.root, [TRADES, SYMBOL_STATS, LATENCY])
        self.fence = Fence(root / "lease.json", 60, lambda _: None)
        self.fence.acquire()
        self.start_anew()

    def start_anew(self) -> None:
        committer = EmbeddedCommitter(self.chosen, self.fence)
        self.windows = Windows(self.chosen.root, committer)
        self.latency = Latency(self.chosen.root, committer, self.windows)

    def land(self, count: int, **fields: object) -> datetime:
        """Commit trades and return when the commit was made."""
        rows = trades(*(NOON + timedelta(seconds=n) for n in range(count))).to_pylist()
        for row in rows:
            receive_time = row["event_time"] + timedelta(seconds=1)
            row.update(
                market_time=receive_time,
                receive_time=receive_time,
                arrival_time=receive_time + timedelta(seconds=2),
                ingest_time=receive_time + timedelta(seconds=5),
                **fields,
            )
        table = pa.Table.from_pylist(rows, schema=TRADES.schema)
        write_deltalake(table_uri(self.chosen.root, TRADES), table, mode="append")
        files = files_of(table_uri(self.chosen.root, TRADES))
        return read_commit(files, self.trades().version()).time

    def trades(self) -> DeltaTable:
        return DeltaTable(table_uri(self.chosen.root, TRADES))

    def take(self) -> None:
        """Let gold take all trades that there are."""
        position = Position(self.trades().version(), is_whole=True)
        self.windows.add([], position, Transaction("gold", position.version))

    def rows(self) -> dict[str, dict[str, Any]]:
        found = scan(self.chosen.root, LATENCY).to_pylist()
        return {row["hop"]: row for row in found}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    opened = Lake(tmp_path)
    yield opened
    opened.fence.release()


def settled(moment: datetime) -> datetime:
    minute = moment.replace(second=0, microsecond=0)
    return minute + timedelta(minutes=1) + SETTLED_AFTER


def test_a_minute_is_measured_once_it_has_settled(lake: Lake):
    lake.take()
    committed = lake.land(3, kind="data")
    lake.land(1, kind="backfill")
    lake.take()

    assert lake.latency.measure(settled(committed) - timedelta(seconds=1)) == 0
    assert lake.latency.measure(settled(committed)) == len(HOPS)
    rows = lake.rows()
    assert set(rows) == set(HOPS)
    assert {row["trade_count"] for row in rows.values()} == {3}
    assert [rows[hop]["p50_s"] for hop in HOPS[:3]] == [1.0, 2.0, 3.0]
    waited = (committed - NOON).total_seconds() - 1 - 6
    assert rows["silver"]["p50_s"] == pytest.approx(waited, abs=0.002)
    assert 0 <= rows["gold"]["max_s"] < 10


def test_another_driver_measures_nothing_twice_and_knows_no_gold(lake: Lake):
    committed = lake.land(3, kind="data")
    lake.start_anew()
    assert lake.latency.measure(settled(committed)) == len(HOPS) - 1
    lake.start_anew()
    assert lake.latency.measure(settled(committed)) == 0


def test_files_that_were_dropped_meanwhile_are_left_out(lake: Lake):
    lake.land(2, kind="data")
    for file in Path(table_uri(lake.chosen.root, TRADES)).glob("day=*/*.parquet"):
        file.unlink()
    committed = lake.land(3, kind="data")

    lake.latency.measure(settled(committed))
    rows = lake.rows()
    assert {rows[hop]["trade_count"] for hop in HOPS[:4]} == {3}


def test_nothing_new_writes_nothing(lake: Lake):
    assert lake.latency.measure(datetime.now(UTC)) == 0
