"""Files of what was found so far: a kill in the middle of a writing spoils none."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from conf.errors import FixSetup


def write(path: Path, data: bytes) -> None:
    """Make or replace a file, so that it is seen whole or not at all.

    Its folder is made. When this returns it outlives a power failure, too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    with half.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    _sync(path.parent)  # the file's name must survive, too


def append(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add a JSON line per row; the file is made with the first.

    A last line that a kill cut off is dropped: it would spoil the one that follows.
    Processes that add to one file wait for each other.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row) + "\n" for row in rows)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(len(_whole_lines(path)))
        file.write(data.encode())
        file.flush()
        os.fsync(file.fileno())


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Return what the lines of ``append`` hold, but for a last one that was cut off.

    Raises:
        FixSetup: A line before it is no JSON; says which.
    """
    for number, line in enumerate(_whole_lines(path).splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise FixSetup(
                f"{path}, line {number}", f"no JSON: {error}", "Delete the line"
            ) from error


def _whole_lines(path: Path) -> bytes:
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
