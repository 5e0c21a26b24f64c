"""A table through the end of its log: a commit costs the same however long that is.

deltalake lists ``_delta_log`` before and after each commit, and a listing of a local
folder walks every entry. So a committer opens the table in a folder of its own:

    _writing/silver.trades.x1f3/
        _delta_log/         hard links to the newest checkpoint and what came later
        day=2026-11-23  ->  the table's folder of that day

deltalake commits there, where nobody else does; then the entry is linked into the
table's log. That link is the commit. It fails when the version is there already, which
is how deltalake itself keeps the writers of a local table apart. Whoever is behind the
table's newest checkpoint begins again there. Readers see only the table, whose log is
whole. When its process ends, the folder is worth nothing.
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

import msgspec
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from conf.errors import FixSetup
from conf.lake.roots import absolute, table_uri
from conf.lake.tables import TableContract
from conf.logs import get_logger

_FOLDER = "_writing"
_LOG = "_delta_log"
_HINT = "_last_checkpoint"
_ENTRY = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")
_DEFAULT_INTERVAL = "100"
_logger = get_logger(__name__)


class _Hint(msgspec.Struct):
    version: int


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
        self._checkpointed = self._version = 0
        self._reopen()
        properties = self.table.metadata().configuration
        self._interval = int(
            properties.get("delta.checkpointInterval", _DEFAULT_INTERVAL)
        )

    def follow(self) -> None:
        """See what others have committed: a look at two names if that is nothing."""
        if self._newest_checkpoint() > self._checkpointed:
            self._reopen()
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
            CommitFailedError: Another process was first; ``table`` has its commit now.
        """
        try:
            yield self.table
            self._publish()
        except BaseException:
            self._reopen()
            raise
        if self._version // self._interval > self._checkpointed // self._interval:
            self._try_checkpoint()

    def _publish(self) -> None:
        self._require_links()
        # Behind a checkpoint the log may have been cleaned: a name that is free there
        # is a hole, which no reader looks into.
        if self._newest_checkpoint() > self._version:
            raise CommitFailedError(f"{self._home}: others have gone far ahead")
        for version in range(self._version + 1, self.table.version() + 1):
            name = f"{version:020d}.json"
            try:
                os.link(self._log / name, self._home / _LOG / name)
            except FileExistsError as error:
                why = f"{self._home}: another process committed version {version}"
                raise CommitFailedError(why) from error
            self._version = version

    def _reopen(self) -> None:
        """Begin again at the table's newest checkpoint, with what is published."""
        for path in self._log.iterdir():
            path.unlink()
        self._checkpointed = self._link_end()
        self._link_partitions(path.name for path in self._home.iterdir())
        self.table = DeltaTable(str(self._folder))
        self._version = self.table.version()

    def _newest_checkpoint(self) -> int:
        """Return the version that the table's hint names; without one 0."""
        try:
            hint = (self._home / _LOG / _HINT).read_bytes()
        except FileNotFoundError:
            return 0
        return msgspec.json.decode(hint, type=_Hint).version

    def _require_links(self) -> None:
        """Refuse files that no reader would find: written here, not to the table."""
        for path in self._folder.iterdir():
            if path != self._log and not path.is_symlink():
                raise FixSetup(
                    str(path), "is no link to the table any more", "Start again"
                )

    def _try_checkpoint(self) -> None:
        """Write one; the commit before it is published whatever becomes of it."""
        try:
            self._write_checkpoint()
        except (OSError, DeltaError) as error:
            _logger.warning(
                "no checkpoint; the next commit tries again",
                table=str(self._home),
                reason=str(error),
            )

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
    while True:
        number, path = tempfile.mkstemp(dir=parent, prefix=f"{name}.", suffix=".lock")
        fcntl.flock(number, fcntl.LOCK_EX)
        if os.path.exists(path):
            return Path(path), number
        os.close(number)  # another opener took it for left behind


def _remove(lock: Path, number: int | None = None) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)
    if number is not None:
        os.close(number)
