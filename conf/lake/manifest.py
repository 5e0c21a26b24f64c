"""Manifests: versions of all tables that belong together, and pins that keep them.

``tie`` cuts every table at one instant of the commit clock. A row that was derived is
committed after what it was derived from, so a cut at one instant never holds a row
without its origin.

A pin is a manifest with a name, ``<root>/_pins/<name>.json``. Backtests and promoted
models pin what they read. VACUUM, log cleanup and the disk budget leave pinned versions
readable (``conf.lake.maintenance``) until ``unpin``.
"""

import fcntl
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from deltalake import DeltaTable

from conf.errors import FixSetup
from conf.lake.roots import absolute, table_uri
from conf.lake.tables import TABLES, TableContract
from conf.lake.versions import AsOf, open_table, parse_as_of, version_at

_FOLDER = "_pins"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Manifest(msgspec.Struct, frozen=True):
    """Versions of the tables of one lake that belong together.

    Attributes:
        as_of: The instant of the cut, UTC.
        versions: Delta version by table; a table that did not exist is left out.
        name: Of the pin; empty if nothing keeps these versions.
        reason: Who needs them, for a person to read.
    """

    as_of: datetime
    versions: dict[str, int]
    name: str = ""
    reason: str = ""


Cut = datetime | Mapping[str, AsOf] | Manifest | str
"""A time; versions of some tables, the others being the newest; a manifest; or one of
these as text, or the name of a pin."""


def tie(root: str, cut: Cut | None = None) -> Manifest:
    """Return the versions of all tables at one instant, by default now.

    Raises:
        FixSetup: There is no such pin, or a version cannot be read any more.
    """
    if isinstance(cut, Manifest):
        return cut
    if isinstance(cut, str):
        pinned = _read(_path(root, cut)) if _NAME.fullmatch(cut) else None
        return pinned or tie(root, parse_as_of(cut))
    if isinstance(cut, datetime):
        return Manifest(cut.astimezone(UTC), _versions(root, cut))
    now = datetime.now(UTC)
    given = {
        name: open_table(root, TABLES[name], as_of).version()
        for name, as_of in (cut or {}).items()
    }
    return Manifest(now, _versions(root, now) | given)


def _versions(root: str, moment: datetime) -> dict[str, int]:
    found = {
        contract.name: version_at(root, contract, moment)
        for contract in TABLES.values()
        if DeltaTable.is_deltatable(table_uri(root, contract))
    }
    return {name: version for name, version in found.items() if version is not None}


def pin(root: str, name: str, *, reason: str, cut: Cut | None = None) -> Manifest:
    """Keep the versions of a cut readable until ``unpin``.

    Args:
        root: The lake, a local folder.
        name: Letters, digits, ``.``, ``_`` and ``-``; of one pin at a time.
        reason: Who needs it: ``backtest 17``.
        cut: See ``tie``.

    Raises:
        FixSetup: The name is taken or no name, or files of a version are gone already.
    """
    path = _path(root, name)
    with held_pins(root):
        if path.exists():
            raise FixSetup(str(path), "this name is taken", "Choose another or unpin")
        tied = tie(root, cut)
        for table, version in tied.versions.items():
            _require_files(root, TABLES[table], version)
        pinned = msgspec.structs.replace(tied, name=name, reason=reason)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(pinned))
        fresh.replace(path)
    return pinned


def unpin(root: str, name: str) -> None:
    """Let the versions of a pin go; without such a pin, do nothing."""
    _path(root, name).unlink(missing_ok=True)


def pins(root: str) -> list[Manifest]:
    """Return every pin of a lake, oldest cut first."""
    paths = _folder(root).glob("*.json") if "://" not in absolute(root) else ()
    found = (_read(path) for path in paths)
    return sorted((p for p in found if p is not None), key=lambda p: p.as_of)


def pinned_versions(root: str, contract: TableContract) -> list[int]:
    """Return the versions of one table that pins keep, oldest first."""
    return sorted(
        {p.versions[contract.name] for p in pins(root) if contract.name in p.versions}
    )


@contextmanager
def held_pins(root: str) -> Iterator[None]:
    """Keep others from pinning: between looking at the pins and deleting files."""
    if "://" in absolute(root):  # nobody can pin there
        yield
        return
    folder = _folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        yield


def _require_files(root: str, contract: TableContract, version: int) -> None:
    files = open_table(root, contract, version).file_uris()
    gone = sum(not Path(file).exists() for file in files)
    if gone:
        raise FixSetup(
            f"{contract.name} version {version}",
            f"{gone} of its {len(files)} files were removed already",
            "Pin a newer version",
        )


def _read(path: Path) -> Manifest | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None


def _path(root: str, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise FixSetup(repr(name), "is no name of a pin", "Letters, digits, . _ -")
    return _folder(root) / f"{name}.json"


def _folder(root: str) -> Path:
    location = absolute(root)
    if "://" in location:
        raise FixSetup(
            "lake.root",
            f"{root} is no local folder, and pins on object stores do not exist yet",
            "Use a folder",
        )
    return Path(location) / _FOLDER
