"""The lease that lets one driver at a time commit to a lake.

A driver that was paused (a stopped process, a long collection, a lost network) may
wake after another took its place. Each driver holds a numbered lease, renews it from
a thread and looks at it before every commit: once a higher number is there it stops.
What slips between look and commit is caught by Delta's own transactions, because both
drivers name a batch alike. A driver that has lost its lease ends at once.
"""

import fcntl
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from conf.errors import Fenced, FixSetup
from conf.lake.roots import absolute
from conf.logs import get_logger

_EXIT_FENCED = 3


@dataclass(frozen=True)
class Lease:
    """Who may commit: the highest number wins. Times are wall-clock seconds."""

    number: int
    pid: int
    renewed_s: float


class Fence:
    """A lease in a file, for drivers that share a machine.

    Args:
        path: The lease file; its folder is created.
        lease_s: A holder that has not renewed for so long may be replaced.
        on_lost: Called from the renewing thread when another driver took over.
    """

    def __init__(
        self, path: Path, lease_s: float, on_lost: Callable[[Fenced], object]
    ) -> None:
        self._path, self._lease_s, self._on_lost = path, lease_s, on_lost
        self._number = 0
        self._released = threading.Event()
        self._committing = defaultdict[str, threading.Lock](threading.Lock)

    def acquire(self) -> None:
        """Take the lease and keep renewing it.

        Raises:
            FixSetup: Another driver holds it and is alive.
        """
        with self._locked():
            held = self._read()
            if held and self._is_alive(held):
                raise FixSetup(
                    str(self._path),
                    f"process {held.pid} writes this lake",
                    "Stop it first: `make stop`",
                )
            self._number = held.number + 1 if held else 1
            self._write()
        threading.Thread(target=self._keep, name="fence", daemon=True).start()

    @contextmanager
    def commit(self, table: str) -> Iterator[None]:
        """Hold while committing: one commit per table, and only by the lease's holder.

        Two queries of a layer write the same tables; taking turns here is cheaper
        than a Delta conflict.

        Raises:
            Fenced: Another driver has taken over.
        """
        with self._committing[table]:
            self.check()
            yield

    @contextmanager
    def alone(self, table: str) -> Iterator[bool]:
        """Tell whether no other process is in here for a table; never wait for it.

        A process that is stopped in here keeps the others out until it ends.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{table}.alone").open("w") as lock:
            try:
                fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def check(self) -> None:
        """Return if this process may commit.

        Raises:
            Fenced: Another driver has taken over.
        """
        held = self._read()
        if not held or held.number != self._number:
            raise self._fenced(held)

    def _fenced(self, held: Lease | None) -> Fenced:
        return Fenced(
            str(self._path),
            f"lease {self._number} was replaced by "
            f"{held.number if held else 'nobody: the file is gone'}",
            "This driver must stop; the other one goes on",
        )

    def release(self) -> None:
        """Give the lease up, so that the next driver need not wait for it."""
        self._released.set()
        with self._locked():
            held = self._read()
            if held and held.number == self._number:
                self._write(renewed_s=0.0)

    def _is_alive(self, held: Lease) -> bool:
        if time.time() - held.renewed_s > self._lease_s:
            return False
        try:
            os.kill(held.pid, 0)
        except ProcessLookupError:
            return False
        return held.pid != os.getpid()

    def _keep(self) -> None:
        """Renew until released; a lease that nobody renews protects nothing."""
        try:
            self._renew()
        except Exception as error:
            why = f"lease {self._number} cannot be renewed: {error}"
            then = "This driver must stop; the next one takes the lease"
            self._on_lost(Fenced(str(self._path), why, then))

    def _renew(self) -> None:
        while not self._released.wait(self._lease_s / 3):
            with self._locked():
                held = self._read()
                if not held or held.number != self._number:
                    self._on_lost(self._fenced(held))
                    return
                if not self._released.is_set():
                    self._write()

    def _read(self) -> Lease | None:
        try:
            return Lease(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return None

    def _write(self, renewed_s: float | None = None) -> None:
        now = time.time() if renewed_s is None else renewed_s
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(Lease(self._number, os.getpid(), now))))
        fresh.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            self._lock(lock.fileno())
            yield

    def _lock(self, file: int) -> None:
        """Lock for the moment of one read and write; a stopped holder is an error."""
        give_up = time.monotonic() + self._lease_s
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise FixSetup(
                        str(self._path),
                        f"has been locked for {self._lease_s:.0f} s",
                        "End the stopped process that holds it",
                    ) from None
                time.sleep(0.01)


@cache
def open_fence(root: str, writer: str, lease_s: float) -> Fence:
    """Take the lease of one layer's tables, once per process.

    Args:
        root: The lake's root.
        writer: The layer: bronze, silver or gold.
        lease_s: See ``Fence``.

    Raises:
        FixSetup: Another live driver has it, or the root is no local folder.
    """
    folder = absolute(root)
    if "://" in folder:
        raise FixSetup(
            "lake.root",
            f"{root} is no local folder, and leases on object stores do not exist yet",
            "Use a folder",
        )
    fence = Fence(Path(folder) / "_leases" / f"{writer}.json", lease_s, _end_process)
    fence.acquire()
    return fence


def _end_process(fenced: Fenced) -> None:
    """End at once: an orderly stop would let running queries commit once more."""
    get_logger(__name__).error("the lease is lost", error=str(fenced))
    sys.stderr.write(f"tickhouse: {fenced}\n")
    sys.stderr.flush()
    os._exit(_EXIT_FENCED)
