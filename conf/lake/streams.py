"""What the layers' streaming queries share: reading a table, batches and reports."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from conf.lake.commit import Transaction
from conf.lake.roots import absolute, table_uri
from conf.lake.tables import TableContract
from conf.settings import LakeSettings


@dataclass(frozen=True)
class BatchReport:
    """What one micro-batch of one query did.

    Attributes:
        query: Name of the query.
        rows: Rows it wrote.
        oldest_age_s: Wall-clock age of its oldest row when it was committed, since the
            producer received it; None when there was none.
        newest_age_s: The same of its newest row.
    """

    query: str
    rows: int
    oldest_age_s: float | None = None
    newest_age_s: float | None = None


OnBatch = Callable[[BatchReport], None]


def ignore_report(_: BatchReport) -> None:
    """Do nothing: for queries that nobody watches."""


def read_stream(
    spark: SparkSession,
    lake: LakeSettings,
    contract: TableContract,
    *,
    max_files: int,
    first_version: int | None = None,
) -> DataFrame:
    """Return a table as a stream of its appended rows.

    Args:
        spark: Session of the driver.
        lake: Where the tables are.
        contract: The table to read.
        max_files: Commits that one batch takes at most, so that a backlog is worked
            off in steps.
        first_version: Begin with this version's rows; by default with all rows that
            the table has. A checkpoint overrides it.
    """
    reader = (
        spark.readStream.format("delta")
        .option("maxFilesPerTrigger", max_files)
        # Closed days are dropped whole when the disk budget is used up.
        .option("ignoreDeletes", "true")
    )
    if first_version is not None:
        reader = reader.option("startingVersion", first_version)
    return reader.load(table_uri(lake.root, contract))


def checkpoint_of(lake: LakeSettings, query: str) -> str:
    """Return the checkpoint location of a query."""
    return f"{absolute(lake.checkpoints)}/{query}"


def has_begun(lake: LakeSettings, query: str) -> bool:
    """Tell whether the query's checkpoint has planned a batch: then it knows better.

    Only a local folder can be looked into; elsewhere a checkpoint is taken to be there.
    """
    location = checkpoint_of(lake, query)
    if "://" in location:
        return True
    offsets = Path(location) / "offsets"
    return offsets.is_dir() and any(file.name.isdigit() for file in offsets.iterdir())


def transaction_of(
    spark: SparkSession, lake: LakeSettings, query: str, table: str, batch_id: int
) -> Transaction:
    """Name the commit of one batch into one table.

    A deleted checkpoint begins again with batch 0 under another id, so its batches are
    not taken for the ones that were committed before.
    """
    checkpoint_id = _checkpoint_id(spark, checkpoint_of(lake, query))
    return Transaction(f"{table}/{query}/{checkpoint_id}", batch_id)


@cache
def _checkpoint_id(spark: SparkSession, location: str) -> str:
    text = spark.read.text(f"{location}/metadata").head()
    if text is None:
        raise RuntimeError(f"{location}/metadata is empty")
    return str(json.loads(text[0])["id"])
