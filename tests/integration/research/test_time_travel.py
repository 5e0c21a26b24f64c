"""AS OF: the same rows by DuckDB, deltalake and Spark, at every version."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.errors import FixSetup
from conf.lake.read import open_lake
from conf.lake.roots import table_uri
from conf.lake.tables import TRADES
from conf.lake.versions import parse_as_of, version_at
from tests.integration.research.lakes import (
    OPEN,
    SECOND,
    date_commits,
    delta,
    row,
    write,
)

VERSIONS = 50
FIRST_COMMIT = datetime(2025, 11, 24, 15, tzinfo=UTC)
COLUMNS = ("event_time", "event_time_ns", "symbol", "trade_id", "price", "day")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Versions 0 to 50: rows of two days come, some go, files are compacted."""
    folder = tmp_path_factory.mktemp("lake")
    for version in range(1, VERSIONS + 1):
        if version % 10 == 0:
            delta(folder, TRADES).optimize.compact()
        elif version % 10 == 5:
            delta(folder, TRADES).delete(f"trade_id = {version - 1}")
        else:
            moment = OPEN + timedelta(hours=version)
            made = row(TRADES, moment, trade_id=version, price=version / 3)
            write(folder, TRADES, made)
    assert delta(folder, TRADES).version() == VERSIONS
    date_commits(folder, FIRST_COMMIT)
    return str(folder)


def facts(rows: pa.Table) -> list[tuple[Any, ...]]:
    picked = rows.select(list(COLUMNS)).to_pylist()
    return sorted(tuple(found.values()) for found in picked)


def by_delta(root: str, version: int) -> list[tuple[Any, ...]]:
    table = DeltaTable(table_uri(root, TRADES), version=version)
    return facts(table.to_pyarrow_table())


def by_spark(frames: Iterable[DataFrame]) -> dict[int, list[tuple[Any, ...]]]:
    """Read all frames in one job; each has its version in a column."""
    rows = reduce(DataFrame.unionAll, frames).toArrow()
    found: dict[int, list[tuple[Any, ...]]] = {}
    for value in rows.to_pylist():
        picked = tuple(value[name] for name in COLUMNS)
        found.setdefault(value["v"], []).append(picked)
    return {version: sorted(picked) for version, picked in found.items()}


def test_duckdb_and_deltalake_show_the_same_rows_at_each_version(root: str):
    lake = open_lake(root)
    seen = set[tuple[Any, ...]]()
    for version in range(VERSIONS + 1):
        rows = by_delta(root, version)
        assert facts(lake.trades(as_of=version).arrow()) == rows
        seen.add(tuple(rows))
    assert len(seen) > 40


@pytest.mark.spark
@pytest.mark.parametrize(
    "versions",
    [
        pytest.param(range(1, VERSIONS + 1, 12), id="some"),
        # A snapshot costs Spark a job or two: on a busy machine, minutes.
        pytest.param(range(1, VERSIONS + 1), id="all", marks=pytest.mark.load),
    ],
)
def test_spark_shows_the_same_rows(
    spark: SparkSession, root: str, versions: Iterable[int]
):
    reader = spark.read.format("delta").option
    found = by_spark(
        reader("versionAsOf", version)
        .load(table_uri(root, TRADES))
        .withColumn("v", F.lit(version))
        for version in versions
    )

    assert found == {version: by_delta(root, version) for version in versions}


@pytest.mark.spark
def test_three_engines_show_the_same_rows_at_a_time(spark: SparkSession, root: str):
    lake = open_lake(root)
    for version in (1, 17, 49):
        moment = FIRST_COMMIT + version * SECOND + SECOND / 2
        table = DeltaTable(table_uri(root, TRADES))
        table.load_as_version(moment)
        frame = spark.read.format("delta").option("timestampAsOf", str(moment)[:-6])
        (spark_rows,) = by_spark(
            [frame.load(table_uri(root, TRADES)).withColumn("v", F.lit(0))]
        ).values()

        assert version_at(root, TRADES, moment) == table.version() == version
        assert facts(lake.trades(as_of=moment).arrow()) == by_delta(root, version)
        assert spark_rows == by_delta(root, version)


def test_a_time_before_the_table_and_a_version_after_it_are_refused(root: str):
    lake = open_lake(root)
    with pytest.raises(FixSetup, match=r"cannot be read\. It has 0 .* to 50 "):
        lake.trades(as_of=FIRST_COMMIT - SECOND)
    with pytest.raises(FixSetup, match="version 51 cannot be read"):
        lake.trades(as_of=51)
    with pytest.raises(ValueError, match="no time zone"):
        lake.trades(as_of=FIRST_COMMIT.replace(tzinfo=None))


def test_commits_of_one_instant_count_a_millisecond_apart(tmp_path: Path):
    for trade_id in (1, 2):
        write(tmp_path, TRADES, row(TRADES, OPEN, trade_id=trade_id))
    date_commits(tmp_path, FIRST_COMMIT, step=timedelta(0))
    instants = [FIRST_COMMIT + timedelta(milliseconds=ms) for ms in (-1, 0, 1, 2, 9)]

    found = [version_at(str(tmp_path), TRADES, instant) for instant in instants]

    assert found == [None, 0, 1, 2, 2]


def test_what_a_person_types():
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert parse_as_of("2026-11-23T12:00:00Z") == noon
    assert parse_as_of("silver.trades@41, silver.quotes@2026-11-23T12:00Z") == {
        "silver.trades": 41,
        "silver.quotes": noon,
    }
    for wrong in ("yesterday", "2026-11-23T12:00:00", "silver.trade@1", "trades@x"):
        with pytest.raises(FixSetup):
            parse_as_of(wrong)
