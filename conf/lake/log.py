"""The commits of a table as its log tells them: when, and which files they added."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import msgspec
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem


@dataclass(frozen=True)
class Commit:
    """One commit.

    Attributes:
        version: Of the table.
        time: Wall clock of the writer.
        added: Files with new rows, relative to the table; none for a compaction.
    """

    version: int
    time: datetime
    added: tuple[str, ...]


class _Add(msgspec.Struct, rename="camel"):
    path: str
    data_change: bool


class _Info(msgspec.Struct):
    timestamp: int


class _Action(msgspec.Struct, rename="camel"):
    add: _Add | None = None
    commit_info: _Info | None = None


def files_of(table: DeltaTable) -> PyFileSystem:
    """Return the file system below a table, wherever it is."""
    return PyFileSystem(DeltaStorageHandler(table.table_uri))


def newest_commits(table: DeltaTable) -> Iterator[Commit]:
    """Yield a table's commits, newest first, as far as the log reaches.

    The commit that made the table adds nothing and is left out.
    """
    files = files_of(table)
    for version in range(table.version(), 0, -1):
        try:
            with files.open_input_stream(f"_delta_log/{version:020d}.json") as log:
                lines = log.read().splitlines()
        except FileNotFoundError:
            return
        actions = [msgspec.json.decode(line, type=_Action) for line in lines]
        (told,) = (a.commit_info for a in actions if a.commit_info)
        added = (a.add for a in actions if a.add and a.add.data_change)
        yield Commit(
            version,
            datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=told.timestamp),
            tuple(unquote(add.path) for add in added),
        )
