"""The disk budget of a local run: what is used, what is free, what that means."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from conf.settings import StorageSettings
from infra.local.state import DiskStatus

OK, OVER_BUDGET, PAUSED = "ok", "over_budget", "paused"
_RESUME_MARGIN = 1.1
"""Room needed to go on after a pause, so that the first batch does not end it again."""


def used_bytes(folder: Path) -> int:
    """Return the size of all files below ``folder``; what vanishes meanwhile is 0."""
    total = 0
    pending = [str(folder)]
    while pending:
        for entry in _entries(pending.pop()):
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            else:
                total += _size(entry)
    return total


def judge(
    used_gb: float, free_gb: float, storage: StorageSettings, *, was_paused: bool
) -> str:
    """Return the state of the disk; ``paused`` outranks ``over_budget``."""
    needed_gb = storage.min_free_gb * (_RESUME_MARGIN if was_paused else 1)
    if free_gb < needed_gb:
        return PAUSED
    return OVER_BUDGET if used_gb > storage.max_gb else OK


class DiskGuard:
    """Measures one folder now and then.

    Args:
        folder: What counts as used.
        storage: The budget.
        free_bytes: Room left on the file system of a folder.
        every_s: Time between two readings.
    """

    def __init__(
        self,
        folder: Path,
        storage: StorageSettings,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        every_s: float = 30.0,
    ) -> None:
        self._folder = folder
        self._storage = storage
        self._free_bytes = free_bytes
        self._every_s = every_s
        self._due = 0.0
        self.status: DiskStatus | None = None

    def check(self, monotonic_s: float) -> DiskStatus | None:
        """Return a new reading when one is due, else None."""
        if monotonic_s < self._due:
            return None
        self._due = monotonic_s + self._every_s
        used_gb = used_bytes(self._folder) / 1e9
        free_gb = self._free_bytes(self._folder) / 1e9
        was_paused = self.status is not None and self.status.state == PAUSED
        state = judge(used_gb, free_gb, self._storage, was_paused=was_paused)
        self.status = DiskStatus(round(used_gb, 3), round(free_gb, 3), state)
        return self.status


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
