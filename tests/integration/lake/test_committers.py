"""The three verbs do the same with either engine, on real Delta tables."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.errors import Fenced
from conf.lake.commit import Transaction, Written
from conf.lake.create import ensure_tables
from conf.lake.engine import open_committer
from conf.lake.fence import Fence
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.spark_schema import spark_schema
from conf.lake.streams import read_stream
from conf.lake.tables import REJECTS, SYMBOL_STATS, TRADES, TableContract
from conf.settings import LakeSettings
from gold.symbol_stats import fold
from tests.unit.conf.lake.rows import reject, trades

pytestmark = pytest.mark.spark

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


class Writer:
    """A driver that computes its batches with Spark and commits them."""

    def __init__(self, spark: SparkSession, lake: LakeSettings, leases: Path) -> None:
        ensure_tables(lake.root, [TRADES, REJECTS, SYMBOL_STATS])
        self.fence = Fence(leases, 60, lambda _: None)
        self.fence.acquire()
        self.lake, self.spark = lake, spark
        self.committer = open_committer(lake, self.fence)

    def write(
        self, verb: str, contract: TableContract, rows: pa.Table, version: int
    ) -> Written:
        """Commit rows as batch ``version`` of one query."""
        once = Transaction(f"{contract.name}/{verb}", version)
        with self.committer.hold(self.messages(contract, rows)) as held:
            commit: Callable[..., Written] = getattr(self.committer, verb)
            return commit(contract, held.rows_of(contract), once)

    def upsert(self, rows: pa.Table, version: int) -> Written:
        once = Transaction("upsert", version)
        with self.committer.hold(self.messages(REJECTS, reject())):
            return self.committer.upsert(SYMBOL_STATS, rows, once)

    def rows(self, contract: TableContract) -> list[dict[str, Any]]:
        """Return the table's rows in the order of their keys."""
        found = scan(self.lake.root, contract).to_pylist()
        return sorted(found, key=lambda row: [row[name] for name in contract.key])

    def table(self, contract: TableContract) -> DeltaTable:
        return DeltaTable(table_uri(self.lake.root, contract))

    def messages(self, contract: TableContract, rows: pa.Table) -> DataFrame:
        frame = self.spark.createDataFrame(rows, spark_schema(contract))
        row = F.array(F.struct(*contract.column_names))
        named = row.alias(contract.name.split(".")[1])
        return frame.select(F.lit(contract.name).alias("table"), named)


def stats(*windows: tuple[datetime, list[int]], version: int = 1) -> pa.Table:
    """Return the rows of windows, given each one's prices in 1e-6 USD."""
    partials = [
        {
            "symbol": "AAPL",
            "window_start": start,
            "low_e6": price - price % 10_000,
            "high_e6": price - price % 10_000 + 10_000,
            "trade_count": 1,
            "volume": 100,
            "price_min": price / 1e6,
            "price_max": price / 1e6,
            "sum_e6": Decimal(price),
            "sum_squares_e12": Decimal(price * price),
            "market_time": start,
        }
        for start, prices in windows
        for price in prices
    ]
    return fold([], partials, source_version=version, updated_time=NOON)


@pytest.fixture(params=["embedded", "spark"])
def writer(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path
) -> Iterator[Writer]:
    """A driver of an empty lake; it compacts at each second commit to a table."""
    lake = LakeSettings(
        root=str(tmp_path / "lake"), engine=request.param, compact_every=2
    )
    opened = Writer(spark, lake, tmp_path / "lease.json")
    yield opened
    opened.fence.release()


