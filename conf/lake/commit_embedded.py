"""Engine ``embedded``: deltalake merges in this process what Spark computed."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    write_deltalake,
)
from deltalake import Transaction as AppTransaction
from deltalake.exceptions import CommitFailedError
from deltalake.table import TableMerger
from pyspark.sql import DataFrame

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
from conf.lake.maintenance import tidy_in_background
from conf.lake.short_log import ShortLog
from conf.lake.tables import TableContract
from conf.logs import get_logger
from conf.settings import LakeSettings

# Files reach about this size by compaction and are then left alone: about a minute of
# 4,096 rows a second. A MERGE reads whole files, and rows that come 30 s out of order
# make it read the newest compacted one; at 32 MiB that alone took 150 ms.
_COMPACT_TARGET_BYTES = 4 * 1024 * 1024
_MOST_RETRIES = 15
# ``ShortLog`` writes the checkpoints, and the tidying cleans the log.
_NO_HOOK = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_PLACE = "place in the batch"
_log = get_logger(__name__)


class ArrowBatch:
    """A micro-batch as one Arrow table."""

    def __init__(self, messages: pa.Table) -> None:
        self._messages = messages

    def rows_of(self, contract: TableContract) -> pa.Table:
        """Return one table's rows, cast to the contract's schema."""
        rows = pc.list_flatten(self._messages[contract.name.split(".")[1]])
        structs = rows.combine_chunks()
        if isinstance(structs, pa.ChunkedArray):  # no rows: nothing to combine
            structs = pa.array([], structs.type)
        return pa.Table.from_struct_array(structs).cast(contract.schema)

    def tables(self) -> frozenset[str]:
        """Return the names of the tables that have rows."""
        return frozenset(pc.unique(self._messages["table"]).to_pylist())

    def arrow(self) -> pa.Table:
        """Return the whole batch."""
        return self._messages


class EmbeddedCommitter:
    """Commits Arrow tables with deltalake; one instance per driver process."""

    def __init__(self, lake: LakeSettings, fence: Fence) -> None:
        self._lake, self._fence = lake, fence
        self._tables: dict[str, ShortLog] = {}
        self._commits: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(thread_name_prefix="commit")

    @contextmanager
    def hold(
        self, messages: DataFrame, one_per: Sequence[str] = ()
    ) -> Iterator[ArrowBatch]:
        """Compute the batch into this process's memory."""
        yield ArrowBatch(_one_per(messages.toArrow(), one_per))

    def each(
        self, commit: Callable[[TableContract], int], contracts: Sequence[TableContract]
    ) -> list[int]:
        """Commit all tables at once: deltalake works outside the interpreter's lock."""
        return list(self._pool.map(commit, contracts))

    def append(
        self, contract: TableContract, rows: pa.Table, transaction: Transaction
    ) -> Written:
        """See ``Committer.append``."""

        def write(table: DeltaTable) -> int:
            properties = _properties(transaction)
            write_deltalake(
                table,
                rows,
                mode="append",
                commit_properties=properties,
                post_commithook_properties=_NO_HOOK,
            )
            return int(rows.num_rows)

        return self._commit(contract, rows, transaction, write)

    def insert_missing(
        self, contract: TableContract, rows: pa.Table, transaction: Transaction
    ) -> Written:
        """See ``Committer.insert_missing``."""

        def write(table: DeltaTable) -> int:
            merger = _merge(contract, table, rows, transaction)
            done = merger.when_not_matched_insert_all().execute()
            return int(done["num_target_rows_inserted"])

        return self._commit(contract, rows, transaction, write)

    def upsert(
        self, contract: TableContract, rows: pa.Table, transaction: Transaction
    ) -> Written:
        """See ``Committer.upsert``."""

        def write(table: DeltaTable) -> int:
            merger = _merge(contract, table, rows, transaction)
            merger.when_matched_update_all().when_not_matched_insert_all().execute()
            return int(rows.num_rows)

        return self._commit(contract, rows, transaction, write)

    def _commit(
        self,
        contract: TableContract,
        rows: pa.Table,
        transaction: Transaction,
        write: Callable[[DeltaTable], int],
    ) -> Written:
        if rows.num_rows == 0:
            return Written(0, None)
        with self._fence.commit(contract.name), self._opened(contract) as log:
            log.make_room(rows[contract.partition_by[0]].unique().to_pylist())
            written = self._write_once(log, transaction, write)
            if written.version is not None:
                self._maintain(contract, log)
            return written

    def _write_once(
        self,
        log: ShortLog,
        transaction: Transaction,
        write: Callable[[DeltaTable], int],
    ) -> Written:
        """Write, again when another process committed meanwhile.

        ``silver.bars`` has two writers, each with a lease of its own. A driver that was
        replaced loses the same race, to the same transaction: so each try looks anew
        whether there is anything left to write, and whether this process may.

        Raises:
            CommitFailedError: Others were first again and again.
            Fenced: Another driver has taken over.
        """
        tries = 0
        while not _is_done(log.table, transaction):
            try:
                with log.commit() as table:
                    rows = write(table)
                    version = table.version()
                return Written(rows, version)
            except CommitFailedError:
                tries += 1
                if tries > _MOST_RETRIES:
                    raise
                self._fence.check()
        return Written(0, None)

    @contextmanager
    def _opened(self, contract: TableContract) -> Iterator[ShortLog]:
        """Yield the log at its newest version; what fails half-way is opened anew."""
        log = self._tables.pop(contract.name, None)
        if log is None:
            log = ShortLog(self._lake.root, contract)
        else:
            log.follow()
        yield log
        self._tables[contract.name] = log

    def _maintain(self, contract: TableContract, log: ShortLog) -> None:
        commits = self._commits.get(contract.name, 0) + 1
        self._commits[contract.name] = commits
        if contract.is_compacted and commits % self._lake.compact_every == 0:
            self._compact(contract, log)
        if commits % (self._lake.compact_every * COMPACTIONS_PER_TIDYING) == 0:
            tidy_in_background(self._lake.root, contract)

    def _compact(self, contract: TableContract, log: ShortLog) -> None:
        """Compact, unless another process is doing it: the second is of no use."""
        with self._fence.alone(contract.name) as is_alone:
            if not is_alone:
                return
            log.follow()
            try:
                with log.commit() as table:
                    table.optimize.compact(
                        target_size=_COMPACT_TARGET_BYTES,
                        post_commithook_properties=_NO_HOOK,
                    )
            except CommitFailedError as error:
                # Another process committed meanwhile; the next turn takes these files.
                _log.info("not compacted", table=contract.name, why=str(error))


