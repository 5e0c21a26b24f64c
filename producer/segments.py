r"""Records on disk, in the order written: append, sync, read again, drop.

A folder of files ``<number>.spool``, each a run of entries:

    crc32 of what follows (4) · kind (1) · number (8) · messages (4) · key length (2)
    · body length (4) · key · body

An entry is a record (``R``) or a mark (``M``), all numbers little-endian. A file is
written once and never again after a failed write. Bytes that are no entry are
``DAMAGED``, and reading goes on with the next whole one. At the end of a file they may
be a write that was torn, as by a lost power supply: the number of the next entry tells.
One process holds the folder at a time.
"""

import errno
import fcntl
import math
import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from conf.errors import FixSetup
from conf.logs import get_logger

SEGMENT_BYTES = 16 * 1024 * 1024
RECORD, MARK, DAMAGED = b"R", b"M", b"D"
DAMAGED_FOLDER = "damaged"
_HEAD = struct.Struct("<IcQIHI")
_CRC_BYTES = 4
_KIND = re.compile(b"[RM]")
_PIECE_BYTES = 64 * 1024
_MOST_UNREADABLE = 64  # each may take a dying disk many seconds
_log = get_logger(__name__)


class Place(NamedTuple):
    """Where an entry is on disk."""

    segment: int
    offset: int
    length: int


class Stored(NamedTuple):
    """One entry as it was read; of what is ``DAMAGED``, the place alone is known."""

    kind: bytes
    number: int
    messages: int
    key: str
    body: bytes
    place: Place


def encode(kind: bytes, number: int, messages: int, key: str, body: bytes) -> bytes:
    """Return the bytes of one entry."""
    name = key.encode()
    head = _HEAD.pack(0, kind, number, messages, len(name), len(body))
    content = b"".join((head[_CRC_BYTES:], name, body))
    return zlib.crc32(content).to_bytes(_CRC_BYTES, "little") + content


