"""What was added to a table since a version, read from its log: each row once.

Cheaper than a streaming query where a second's rows fit one small file: no Spark job,
no plan, and a look that finds nothing reads nothing. Compactions add files too, but
no rows, and are passed over.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from conf.lake.log import files_of, read_commit
from conf.lake.roots import table_uri
from conf.lake.rows import ANY_TEXT, Texts, find_rows
from conf.lake.tables import TableContract
from conf.logs import get_logger

_log = get_logger(__name__)


class Change(NamedTuple):
    """Rows that one version added."""

    version: int
    rows: pa.Table


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
        self._uri, self._table = uri, DeltaTable(uri)
        self._files = files_of(uri)
        self._contract = contract
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
            for path in held.sort_by("modification_time")["path"].to_pylist():
                yield Change(newest, self._rows(unquote(path)))
        else:
            for version in range(self.version + 1, newest + 1):
                for path in read_commit(self._files, version).added:
                    yield Change(version, self._rows(path))
        self.version = newest

    def find(self, where: ds.Expression, of: Texts = ANY_TEXT) -> pa.Table:
        """Return all rows that meet a condition, as of the last ``read``.

        See ``find_rows``.
        """
        return find_rows(self._table, self._contract, self._columns, where, of)

    def find_newest(
        self, version: int | None, span: timedelta, of: Texts = ANY_TEXT
    ) -> pa.Table:
        """Return the rows of one version whose event times are its last ``span``.

        For None there are none, nor for a version that has been cleaned away.
        """
        if version is None:
            return self._schema.empty_table()
        event_time = self._contract.event_column
        try:
            table = DeltaTable(self._uri, version=version)
        except DeltaError as error:
            why = {"version": version, "reason": str(error)}
            _log.warning("not readable any more", table=self._contract.name, **why)
            return self._schema.empty_table()
        files = pa.table(table.get_add_actions(flatten=True))
        if not files.num_rows:
            return self._schema.empty_table()
        since = pc.max(files[f"max.{event_time}"]).as_py() - span
        where = (pc.field("day") >= since.date()) & (pc.field(event_time) >= since)
        return find_rows(table, self._contract, self._columns, where, of)

    def _rows(self, path: str) -> pa.Table:
        with self._files.open_input_file(path) as file:
            rows = pq.ParquetFile(file).read(self._columns)
        return rows.cast(self._schema)
