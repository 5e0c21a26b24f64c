"""A table through the end of its log: a commit costs the same however long that is.

deltalake lists ``_delta_log`` before and after each commit, and a listing of a local
folder walks every entry. So a committer opens the table in a folder of its own:

    _writing/silver.trades.x1f3/
        _delta_log/         hard links to the newest checkpoint and what came later
        day=2026-11-23  ->  the table's folder of that day

deltalake commits there, where nobody else does; then the entry is linked into the
table's log. That link is the commit. It fails when the version is there already, which
is how deltalake itself keeps the writers of a local table apart. Readers see only the
table, whose log is whole. When its process ends, the folder is worth nothing.
"""

import fcntl
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from conf.errors import FixSetup
from conf.lake.roots import absolute, table_uri
from conf.lake.tables import TableContract

_FOLDER = "_writing"
_LOG = "_delta_log"
_HINT = "_last_checkpoint"
_ENTRY = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")
_DEFAULT_INTERVAL = "100"


class ShortLog:
    """One table of a local lake, to commit to; of one thread at a time.

    Args:
        root: The lake, a local folder.
        contract: The table; it exists and is partitioned.

    Attributes:
        table: The table at the newest version that ``follow`` or ``commit`` saw.
    """

    def __init__(self, root: str, contract: TableContract) -> None:
        self._home = Path(table_uri(root, contract))
        self._partition = contract.partition_by[0]
        parent = Path(absolute(root)) / _FOLDER
        lock, number = _locked(parent, contract.name)
        # Not when the process ends: its threads may still be committing then.
        weakref.finalize(self, _remove, lock, number).atexit = False
        self._folder = lock.with_suffix("")
        self._log = self._folder / _LOG
        self._log.mkdir(parents=True)
        self._checkpointed = self._link_end()
        self._link_partitions(path.name for path in self._home.iterdir())
        self.table = DeltaTable(str(self._folder))
        self._version = self.table.version()
        properties = self.table.metadata().configuration
        self._interval = int(
            properties.get("delta.checkpointInterval", _DEFAULT_INTERVAL)
        )

    def follow(self) -> None:
        """See what others have committed: one look at one name if that is nothing."""
        version = self._version
        while self._take(version + 1):
            version += 1
        if version > self._version:
            self._link_partitions(path.name for path in self._home.iterdir())
            self.table.update_incremental()
            self._version = version

    def make_room(self, values: Iterable[object]) -> None:
        """Let rows be written whose first partition column has these values."""
        names = [f"{self._partition}={value}" for value in values]
        for name in names:
            (self._home / name).mkdir(exist_ok=True)
        self._link_partitions(names)

    @contextmanager
    def commit(self) -> Iterator[DeltaTable]:
        """Publish what is committed to the yielded table, else undo it.

        Write checkpoints by no other means: ``PostCommitHookProperties`` must say so.

        Raises:
            CommitFailedError: Another process was first; ``follow`` shows its commit.
        """
        try:
            yield self.table
            self._publish()
        except BaseException:
            self._discard()
            raise
        if self._version // self._interval > self._checkpointed // self._interval:
            self._write_checkpoint()

    def _publish(self) -> None:
        self._require_links()
        for version in range(self._version + 1, self.table.version() + 1):
            name = f"{version:020d}.json"
            try:
                os.link(self._log / name, self._home / _LOG / name)
            except FileExistsError as error:
                why = f"{self._home}: another process committed version {version}"
                raise CommitFailedError(why) from error
            self._version = version

    def _require_links(self) -> None:
        """Refuse files that no reader would find: written here, not to the table."""
        for path in self._folder.iterdir():
            if path != self._log and not path.is_symlink():
                raise FixSetup(
                    str(path), "is no link to the table any more", "Start again"
                )

    def _discard(self) -> None:
        """Go back to the newest published version."""
        for version, path in _entries(self._log):
            if version > self._version:
                path.unlink()
        self.table = DeltaTable(str(self._folder))

    def _write_checkpoint(self) -> None:
        self.table.create_checkpoint()
        name = f"{self._version:020d}.checkpoint.parquet"
        # Another writer's checkpoint of this version says the same.
        with suppress(FileExistsError):
            os.link(self._log / name, self._home / _LOG / name)
        fresh = self._log / f"{_HINT}.fresh"
        shutil.copyfile(self._log / _HINT, fresh)
        fresh.replace(self._home / _LOG / _HINT)
        # The table is still read from the checkpoint before: that one goes next time.
        for version, path in _entries(self._log):
            if version < self._checkpointed:
                path.unlink()
        self._checkpointed = self._version

    def _link_end(self) -> int:
        """Link the newest checkpoint and what came later; return its version, or 0."""
        entries = sorted(_entries(self._home / _LOG))
        begin = max((v for v, path in entries if path.suffix == ".parquet"), default=0)
        for version, path in entries:
            if version >= begin:
                os.link(path, self._log / path.name)
        return begin

    def _take(self, version: int) -> bool:
        """Link the entry of one version, if it is there."""
        name = f"{version:020d}.json"
        try:
            os.link(self._home / _LOG / name, self._log / name)
        except FileNotFoundError:
            return False
        except FileExistsError:  # from a try that ended half-way
            return True
        return True

    def _link_partitions(self, names: Iterable[str]) -> None:
        for name in names:
            if name.startswith(f"{self._partition}="):
                with suppress(FileExistsError):
                    (self._folder / name).symlink_to(self._home / name)


def _entries(log: Path) -> Iterator[tuple[int, Path]]:
    """Yield each commit and checkpoint of a log with its version."""
    for path in log.iterdir():
        if match := _ENTRY.fullmatch(path.name):
            yield int(match[1]), path


def _locked(parent: Path, name: str) -> tuple[Path, int]:
    """Return a new file, by whose lock a folder beside it is known to be in use.

    What ended processes left behind is removed first: nobody locks it.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{name}.*.lock"):
        with suppress(FileNotFoundError, BlockingIOError), left.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(left)
    number, path = tempfile.mkstemp(dir=parent, prefix=f"{name}.", suffix=".lock")
    fcntl.flock(number, fcntl.LOCK_EX)
    return Path(path), number


def _remove(lock: Path, number: int | None = None) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)
    if number is not None:
        os.close(number)