class TestCommitters:
    def test_of_the_copies_of_an_event_a_batch_holds_one(self, writer):
        copies = pa.concat_tables([trades(NOON), trades(NOON, MIDNIGHT)])
        messages = writer.messages(TRADES, copies).select(
            "*", F.get("trades", F.lit(0)).getField("trade_id").alias("key")
        )
        with writer.committer.hold(messages, one_per=("table", "key")) as held:
            once = Transaction("copies", 1)
            writer.committer.append(TRADES, held.rows_of(TRADES), once)

        assert [row["trade_id"] for row in writer.rows(TRADES)] == [1, 2]

    def test_insert_missing_adds_each_key_once_and_each_transaction_once(self, writer):
        first, more = trades(NOON, NOON + timedelta(seconds=1)), trades(MIDNIGHT)
        assert writer.write("insert_missing", TRADES, first, version=0).rows == 2
        version = writer.table(TRADES).version()

        # A batch that Spark repeats is not even looked at.
        writer.write("insert_missing", TRADES, more, version=0)
        assert writer.table(TRADES).version() == version
        assert writer.rows(TRADES) == first.to_pylist()

        both = pa.concat_tables([first, more])
        writer.write("insert_missing", TRADES, both, version=1)
        assert writer.rows(TRADES) == sorted(
            both.to_pylist(), key=lambda row: (row["trade_id"], row["event_time_ns"])
        )

    def test_late_rows_and_both_sides_of_midnight_are_found_again(self, writer):
        #  06:00 late |   …   | 23:59:59.999999 | 00:00:00
        tick = timedelta(microseconds=1)
        batch = trades(MIDNIGHT - timedelta(hours=18), MIDNIGHT - tick, MIDNIGHT)

        writer.write("insert_missing", TRADES, batch, version=0)
        writer.write("insert_missing", TRADES, batch, version=1)

        assert writer.rows(TRADES) == batch.to_pylist()

    def test_upsert_replaces_and_adds_and_leaves_other_hours_alone(self, writer):
        hours = [NOON + timedelta(hours=hour) for hour in range(4)]
        first = stats((hours[0], [126_550_000]), (hours[1], [10_000, 3]))
        second = stats((hours[1], [10_000, 3, 5]), (hours[3], [9]), version=2)
        writer.upsert(first, version=0)
        noon = {f for f in writer.table(SYMBOL_STATS).file_uris() if "hour=12" in f}

        writer.upsert(second, version=1)
        writer.upsert(first, version=1)

        assert writer.rows(SYMBOL_STATS) == [first.to_pylist()[0], *second.to_pylist()]
        assert noon <= set(writer.table(SYMBOL_STATS).file_uris())

    def test_append_adds_rows_as_they_are_but_each_transaction_once(self, writer):
        writer.write("append", REJECTS, reject(), version=0)
        writer.write("append", REJECTS, reject(2), version=0)
        assert writer.rows(REJECTS) == reject().to_pylist()

        writer.write("append", REJECTS, reject(), version=1)
        assert writer.rows(REJECTS) == 2 * reject().to_pylist()

    @pytest.mark.parametrize("verb", ["insert_missing", "append"])
    def test_a_driver_that_lost_its_lease_commits_nothing(self, writer, tmp_path, verb):
        successor = Fence(tmp_path / "lease.json", 60, lambda _: None)
        successor.acquire()

        with pytest.raises(Fenced, match="replaced by 2"):
            writer.write(verb, REJECTS, reject(), version=0)
        assert writer.table(REJECTS).version() == 0
        successor.release()

    def test_compaction_changes_no_row_and_streams_nothing_twice(self, writer):
        query = (
            read_stream(writer.spark, writer.lake, TRADES, max_files=10)
            .select("event_time_ns")
            .writeStream.format("memory")
            .queryName(f"seen_by_{writer.lake.engine}")
            .start()
        )
        moments = [NOON + timedelta(seconds=second) for second in range(4)]
        for version, moment in enumerate(moments):
            writer.write("insert_missing", TRADES, trades(moment), version)
            if version == 0:
                query.processAllAvailable()
        query.processAllAvailable()
        streamed = writer.spark.table(str(query.name)).toArrow()
        query.stop()

        wanted = sorted(row["event_time_ns"] for row in trades(*moments).to_pylist())
        assert len(writer.table(TRADES).file_uris()) == 1
        assert [row["event_time_ns"] for row in writer.rows(TRADES)] == wanted
        assert sorted(streamed["event_time_ns"].to_pylist()) == wanted
