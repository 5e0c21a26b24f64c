"""The commits of a table as its log tells them: when, and which files they added."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import msgspec
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs


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


def files_of(uri: str) -> fs.FileSystem:
    """Return the file system below a table, wherever it is."""
    if "://" in uri:
        return fs.PyFileSystem(DeltaStorageHandler(uri))
    # Ten times as fast as through deltalake, whose files call back into Python.
    return fs.SubTreeFileSystem(uri, fs.LocalFileSystem())


def read_commit(files: fs.FileSystem, version: int) -> Commit:
    """Return one commit.

    Args:
        files: Below the table, see ``files_of``.
        version: Of the table.

    Raises:
        FileNotFoundError: There is no such version, or its entry was cleaned up.
    """
    with files.open_input_file(f"_delta_log/{version:020d}.json") as log:
        lines = log.read().splitlines()
    actions = [msgspec.json.decode(line, type=_Action) for line in lines]
    (told,) = (a.commit_info for a in actions if a.commit_info)
    added = (a.add for a in actions if a.add and a.add.data_change)
    return Commit(
        version,
        datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=told.timestamp),
        tuple(unquote(add.path) for add in added),
    )


def newest_commits(files: fs.FileSystem, version: int) -> Iterator[Commit]:
    """Yield a table's commits, newest first, as far as the log reaches.

    The commit that made the table adds nothing and is left out.

    Args:
        files: Below the table.
        version: The newest.
    """
    for each in range(version, 0, -1):
        try:
            yield read_commit(files, each)
        except FileNotFoundError:
            return
