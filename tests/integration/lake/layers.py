"""A lake without Kinesis: wire records put into bronze, and the layers run over it."""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from deltalake import write_deltalake
from pyspark.sql import SparkSession

import gold.anomalies
import gold.job
import silver.job
import silver.late
import silver.minutes
from conf.lake.create import ensure_tables
from conf.lake.fence import open_fence
from conf.lake.periodic import WRITER
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import RECORDS, TABLES, TableContract
from conf.market.envelope import Kind, Line, encode_header, encode_line, pack
from conf.market.wire import Message
from conf.settings import LakeSettings, Settings

_sequence_numbers = count(100)


def rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def nanoseconds(moment: datetime) -> int:
    return (
        (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
    )


def payload(
    clock: datetime,
    *messages: Message | bytes,
    kind: Kind = "data",
    late: bool = False,
    source: str = "test",
) -> bytes:
    """Return one wire record whose messages were all read at ``clock``."""
    ns = nanoseconds(clock)
    raw = [m if isinstance(m, bytes) else msgspec.json.encode(m) for m in messages]
    lines = [
        encode_line(Line(0, index, ns, ns, message=msgspec.Raw(text)))
        for index, text in enumerate(raw)
    ]
    return pack(encode_header(kind, "e1", source, late=late), lines)


@dataclass(frozen=True)
class Layers:
    """One lake and the jobs that write it.

    Attributes:
        spark: The session that all drivers of these tests share.
        folder: Holds the tables and the checkpoints.
        engine: Who commits.
    """

    spark: SparkSession
    folder: Path
    engine: str

    @property
    def chosen(self) -> Settings:
        lake = LakeSettings(
            root=str(self.folder / "lake"),
            checkpoints=str(self.folder / "checkpoints"),
            engine=self.engine,
        )
        return Settings(lake=lake)

    def land(self, *payloads: bytes, key: str = "AAPL") -> list[str]:
        """Put records into bronze in one commit and return their numbers."""
        now = datetime.now(UTC)
        ensure_tables(self.chosen.lake.root, [RECORDS])
        rows = [
            {
                "arrival_time": now,
                "shard_id": "shardId-000000000000",
                "sequence_number": str(next(_sequence_numbers)),
                "partition_key": key,
                "ingest_time": now,
                "data": data,
                "day": now.date(),
            }
            for data in payloads
        ]
        table = pa.Table.from_pylist(rows, schema=RECORDS.schema)
        write_deltalake(table_uri(self.chosen.lake.root, RECORDS), table, mode="append")
        return [str(row["sequence_number"]) for row in rows]

    def run_silver(self) -> None:
        """Run both queries of silver until they have done all there is."""
        hot = silver.job.start(self.spark, self.chosen)
        hot.processAllAvailable()
        hot.stop()
        late = silver.late.start(self.spark, self.chosen)
        silver.late.finish(late, self.spark, self.chosen)

    def run_minutes(self) -> None:
        """Close the minutes that the newest heartbeat closes."""
        query = silver.minutes.start(self.spark, self.chosen)
        query.processAllAvailable()
        query.stop()

    def run_gold(self) -> None:
        gold.job.finish(gold.job.start(self.spark, self.chosen))

    def run_anomalies(self) -> None:
        query = gold.anomalies.start(self.spark, self.chosen)
        query.processAllAvailable()
        query.stop()

    def delete_checkpoint(self, *queries: str) -> None:
        for query in queries:
            shutil.rmtree(self.folder / "checkpoints" / query)

    def rows(self, contract: TableContract) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = scan(self.chosen.lake.root, contract).to_pylist()
        return rows

    def copy(self, folder: Path) -> "Layers":
        """Return a lake with the same tables and checkpoints elsewhere."""
        shutil.copytree(self.folder, folder)
        return replace(self, folder=folder)

    def release(self) -> None:
        """Give up the leases, and with them the threads that renew them."""
        layers = {contract.layer for contract in TABLES.values()}
        for writer in (*sorted(layers), WRITER):
            lake = self.chosen.lake
            open_fence(lake.root, writer, lake.lease_s).release()
