"""Spark as its guides teach it: a watermark, dropDuplicates, Delta's streaming sink.

Two variants that differ in configuration alone. Both have the same parser; nanoseconds
are read with silver's own expressions, because Spark's timestamps end at microseconds.
"""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from conf.lake.jars import local_jars
from conf.lake.session import free_port, read_defaults
from conf.lake.spark_schema import spark_schema
from conf.lake.tables import QUOTES, RECORDS, TRADES, TableContract
from conf.settings import ROOT
from infra.local.bench.contender import AT_ONCE_S, schema_of, table_path
from silver.times import event_time_ns, nanoseconds_to_timestamp

_WATERMARK = "2 minutes"
_FUTURE_MAX_NS = 5_000_000_000
_NEEDED = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": (
        "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    ),
    # Alpaca's keys differ only in case.
    "spark.sql.caseSensitive": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "3g",
    "spark.ui.showConsoleProgress": "false",
}
_STATE = "spark.sql.streaming.stateStore"
_TUNED = {
    **dict(read_defaults(ROOT / "conf" / "spark-defaults.conf")),
    f"{_STATE}.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    f"{_STATE}.rocksdb.changelogCheckpointing.enabled": "true",
}

# Alpaca's keys of both messages; the few that they share have the same type.
_LINE = """
m BIGINT, o INT, d STRUCT<T: STRING, S: STRING, t: STRING, c: ARRAY<STRING>, z: STRING,
    i: BIGINT, x: STRING, p: DOUBLE, s: BIGINT,
    bx: STRING, bp: DOUBLE, bs: BIGINT, ax: STRING, ap: DOUBLE, `as`: BIGINT>
"""
_KEYS = {
    TRADES: {"exchange": "x", "trade_id": "i", "price": "p", "size": "s"},
    QUOTES: {
        "bid_exchange": "bx", "bid_price": "bp", "bid_size": "bs",
        "ask_exchange": "ax", "ask_price": "ap", "ask_size": "as",
    },
}  # fmt: skip
_TYPES = {TRADES: "t", QUOTES: "q"}


class SparkRival:
    """Two streaming queries, one for each table, fed one file after another.

    Args:
        folder: Holds its tables, checkpoints and input.
        configuration: Besides what is needed.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, str]) -> None:
        self._input = folder / "input"
        self._input.mkdir(exist_ok=True)
        self._spark = _session(folder, configuration)
        records = (
            self._spark.readStream.schema(spark_schema(RECORDS))
            .option("maxFilesPerTrigger", AT_ONCE_S)
            .parquet(str(self._input))
        )
        self._queries = [_start(records, contract, folder) for contract in _TYPES]

    def next_second(self) -> int:
        """See ``Contender.next_second``: what is in the folder, Spark will read."""
        return len(list(self._input.glob("*.parquet")))

    def take(self, first: int, records: Sequence[Path]) -> None:
        """See ``Contender.take``."""
        for path in records:
            os.link(path, self._input / path.name)
        for query in self._queries:
            query.processAllAvailable()

    def finish(self) -> None:
        """Stop."""
        for query in self._queries:
            query.stop()
        self._spark.stop()


def _session(folder: Path, configuration: Mapping[str, str]) -> SparkSession:
    jars = os.pathsep.join(map(str, local_jars()))
    builder = SparkSession.builder.appName("bench").master("local[2]")
    settings = {
        **_NEEDED,
        **configuration,
        "spark.driver.extraClassPath": jars,
        "spark.ui.port": str(free_port(4340)),
        "spark.local.dir": str(folder / "spark"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def _start(records: DataFrame, contract: TableContract, folder: Path) -> StreamingQuery:
    query = (
        rows(records, contract)
        .withWatermark("event_time", _WATERMARK)
        .dropDuplicatesWithinWatermark(list(contract.key))
        .writeStream.format("delta")
        .partitionBy("day")
        .option("checkpointLocation", str(folder / "points" / contract.path))
    )
    return query.start(str(table_path(folder, contract)))


def rows(records: DataFrame, contract: TableContract) -> DataFrame:
    """Return the acceptable rows of one table, doubles included."""
    lines = F.split(F.col("data").cast("string"), "\n")
    body = records.select(F.explode(F.slice(lines, 2, F.size(lines))).alias("text"))
    told = body.select(F.from_json("text", _LINE).alias("line"), "text").select(
        "line.*", "text", event_time_ns(F.col("line.d.t")).alias("event_time_ns")
    )
    required = [F.col(f"d.{key}").isNotNull() for key in ("S", *_required(contract))]
    right = F.col("d.T") == _TYPES[contract]
    for condition in (*required, *_plausible(contract)):
        right &= condition
    event_time = nanoseconds_to_timestamp(F.col("event_time_ns"))
    columns = {
        "event_time": event_time,
        "symbol": F.col("d.S"),
        "event_time_ns": F.col("event_time_ns"),
        "quote_hash": F.xxhash64(F.substring_index("text", '"d":', -1)),
        "occurrence": F.coalesce("o", F.lit(0)),
        **{name: F.col(f"d.{key}") for name, key in _KEYS[contract].items()},
        "conditions": F.col("d.c"),
        "tape": F.col("d.z"),
        "day": F.to_date(event_time),
    }
    chosen = [columns[name].alias(name) for name in schema_of(contract).names]
    return told.where(right).select(*chosen)


def _required(contract: TableContract) -> list[str]:
    stored = {name: contract.schema.field(name) for name in _KEYS[contract]}
    return [
        _KEYS[contract][name] for name, field in stored.items() if not field.nullable
    ]


def _plausible(contract: TableContract) -> list[Column]:
    ahead_ns = F.col("event_time_ns") - F.col("m")
    rules = [F.col("event_time_ns").isNotNull(), ahead_ns <= _FUTURE_MAX_NS]
    return [*rules, F.col("d.p") > 0] if contract is TRADES else rules


VARIANTS = {
    "spark-defaults": partial(SparkRival, configuration={}),
    "spark-tuned": partial(SparkRival, configuration=_TUNED),
}
