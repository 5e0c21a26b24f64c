"""What keeps a lake small: dropping old days, unused files and old log entries.

Only the process that writes a table may call this. Versions that a pin names stay
readable whatever is removed (``conf.lake.manifest``).
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pyarrow.fs
from deltalake import DeltaTable

from conf.lake.create import DEFAULT_LOG_RETENTION_DAYS, LOG_RETENTION_DAYS
from conf.lake.manifest import held_pins, pinned_versions
from conf.lake.roots import table_uri
from conf.lake.tables import TableContract
from conf.lake.versions import commits, log_files, open_table, storage
from conf.logs import get_logger

_FOLDER = "_delta_log"
_VERSION_DIGITS = 20
_log = get_logger(__name__)


def drop_oldest_day(root: str, contracts: Iterable[TableContract]) -> str | None:
    """Delete the oldest closed day that any table holds, and its files from the disk.

    A day is closed when a table holds two newer ones: late rows reach back six hours.
    Nothing is written there any more; older versions of the table lose the day too,
    unless a pin keeps them.

    Args:
        root: The lake, a local folder.
        contracts: Tables partitioned by ``day`` first.

    Returns:
        The day, as RFC 3339 text, or None if no day is closed.
    """
    closed = {contract: _closed_days(root, contract) for contract in contracts}
    oldest = min((day for days in closed.values() for day in days), default=None)
    with held_pins(root):
        for contract, days in closed.items():
            if oldest in days:
                uri = table_uri(root, contract)
                DeltaTable(uri).delete(f"day = '{oldest}'")
                pinned = _pinned_files(root, contract)
                _remove_files(Path(uri) / f"day={oldest}", pinned)
    return oldest


def _closed_days(root: str, contract: TableContract) -> list[str]:
    partitions = DeltaTable(table_uri(root, contract)).partitions()
    return sorted({str(partition["day"]) for partition in partitions})[:-2]


def _pinned_files(root: str, contract: TableContract) -> set[str]:
    return {
        uri
        for version in pinned_versions(root, contract)
        for uri in open_table(root, contract, version).file_uris()
    }


def _remove_files(folder: Path, kept: Collection[str]) -> None:
    """Remove the files of a folder, and the folders that are empty then."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            _remove_if_empty(path)
        elif str(path) not in kept:
            path.unlink()
    _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def tidy_in_background(root: str, contract: TableContract) -> None:
    """Let ``tidy`` run beside the commits: it lists the whole log."""
    Thread(target=_tidy_once, args=(root, contract), name="tidy", daemon=True).start()


def _tidy_once(root: str, contract: TableContract) -> None:
    try:
        tidy(root, contract)
    except Exception:
        _log.exception("not tidied; the next time does it", table=contract.name)


def tidy(root: str, contract: TableContract, now: datetime | None = None) -> None:
    """Remove the files and log entries that no version worth keeping needs.

    Worth keeping is what is younger than the table's retention, and what is pinned. It
    commits to the table with deltalake: where Spark commits too, only under the lock of
    the committer.

    Args:
        root: The lake.
        contract: The table.
        now: Wall clock, by which log entries are old.
    """
    with held_pins(root):
        table = DeltaTable(table_uri(root, contract))
        pinned = pinned_versions(root, contract)
        table.vacuum(dry_run=False, keep_versions=pinned or None)
    clean_log(root, contract, now)


def clean_log(root: str, contract: TableContract, now: datetime | None = None) -> int:
    """Remove the log entries that no version worth keeping is read from; no commit.

    A version is read from the newest checkpoint at or before it and the commits after
    that one; of a pinned version just these stay.

    Returns:
        The number of files removed.
    """
    with held_pins(root):
        pinned = pinned_versions(root, contract)
        return _remove_entries(root, contract, pinned, now or datetime.now(UTC))


def _remove_entries(
    root: str, contract: TableContract, pinned: Iterable[int], now: datetime
) -> int:
    uri = table_uri(root, contract)
    days = LOG_RETENTION_DAYS.get(contract.name, DEFAULT_LOG_RETENTION_DAYS)
    horizon = now - timedelta(days=days)
    log = log_files(uri)
    old = [commit.version for commit in commits(log) if commit.time <= horizon]
    if not old:
        return 0
    files = dict(_versions(log))
    checkpoints = sorted({v for name, v in files.items() if ".checkpoint." in name})
    kept = [range(_begin(checkpoints, pin), pin + 1) for pin in pinned]
    floor = _begin(checkpoints, old[-1])
    store = storage(uri)
    removed = [
        name
        for name, version in files.items()
        if version < floor and not any(version in versions for versions in kept)
    ]
    for name in removed:
        store.delete_file(f"{_FOLDER}/{name}")
    return len(removed)


def _versions(log: Iterable[pyarrow.fs.FileInfo]) -> Iterator[tuple[str, int]]:
    """Yield each commit and checkpoint with its version."""
    for file in log:
        digits = file.base_name[:_VERSION_DIGITS]
        if digits.isdecimal() and len(digits) == _VERSION_DIGITS:
            yield file.base_name, int(digits)


def _begin(checkpoints: list[int], version: int) -> int:
    """Return the version from which reading ``version`` begins."""
    return max((c for c in checkpoints if c <= version), default=0)
