"""One Delta version of a table, as the list of files that hold its rows.

A Parquet file never changes, so whoever reads the files of one list reads one version,
whatever is committed meanwhile. Each file tells between which event times its rows are:
that is how a question about the newest rows opens few of them.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa
from deltalake import DeltaTable

from conf.lake.roots import table_uri
from conf.lake.tables import TableContract

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER_US, _FOREVER_US = -(2**63), 2**63 - 1
# Spark cuts the times of its statistics to milliseconds.
_ROUNDED_US = 999


class DataFile(NamedTuple):
    """One Parquet file; without statistics it may hold any time.

    Attributes:
        uri: Where it is.
        rows: How many it holds.
        size_bytes: On disk.
        oldest_us: No event time is before it, microseconds since 1970.
        newest_us: No event time is after it.
    """

    uri: str
    rows: int
    size_bytes: int
    oldest_us: int
    newest_us: int


@dataclass(frozen=True)
class Snapshot:
    """One version of one table.

    Attributes:
        contract: What its rows are.
        version: Delta version.
        files: Newest event times first.
        newest_event_time: Of any row; None without rows.
        commit_time: Wall clock of its newest file; None without files.
    """

    contract: TableContract
    version: int
    files: tuple[DataFile, ...] = ()
    newest_event_time: datetime | None = None
    commit_time: datetime | None = None

    @cached_property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(file.rows for file in self.files)

    @cached_property
    def size_bytes(self) -> int:
        """Size of the files."""
        return sum(file.size_bytes for file in self.files)

    def between(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        partition: str = "",
    ) -> list[DataFile]:
        """Return the files that may hold event times of ``[start, end]``.

        Args:
            start: None for the beginning.
            end: None for the end.
            partition: ``column=value``; the files of other partitions are left out.
        """
        low = _NEVER_US if start is None else microseconds(start)
        high = _FOREVER_US if end is None else microseconds(end)
        return [
            f
            for f in self.files
            if f.newest_us >= low and f.oldest_us <= high and partition in f.uri
        ]


class SnapshotReader:
    """Follows one table through its versions, reading only what is new in its log.

    Args:
        root: The lake.
        contract: The table.
    """

    def __init__(self, root: str, contract: TableContract) -> None:
        self._uri, self._contract = table_uri(root, contract), contract
        self._table: DeltaTable | None = None
        self._snapshot: Snapshot | None = None

    def refresh(self) -> Snapshot | None:
        """Return the newest version; None while there is no table.

        Raises:
            deltalake.exceptions.DeltaError: The log cannot be read now; the next call
                begins anew.
        """
        table, self._table = self._table, None
        if not DeltaTable.is_deltatable(self._uri):
            self._snapshot = None
            return None
        if table is None:
            table = DeltaTable(self._uri)
        else:
            table.update_incremental()
        if self._snapshot is None or self._snapshot.version != table.version():
            self._snapshot = _snapshot(self._contract, table, self._uri)
        self._table = table
        return self._snapshot


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_microseconds(moment_us: int) -> datetime:
    """Return the inverse of ``microseconds``."""
    return EPOCH + timedelta(microseconds=moment_us)


def _snapshot(contract: TableContract, table: DeltaTable, uri: str) -> Snapshot:
    added = pa.table(table.get_add_actions(flatten=True))
    if added.num_rows == 0:
        return Snapshot(contract, table.version())
    newest = _times_us(added, f"max.{contract.event_column}")
    files = (
        DataFile(
            f"{uri}/{path}",
            rows or 0,
            size_bytes,
            _NEVER_US if oldest_us is None else oldest_us,
            _FOREVER_US if newest_us is None else newest_us + _ROUNDED_US,
        )
        for path, rows, size_bytes, oldest_us, newest_us in zip(
            added["path"].to_pylist(),
            added["num_records"].to_pylist(),
            added["size_bytes"].to_pylist(),
            _times_us(added, f"min.{contract.event_column}"),
            newest,
            strict=True,
        )
    )
    newest_us = max((time for time in newest if time is not None), default=None)
    committed_ms = max(added["modification_time"].to_pylist())
    return Snapshot(
        contract,
        table.version(),
        tuple(sorted(files, key=lambda file: file.newest_us, reverse=True)),
        None if newest_us is None else from_microseconds(newest_us),
        from_microseconds(committed_ms * 1000),
    )


def _times_us(added: pa.Table, column: str) -> list[int | None]:
    if column not in added.column_names:
        return [None] * added.num_rows
    times = added[column].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    found: list[int | None] = times.to_pylist()
    return found
