"""What was added to a table since a version, read from its log: each row once.

Cheaper than a streaming query where a second's rows fit one small file: no Spark job,
no plan, and a look that finds nothing reads nothing. Compactions add files too, but
no rows, and are passed over.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

from conf.lake.roots import table_uri
from conf.lake.tables import TableContract


class Change(NamedTuple):
    """Rows that one version added."""

    version: int
    rows: pa.Table


class _Add(msgspec.Struct, rename="camel"):
    path: str
    data_change: bool


class _Action(msgspec.Struct):
    add: _Add | None = None


class Changes:
    """The rows added to one table, from a version on.

    Args:
        root: The lake; the table exists.
        contract: The table.
        columns: Those wanted; stored ones, so none that the table is partitioned by.
        after: The version up to which rows are known; None: no rows are.
    """

    def __init__(
        self,
        root: str,
        contract: TableContract,
        columns: Sequence[str],
        after: int | None = None,
    ) -> None:
        uri = table_uri(root, contract)
        self._table = DeltaTable(uri)
        self._files = _files_of(uri)
        self._columns = list(columns)
        self._schema = pa.schema([contract.schema.field(name) for name in columns])
        self.version = after

    def read(self) -> Iterator[Change]:
        """Yield what was added since the last call; then ``version`` is the newest.

        Raises:
            FileNotFoundError: The log, or a file, between the versions is gone: it is
                older than the table keeps. Begin anew without ``after``.
        """
        self._table.update_incremental()
        newest = self._table.version()
        if self.version is None:
            held = pa.table(self._table.get_add_actions(flatten=True))
            for path in held["path"].to_pylist():
                yield Change(newest, self._rows(unquote(path)))
        else:
            for version in range(self.version + 1, newest + 1):
                for path in self._added(version):
                    yield Change(version, self._rows(path))
        self.version = newest

    def find(self, where: ds.Expression) -> pa.Table:
        """Return all rows of ``version`` that meet a condition.

        Statistics skip files by the leading columns, and partitions by ``day``.
        """
        found = self._table.to_pyarrow_dataset().to_table(self._columns, where)
        return found.cast(self._schema)

    def _added(self, version: int) -> list[str]:
        with self._files.open_input_file(f"_delta_log/{version:020d}.json") as file:
            lines = file.read().splitlines()
        actions = [msgspec.json.decode(line, type=_Action).add for line in lines]
        return [unquote(add.path) for add in actions if add and add.data_change]

    def _rows(self, path: str) -> pa.Table:
        with self._files.open_input_file(path) as file:
            rows = pq.ParquetFile(file).read(self._columns)
        return rows.cast(self._schema)


def _files_of(uri: str) -> fs.FileSystem:
    if "://" in uri:
        return fs.PyFileSystem(DeltaStorageHandler(uri))
    # Ten times as fast as through deltalake, whose files call back into Python.
    return fs.SubTreeFileSystem(uri, fs.LocalFileSystem())
