"""What changed in a table between two versions, by its log alone.

The price of looking is that of the change, however large the table and however long
its log: the commits are read one by one from the version that was seen last, and no
file that they did not add is opened.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import msgspec

from conf.errors import FixSetup
from conf.lake.roots import table_uri
from conf.lake.tables import TableContract
from conf.logs import get_logger

_LOG = "_delta_log"
_log = get_logger(__name__)


@dataclass(frozen=True)
class Change:
    """What the commits after one version, up to another, added to a table.

    Attributes:
        contract: The table.
        after: The version before it; -1 before the first.
        version: The last one of it.
        files: Local Parquet files that hold the rows. A file that an upsert wrote also
            holds the rows that the upsert did not change.
        rows: How many they hold.
        begun_s: When its first commit was made, Unix seconds.
        time_s: The same of its last one.
    """

    contract: TableContract
    after: int
    version: int
    files: tuple[str, ...]
    rows: int
    begun_s: float
    time_s: float


class _Add(msgspec.Struct):
    path: str
    data_change: bool = msgspec.field(name="dataChange", default=True)
    stats: str | None = None


class _Remove(msgspec.Struct):
    path: str
    data_change: bool = msgspec.field(name="dataChange", default=True)


class _Action(msgspec.Struct):
    add: _Add | None = None
    remove: _Remove | None = None


class _Stats(msgspec.Struct):
    rows: int = msgspec.field(name="numRecords", default=0)


_actions = msgspec.json.Decoder(_Action)


class _Checkpoint(msgspec.Struct):
    version: int


def change_since(
    root: str,
    contract: TableContract,
    after: int,
    *,
    until: int | None = None,
    until_s: float | None = None,
    max_rows: int | None = None,
) -> Change | None:
    """Return what was added after a version, or None if no commit came after it.

    Compaction adds no rows, and what was replaced or deleted since is left out.

    Args:
        root: The lake, a local folder.
        contract: The table; it need not exist.
        after: The version that was seen last, -1 for none.
        until: Leave later versions; by default up to the newest.
        until_s: Leave what was committed later, Unix seconds.
        max_rows: Stop at the commit that reaches so many; by default never.

    Raises:
        FixSetup: The lake is no local folder.
    """
    uri = table_uri(root, contract)
    if "://" in uri:
        raise FixSetup(uri, "is no local folder", "Validate where the lake is a folder")
    log = Path(uri) / _LOG
    first = max(after + 1, _oldest(log, after + 1))
    added = _Added()
    times = list[float]()
    for commit in _commits(log, first, until):
        made_s = commit.stat().st_mtime
        if until_s is not None and made_s > until_s:
            break
        added.take(commit)
        times.append(made_s)
        if max_rows is not None and sum(added.files.values()) >= max_rows:
            break
    if not times:
        return None
    files = _existing(contract, Path(uri), added.files)
    rows = sum(added.files.values())
    version = first + len(times) - 1
    return Change(contract, first - 1, version, files, rows, times[0], times[-1])


def commit_time_s(root: str, contract: TableContract, version: int) -> float | None:
    """Return when a version was committed, Unix seconds; None if that is not known."""
    commit = Path(table_uri(root, contract)) / _LOG / f"{version:020d}.json"
    return commit.stat().st_mtime if commit.exists() else None


def version_before(
    root: str, contract: TableContract, time_s: float, newest: int
) -> int:
    """Return the newest version committed before a time, -1 if none is known.

    Args:
        root: The lake, a local folder.
        contract: The table.
        time_s: Unix seconds.
        newest: Look from this version on, back.
    """
    version = newest
    while (made := commit_time_s(root, contract, version)) and made >= time_s:
        version -= 1
    return version if made else -1


def _commits(log: Path, first: int, until: int | None) -> Iterator[Path]:
    version = first
    while until is None or version <= until:
        commit = log / f"{version:020d}.json"
        if not commit.exists():
            return
        yield commit
        version += 1


def _oldest(log: Path, wanted: int) -> int:
    """Return the oldest commit that is held from ``wanted`` on.

    Listing a log of days costs more than a slice: only a checkpoint that is newer than
    a missing commit tells that older ones were cleaned away.
    """
    last = log / "_last_checkpoint"
    if (log / f"{wanted:020d}.json").exists() or not last.exists():
        return wanted
    if msgspec.json.decode(last.read_bytes(), type=_Checkpoint).version < wanted:
        return wanted
    held = sorted(int(c.stem) for c in log.glob("*.json") if c.stem.isdecimal())
    oldest = next((version for version in held if version >= wanted), wanted)
    _log.warning("commits are gone unread", log=str(log), first=wanted, next=oldest)
    return oldest


@dataclass(frozen=True)
class _Compacted:
    """What compactions of one folder made of some files.

    Attributes:
        sources: The files that went in, those of compactions between included.
        targets: The files that hold their rows now, and how many rows each holds.
    """

    sources: set[str]
    targets: dict[str, int]


class _Added:
    """The files that commits added, without what was replaced or deleted since.

    A compacted file stays on the disk until VACUUM, and its rows are the change: the
    files that it went into hold older ones as well. Those take its place only once an
    upsert has replaced a part of them, for then the change is in there.

    Attributes:
        files: Their rows, by path.
    """

    def __init__(self) -> None:
        self.files: dict[str, int] = {}
        self._compacted: dict[str, _Compacted] = {}

    def take(self, commit: Path) -> None:
        """Add what a commit added, take away what it replaced or deleted."""
        sources, targets = set[str](), dict[str, int]()
        for action in _actions.decode_lines(commit.read_bytes()):
            if add := action.add:
                stats = msgspec.json.decode(add.stats or "{}", type=_Stats)
                into = self.files if add.data_change else targets
                into[unquote(add.path)] = stats.rows
            if remove := action.remove:
                path = unquote(remove.path)
                if remove.data_change:
                    self._replace(path)
                else:
                    sources.add(path)
        for folder in {Path(path).parent for path in targets}:
            self._compact(
                {path for path in sources if Path(path).parent == folder},
                {path: n for path, n in targets.items() if Path(path).parent == folder},
            )

    def _compact(self, sources: set[str], targets: dict[str, int]) -> None:
        """Note what went into compacted files, with all that was compacted into it.

        A source may be one of several files of a compaction before: then the others
        hold rows of the same change, and stay with it.
        """
        before = [self._compacted.pop(path, None) for path in sources]
        together = _Compacted(set(sources), dict(targets))
        for compacted in filter(None, before):
            together.sources.update(compacted.sources)
            others = compacted.targets.items()
            together.targets.update((p, n) for p, n in others if p not in sources)
        self._compacted |= dict.fromkeys(together.targets, together)

    def _replace(self, path: str) -> None:
        if compacted := self._compacted.get(path):
            for target in compacted.targets:
                del self._compacted[target]
            if not compacted.sources.isdisjoint(self.files):
                for source in compacted.sources:
                    self.files.pop(source, None)
                self.files |= compacted.targets
        self.files.pop(path, None)


def _existing(
    contract: TableContract, table: Path, added: dict[str, int]
) -> tuple[str, ...]:
    paths = [table / path for path in added]
    there = tuple(str(path) for path in paths if path.exists())
    if gone := len(paths) - len(there):
        _log.warning("files are gone unread", table=contract.name, files=gone)
    return there
