"""Engine ``spark``: delta-spark merges what Spark computed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa
from delta.tables import DeltaMergeBuilder, DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.lake.commit import (
    COMPACTIONS_PER_TIDYING,
    Transaction,
    Written,
    bounds_predicate,
    key_predicate,
    partition_predicate,
    ranges_of,
)
from conf.lake.fence import Fence
from conf.lake.maintenance import tidy
from conf.lake.roots import table_uri
from conf.lake.spark_schema import spark_schema
from conf.lake.tables import TableContract
from conf.settings import LakeSettings

_APP_ID = "spark.databricks.delta.write.txnAppId"
_VERSION = "spark.databricks.delta.write.txnVersion"


class FrameBatch:
    """A micro-batch that Spark keeps in memory until all tables took their rows."""

    def __init__(self, messages: DataFrame) -> None:
        self._messages = messages

    def rows_of(self, contract: TableContract) -> DataFrame:
        """Return one table's rows in the contract's columns."""
        mine = self._messages.where(F.col("table") == contract.name)
        return mine.select(F.inline(contract.name.split(".")[1]))

    def tables(self) -> frozenset[str]:
        """Return the names of the tables that have rows; computes the batch."""
        names = self._messages.select("table").distinct().toArrow()
        return frozenset(names["table"].to_pylist())

    def arrow(self) -> pa.Table:
        """Return the whole batch."""
        return self._messages.toArrow()


class SparkCommitter:
    """Commits DataFrames with delta-spark; one instance per driver process."""

    def __init__(
        self, lake: LakeSettings, fence: Fence, session: SparkSession | None = None
    ) -> None:
        self._lake, self._fence = lake, fence
        self._commits: dict[str, int] = {}
        self._session = session or SparkSession.active()

    @contextmanager
    def hold(
        self, messages: DataFrame, one_per: Sequence[str] = ()
    ) -> Iterator[FrameBatch]:
        """Keep the computed batch in Spark's memory."""
        self._session = messages.sparkSession
        kept = (messages.dropDuplicates([*one_per]) if one_per else messages).persist()
        try:
            yield FrameBatch(kept)
        finally:
            kept.unpersist()

    def each(
        self, commit: Callable[[TableContract], int], contracts: Sequence[TableContract]
    ) -> list[int]:
        """Commit one table after the other: transactions are session settings."""
        return [commit(contract) for contract in contracts]

    def append(
        self,
        contract: TableContract,
        rows: DataFrame | pa.Table,
        transaction: Transaction,
    ) -> Written:
        """See ``Committer.append``; Delta skips a transaction it has seen."""
        if isinstance(rows, pa.Table):
            rows = self._frame(contract, rows)
        with self._fence.commit(contract.name):
            (
                rows.coalesce(1)
                .write.format("delta")
                .option("txnAppId", transaction.app_id)
                .option("txnVersion", transaction.version)
                .mode("append")
                .save(table_uri(self._lake.root, contract))
            )
        return Written(rows.count(), None)

    def insert_missing(
        self,
        contract: TableContract,
        rows: DataFrame | pa.Table,
        transaction: Transaction,
    ) -> Written:
        """See ``Committer.insert_missing``; counts the rows offered."""
        if isinstance(rows, pa.Table):
            if rows.num_rows == 0:
                return Written(0, None)
            rows = self._frame(contract, rows)
        times = _event_times(contract, rows)
        if not times:
            return Written(0, None)
        self._merge(
            contract,
            rows,
            bounds_predicate(contract, ranges_of(times)),
            transaction,
            lambda m: m.whenNotMatchedInsertAll(),
        )
        return Written(rows.count(), None)

    def upsert(
        self, contract: TableContract, rows: pa.Table, transaction: Transaction
    ) -> Written:
        """See ``Committer.upsert``."""
        if rows.num_rows == 0:
            return Written(0, None)
        frame = self._frame(contract, rows)
        times = rows[contract.event_column].to_pylist()
        bounds = bounds_predicate(contract, ranges_of(times))
        self._merge(
            contract,
            frame,
            f"{bounds} AND {partition_predicate(contract, rows)}",
            transaction,
            lambda m: m.whenMatchedUpdateAll().whenNotMatchedInsertAll(),
        )
        return Written(rows.num_rows, None)

    def _frame(self, contract: TableContract, rows: pa.Table) -> DataFrame:
        return self._session.createDataFrame(rows, spark_schema(contract)).coalesce(1)

    def _merge(
        self,
        contract: TableContract,
        rows: DataFrame,
        bounds: str,
        transaction: Transaction,
        clauses: Callable[[DeltaMergeBuilder], DeltaMergeBuilder],
    ) -> None:
        uri = table_uri(self._lake.root, contract)
        condition = f"{bounds} AND {key_predicate(contract.key)}"
        with self._fence.commit(contract.name):
            target = DeltaTable.forPath(self._session, uri)
            with _transaction(self._session, transaction):
                clauses(target.alias("t").merge(rows.alias("u"), condition)).execute()
            self._maintain(contract, target)

    def _maintain(self, contract: TableContract, target: DeltaTable) -> None:
        commits = self._commits.get(contract.name, 0) + 1
        self._commits[contract.name] = commits
        if commits % self._lake.compact_every == 0:
            target.optimize().executeCompaction()
        if commits % (self._lake.compact_every * COMPACTIONS_PER_TIDYING) == 0:
            # Not Spark's VACUUM, which knows no pins; nothing else commits meanwhile.
            tidy(self._lake.root, contract)


@contextmanager
def _transaction(session: SparkSession, transaction: Transaction) -> Iterator[None]:
    """Store the transaction with the next DML statement of this session.

    A MERGE takes it from session settings, not from options; foreachBatch runs in a
    clone of the session, so no other query sees them.
    """
    session.conf.set(_APP_ID, transaction.app_id)
    session.conf.set(_VERSION, str(transaction.version))
    try:
        yield
    finally:
        session.conf.unset(_APP_ID)
        session.conf.unset(_VERSION)


def _event_times(contract: TableContract, rows: DataFrame) -> list[datetime]:
    """Return each touched minute's first and last event time, UTC."""
    column = F.col(contract.event_column)
    spans = (
        rows.groupBy(F.date_trunc("minute", column))
        .agg(F.min(column).alias("first"), F.max(column).alias("last"))
        .toArrow()
    )
    return [*spans["first"].to_pylist(), *spans["last"].to_pylist()]