def _one_per(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the first row of each value of ``columns``; all rows if there are none.

    Of a second's messages that takes Arrow milliseconds, and Spark a shuffle.
    """
    if not columns:
        return rows
    places = pa.array(np.arange(rows.num_rows))
    first = (
        rows.select(list(columns))
        .append_column(_PLACE, places)
        .group_by(list(columns))
        .aggregate([(_PLACE, "min")])
    )
    is_first = np.zeros(rows.num_rows, np.bool_)
    is_first[first[f"{_PLACE}_min"].to_numpy()] = True
    return rows.filter(pa.array(is_first))


def _merge(
    contract: TableContract, table: DeltaTable, rows: pa.Table, transaction: Transaction
) -> TableMerger:
    predicate = bounds_predicate(contract, ranges_of(event_times(contract, rows)))
    return table.merge(
        rows,
        f"{predicate} AND {partition_predicate(contract, rows)}"
        f" AND {key_predicate(contract.key)}",
        source_alias="u",
        target_alias="t",
        # The source is small and in memory: it need not be streamed.
        streamed_exec=False,
        commit_properties=_properties(transaction),
        post_commithook_properties=_NO_HOOK,
    )


def event_times(contract: TableContract, rows: pa.Table) -> list[datetime]:
    """Return the first and last event time of each touched minute, UTC.

    They bound a MERGE as well as all times do, and are few.
    """
    times = rows[contract.event_column]
    minutes = pc.floor_temporal(times, unit="minute")
    spans = (
        pa.table({"minute": minutes, "time": times})
        .group_by("minute")
        .aggregate([("time", "min"), ("time", "max")])
    )
    both = [*spans["time_min"].to_pylist(), *spans["time_max"].to_pylist()]
    return cast("list[datetime]", both)


def _is_done(table: DeltaTable, transaction: Transaction) -> bool:
    last = table.transaction_version(transaction.app_id)
    return last is not None and last >= transaction.version


def _properties(transaction: Transaction) -> CommitProperties:
    return CommitProperties(
        app_transactions=[AppTransaction(transaction.app_id, transaction.version)]
    )
