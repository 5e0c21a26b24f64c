"""Which version of a table: by number, or by the time at which it was the newest.

A time means the clock of the commits, the wall clock of the writer as the store keeps
it. What was *known* at a market time is another question: ``conf.lake.views.known_at``.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow.fs
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler

from conf.errors import FixSetup
from conf.lake.roots import table_uri
from conf.lake.tables import TABLES, TableContract

AsOf = int | datetime
"""A version, or a time with its zone."""

_LOG = "_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_ALL_DIGITS = re.compile(r"\d+")
_TICK = timedelta(milliseconds=1)


class Commit(NamedTuple):
    """One commit that the log still holds."""

    version: int
    time: datetime


def open_table(
    root: str, contract: TableContract, as_of: AsOf | None = None
) -> DeltaTable:
    """Open a table at one version, by default the newest.

    Raises:
        FixSetup: There is no such version, or not any more.
        deltalake.exceptions.TableNotFoundError: There is no such table.
    """
    uri = table_uri(root, contract)
    if as_of is None:
        return DeltaTable(uri)
    table = DeltaTable(uri)
    version = as_of if isinstance(as_of, int) else version_at(root, contract, as_of)
    if version is None:
        raise _not_there(root, contract, f"a version of {as_of}")
    try:
        table.load_as_version(version)
    except (DeltaError, OSError) as error:
        raise _not_there(root, contract, f"version {version}") from error
    return table


def version_at(root: str, contract: TableContract, moment: datetime) -> int | None:
    """Return the version that was the newest at a time, None before the first.

    Raises:
        FixSetup: The log of that time is gone.
        ValueError: The time has no zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: say datetime(…, tzinfo=UTC)")
    held = commits(log_files(table_uri(root, contract)))
    index = bisect_right(held, moment, key=lambda commit: commit.time)
    version = held[index - 1].version if index else -1
    # Where a pinned version outlived its neighbours, the one asked for may be gone.
    if index < len(held) and held[index].version != version + 1:
        raise _not_there(root, contract, f"a version of {moment.isoformat()}")
    return None if version < 0 else version


def commits(log: Iterable[pyarrow.fs.FileInfo]) -> list[Commit]:
    """Return the commits of a table's log, oldest first.

    Times rise strictly, as Spark reads them: a clock that was set back, or two commits
    of one instant, count a millisecond after the commit before.
    """
    found = list[Commit]()
    for file in log:
        if match := _COMMIT.fullmatch(file.base_name):
            time = file.mtime
            if found and time <= found[-1].time:
                time = found[-1].time + _TICK
            found.append(Commit(int(match[1]), time))
    return found


def log_files(uri: str) -> list[pyarrow.fs.FileInfo]:
    """Return the files of a table's log by name, which is by version."""
    files = storage(uri).get_file_info(pyarrow.fs.FileSelector(_LOG))
    return sorted(files, key=lambda file: file.base_name)


def storage(uri: str) -> pyarrow.fs.FileSystem:
    """Return the store of a table, whatever it is, rooted at the table."""
    return pyarrow.fs.PyFileSystem(DeltaStorageHandler(uri))


def known_table(name: str) -> TableContract:
    """Return the contract of a name.

    Raises:
        FixSetup: There is no such table.
    """
    if name not in TABLES:
        raise FixSetup(name, "is no table", f"There are {', '.join(TABLES)}")
    return TABLES[name]


def parse_as_of(text: str) -> datetime | Mapping[str, AsOf]:
    """Read what a person types: a time, or ``silver.trades@41`` (several by commas).

    Raises:
        FixSetup: It is neither, or there is no such table.
    """
    if "@" not in text:
        return _parse_moment(text)
    pairs = (part.partition("@") for part in text.split(","))
    return {known_table(name.strip()).name: _parse_version(at) for name, _, at in pairs}


def _parse_version(text: str) -> AsOf:
    return int(text) if _ALL_DIGITS.fullmatch(text) else _parse_moment(text)


def _parse_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise FixSetup(
            "--as-of",
            f"{text!r} is no time with a zone, no pin and no version of a table",
            "Write 2026-11-23T15:00:00Z, the name of a pin, or silver.trades@41",
        )
    return moment


def _not_there(root: str, contract: TableContract, wanted: str) -> FixSetup:
    held = commits(log_files(table_uri(root, contract)))
    span = (
        f"It has {held[0].version} ({held[0].time:%Y-%m-%dT%H:%M:%SZ}) to "
        f"{held[-1].version} ({held[-1].time:%Y-%m-%dT%H:%M:%SZ})"
        if held
        else "Its log is empty"
    )
    return FixSetup(contract.name, f"{wanted} cannot be read", span)
