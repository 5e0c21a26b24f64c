"""Tables as a long day leaves them, made in a minute.

``fill_day`` writes rows in files as compaction leaves them. ``write_log`` writes the
log of many commits without making them: each commit's small file is there, so is the
compaction that replaced fifty of them, and deltalake's own checkpoint ends it.
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import TableContract
from conf.settings import LakeSettings
from tests.load.ingesting import rows

ROWS_A_FILE = 65_000
"""About 4 MiB: where the committer's compaction stops."""
COMMITS_A_CYCLE = int(LakeSettings().compact_every)
ROWS_A_COMMIT = 2_048
Action = dict[str, Any]


def fill_day(
    root: str, contract: TableContract, count: int, end: datetime, per_s: int
) -> None:
    """Give a table about ``count`` rows whose event times end at ``end``."""
    ensure_tables(root, [contract])
    table = DeltaTable(table_uri(root, contract))
    seconds = ROWS_A_FILE // per_s
    files = count // (seconds * per_s)
    begin_s = int(end.timestamp()) - files * seconds
    first = rows(contract, begin_s, seconds, per_s)
    for number in range(files):
        fresh = _later(first, contract, number * seconds)
        write_deltalake(table, fresh, mode="append")


def _later(table: pa.Table, contract: TableContract, seconds: int) -> pa.Table:
    """Return the rows as if they had come so many seconds later, the same day."""
    shift = pa.scalar(timedelta(seconds=seconds), pa.duration("us"))
    for number, column in enumerate(contract.columns):
        values = table[column.name]
        if pa.types.is_timestamp(column.type):
            later = pc.add(values, shift)
        elif column.name == "event_time_ns":
            later = pc.add(values, seconds * 10**9)
        else:
            continue
        field = contract.schema.field(column.name)
        table = table.set_column(number, field, later.cast(column.type))
    return table


def count_rows(root: str, contract: TableContract) -> int:
    """Return how many rows the table has, by its log."""
    table = DeltaTable(table_uri(root, contract))
    return int(sum(table.get_add_actions()["num_records"].to_pylist()))


def write_log(root: str, contract: TableContract, commits: int, end_s: int) -> None:
    """Give a table the log of so many commits, one a second, the last at ``end_s``.

    Every fifty commits are followed by one that compacts them. The bodies of files
    that no bounded MERGE opens are links to one file with other rows.

    Args:
        root: The lake.
        contract: The table; it must not exist.
        commits: Versions that the table shall have.
        end_s: Event time of the newest row, s since 1970.
    """
    ensure_tables(root, [contract])
    folder = Path(table_uri(root, contract))
    writer = _Log(folder, contract, end_s - commits)
    for version in range(1, commits + 1):
        if version % (COMMITS_A_CYCLE + 1):
            writer.append(version)
        else:
            writer.compact(version)
    DeltaTable(str(folder)).create_checkpoint()


class _Log:
    """Writes commits by hand.

    Args:
        folder: Of the table, which is empty.
        contract: The table.
        begin_s: Event time of the first commit's rows.
    """

    def __init__(self, folder: Path, contract: TableContract, begin_s: int) -> None:
        self._folder, self._contract, self._begin_s = folder, contract, begin_s
        self._bodies = {
            seconds: self._body(seconds) for seconds in (1, COMMITS_A_CYCLE)
        }
        self._fresh: list[Action] = []
        self._wall_ms = int(time.time() * 1000)

    def append(self, version: int) -> None:
        """Add one second's rows."""
        added = self._file(version, 1)
        txn = {"appId": "grown", "version": version, "lastUpdated": self._wall_ms}
        self._commit(version, "MERGE", [{"txn": txn}, {"add": added}])
        self._fresh.append(added)

    def compact(self, version: int) -> None:
        """Replace the files since the last compaction by one."""
        removed = [
            {
                **{key: file[key] for key in ("path", "partitionValues", "size")},
                "deletionTimestamp": self._wall_ms,
                "dataChange": False,
                "extendedFileMetadata": True,
            }
            for file in self._fresh
        ]
        added = {**self._file(version, COMMITS_A_CYCLE), "dataChange": False}
        actions = [*({"remove": each} for each in removed), {"add": added}]
        self._commit(version, "OPTIMIZE", actions)
        self._fresh = []

    def _body(self, seconds: int) -> Path:
        path = self._folder / f"body-{seconds}.parquet"
        fresh = rows(self._contract, self._begin_s, seconds, ROWS_A_COMMIT)
        stored = fresh.drop_columns(list(self._contract.partition_by))
        pq.write_table(stored, path, compression="zstd")
        return path

    def _file(self, version: int, seconds: int) -> Action:
        """Link a file of the rows of the ``seconds`` that end with this version's."""
        last_s = self._begin_s + version
        moment = datetime.fromtimestamp(last_s, UTC)
        day = f"day={moment:%Y-%m-%d}"
        path = self._folder / day / f"part-{version:05d}.zstd.parquet"
        path.parent.mkdir(exist_ok=True)
        os.link(self._bodies[seconds], path)
        low, high = last_s - seconds, last_s - 1
        stats = {
            "numRecords": seconds * ROWS_A_COMMIT,
            "minValues": self._values(low, "AAPL"),
            "maxValues": self._values(high, "XOM"),
            "nullCount": {"event_time": 0, "symbol": 0, "event_time_ns": 0},
        }
        return {
            "path": f"{day}/{path.name}",
            "partitionValues": {"day": f"{moment:%Y-%m-%d}"},
            "size": path.stat().st_size,
            "modificationTime": self._wall_ms,
            "dataChange": True,
            "stats": json.dumps(stats),
        }

    def _values(self, second: int, symbol: str) -> Action:
        moment = datetime.fromtimestamp(second, UTC)
        return {
            "event_time": f"{moment:%Y-%m-%dT%H:%M:%S.000Z}",
            "symbol": symbol,
            "event_time_ns": second * 10**9,
        }

    def _commit(self, version: int, operation: str, actions: list[Action]) -> None:
        info = {"timestamp": self._wall_ms, "operation": operation}
        lines = [{"commitInfo": info}, *actions]
        path = self._folder / "_delta_log" / f"{version:020d}.json"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