class Segments:
    """The files of one spool.

    Args:
        folder: Is made if it is absent.

    Raises:
        FixSetup: Another process writes there, nobody may, or nobody can look.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sizes = {
                int(path.stem): path.stat().st_size for path in folder.glob("*.spool")
            }
        except BlockingIOError:
            os.close(self._lock)
            raise FixSetup(
                str(folder), "another producer writes here", "Stop it: make stop"
            ) from None
        except OSError as error:
            raise FixSetup(
                str(folder),
                str(error),
                "Make the folder writable, or set TICKHOUSE_VAR",
            ) from error
        self._unreadable: set[tuple[int, int]] = set()
        self._active: int | None = None
        self._file = -1

    @property
    def disk_bytes(self) -> int:
        """How much is on disk."""
        return sum(self._sizes.values())

    @property
    def active(self) -> int | None:
        """Number of the file that is written to; None before the first write."""
        return self._active

    def read_all(
        self, since_s: float = 0.0, until_s: float = math.inf
    ) -> Iterator[Stored]:
        """Yield the entries of files written in a time, epoch s, oldest first.

        Raises:
            OSError: A file may not be read, or so much of the disk cannot that it must
                be failing. A few bad places are damage.
        """
        begun_s = 0.0
        for segment in self.segments():
            written_s = self.written_s(segment)
            is_asked_for = written_s >= since_s and begun_s < until_s
            begun_s = written_s  # the next file begins where this one ends
            if not is_asked_for:
                continue
            yield from _entries(self._content(segment), segment)

    def read(self, place: Place) -> Stored:
        """Return one entry.

        Raises:
            OSError: The disk cannot be read.
            ValueError: Its bytes have changed since they were written.
        """
        file = os.open(self._path(place.segment), os.O_RDONLY)
        try:
            content = os.pread(file, place.length, place.offset)
        finally:
            os.close(file)
        entry = _decode(content, place.segment, 0)
        if entry is None:
            raise ValueError(f"{self._path(place.segment)}: damaged at {place.offset}")
        return entry._replace(place=place)

    def set_aside(self, place: Place) -> Path:
        """Copy bytes to where nothing deletes them, for a person; return the file.

        Of what the disk cannot read, the whole file stays there under a second name.

        Raises:
            OSError: The disk takes nothing.
        """
        kept = self._folder / DAMAGED_FOLDER / f"{place.segment:012d}-{place.offset}"
        kept.parent.mkdir(exist_ok=True)
        try:
            with self._path(place.segment).open("rb") as file:
                content = os.pread(file.fileno(), place.length, place.offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return self._keep_whole(place.segment)
        kept.write_bytes(content)
        return kept

    def write(self, entries: list[bytes]) -> list[Place]:
        """Append entries and return where they are, once the disk has them.

        Raises:
            OSError: None of them counts as written; the next call begins a new file.
        """
        if self._active is None or self._sizes[self._active] >= SEGMENT_BYTES:
            self._begin()
        segment, start = self._active or 0, self._sizes[self._active or 0]
        try:
            _write_whole(self._file, b"".join(entries))
            os.fdatasync(self._file)
        except OSError:
            self._sizes[segment] = os.fstat(self._file).st_size
            self._end()
            raise
        places = []
        for entry in entries:
            places.append(Place(segment, start, len(entry)))
            start += len(entry)
        self._sizes[segment] = start
        return places

    def drop(self, segment: int) -> None:
        """Delete a file that nobody needs any more."""
        self._path(segment).unlink(missing_ok=True)
        self._sizes.pop(segment, None)

    def written_s(self, segment: int) -> float:
        """Return when a file was last written to, epoch s."""
        return self._path(segment).stat().st_mtime

    def segments(self) -> list[int]:
        """Return the numbers of the files, oldest first."""
        return sorted(self._sizes)

    def close(self) -> None:
        """Let another process have the folder."""
        self._end()
        os.close(self._lock)

    def _content(self, segment: int) -> bytes:
        """Return a file's bytes; zeros, which are no entry, where the disk has none."""
        pieces = []
        with self._path(segment).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            for offset in range(0, size, _PIECE_BYTES):
                length = min(_PIECE_BYTES, size - offset)
                piece = _piece(file.fileno(), length, offset)
                if len(piece) < length:
                    self._cannot_read(segment, offset)
                pieces.append(piece.ljust(length, b"\0"))
        return b"".join(pieces)

    def _cannot_read(self, segment: int, offset: int) -> None:
        is_known = (segment, offset) in self._unreadable
        self._unreadable.add((segment, offset))
        path = str(self._path(segment))
        if len(self._unreadable) > _MOST_UNREADABLE:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        if is_known:
            return
        try:
            kept = str(self._keep_whole(segment))
        except OSError as error:
            kept = f"not kept: {error}"
        _log.error(
            "the disk cannot read a part of the spool: the rest is sent",
            path=path,
            offset=offset,
            kept=kept,
        )

    def _keep_whole(self, segment: int) -> Path:
        """Give a file a second name, which needs no reading."""
        path = self._path(segment)
        kept = self._folder / DAMAGED_FOLDER / path.name
        kept.parent.mkdir(exist_ok=True)
        if not (kept.exists() and kept.samefile(path)):
            kept.hardlink_to(path)
        return kept

    def _begin(self) -> None:
        self._end()
        segment = max(self._sizes, default=0) + 1
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(self._path(segment), flags, 0o600)
        self._sizes[segment], self._active = 0, segment
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the file's name must survive, too
        finally:
            os.close(folder)

    def _end(self) -> None:
        if self._active is not None:
            os.close(self._file)
            self._active = None

    def _path(self, segment: int) -> Path:
        return self._folder / f"{segment:012d}.spool"


def _write_whole(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def _piece(file: int, length: int, offset: int) -> bytes:
    """Return what can be read of a piece: less than its length is a bad place."""
    try:
        return os.pread(file, length, offset)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return b""


def _entries(content: bytes, segment: int) -> Iterator[Stored]:
    """Yield what a file holds, and where there is something else."""
    offset = 0
    while offset < len(content):
        entry = _decode(content, segment, offset)
        if entry is None:
            entry = _next_whole(content, segment, offset)
            end = entry.place.offset if entry else len(content)
            place = Place(segment, offset, end - offset)
            yield Stored(DAMAGED, 0, 0, "", b"", place)
        if entry is None:
            return
        yield entry
        offset = entry.place.offset + entry.place.length


def _next_whole(content: bytes, segment: int, offset: int) -> Stored | None:
    """Return the first whole entry behind damage, whose own length says nothing."""
    for kind in _KIND.finditer(content, offset + _CRC_BYTES + 1):
        entry = _decode(content, segment, kind.start() - _CRC_BYTES)
        if entry is not None:
            return entry
    return None


def _decode(content: bytes, segment: int, offset: int) -> Stored | None:
    """Return the entry at an offset; None where no whole one begins."""
    if len(content) - offset < _HEAD.size:
        return None
    crc, kind, number, messages, key_length, length = _HEAD.unpack_from(content, offset)
    start, end = offset + _HEAD.size, offset + _HEAD.size + key_length + length
    if end > len(content) or crc != zlib.crc32(content[offset + _CRC_BYTES : end]):
        return None
    key = content[start : start + key_length].decode()
    body = content[start + key_length : end]
    place = Place(segment, offset, end - offset)
    return Stored(kind, number, messages, key, body, place)
