"""What the operating system knows of processes: /proc on Linux, ``ps`` elsewhere."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"


class Row(NamedTuple):
    """One process. CPU time includes children that ended and were waited for."""

    parent: int
    rss_mb: float
    cpu_s: float


def read_table() -> dict[int, Row]:
    """Return every process of this machine that is not dead, by its id."""
    rows = _linux_rows() if sys.platform == "linux" else _ps_rows()
    return dict(rows)


def usage(pid: int, table: dict[int, Row] | None = None) -> tuple[float, float]:
    """Return resident memory (MB) and CPU time (s) of a process and all below it.

    Shared pages count once per process that maps them. A dead process uses nothing.

    Args:
        pid: Root of the tree.
        table: One reading for several calls; by default a new one.
    """
    table = read_table() if table is None else table
    rows = [table[member] for member in _tree(pid, table)]
    return sum(row.rss_mb for row in rows), sum(row.cpu_s for row in rows)


def identity(pid: int) -> str | None:
    """Return what tells this process from a later one of the same id; None if dead."""
    if sys.platform != "linux":
        started = _ps(["-o", "lstart=", "-p", str(pid)]).strip()
        return started or None
    stat = _stat(pid)
    if stat is None or stat[0] == "Z":
        return None
    return f"{_boot()}:{stat[19]}"


def session(leader: int) -> list[int]:
    """Return the living processes of the session that ``leader`` opened."""
    return [pid for pid in read_table() if _session_of(pid) == leader]


def kill_session(leader: int) -> list[int]:
    """SIGKILL every process of the session that ``leader`` opened; return their ids.

    A session holds what left its process group too, as Spark's Python workers do.
    """
    killed = session(leader)
    for pid in killed:
        _kill(pid)
    return killed


def kill_leftovers(leader: int, started: str) -> list[int]:
    """Like ``kill_session``, if the session is still the one that began at ``started``.

    A process id is not given away while its session lives, so when the leader is gone
    the session is ours unless the machine was restarted since.
    """
    now = identity(leader)
    orphaned = now is None and sys.platform == "linux" and started.startswith(_boot())
    return kill_session(leader) if now == started or orphaned else []


def port_owner(port: int) -> str | None:
    """Return "pid N: command" of who listens on a local TCP port, where that shows."""
    if sys.platform != "linux":
        return None
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for pid in _linux_pids():
        if sockets & set(_open_files(pid)):
            command = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
            return f"pid {pid}: {b' '.join(command).decode(errors='replace').strip()}"
    return None


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


def _tree(root: int, table: dict[int, Row]) -> list[int]:
    members = [root] if root in table else []
    for member in members:
        members += [pid for pid, row in table.items() if row.parent == member]
    return members


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself


def _linux_pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/pid/stat from the state on; None if there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _linux_rows() -> Iterator[tuple[int, Row]]:
    page_mb = os.sysconf("SC_PAGE_SIZE") / 1e6
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    for pid in _linux_pids():
        stat = _stat(pid)
        if stat and stat[0] != "Z":
            cpu_s = sum(map(int, stat[11:15])) * tick_s
            yield pid, Row(int(stat[1]), int(stat[21]) * page_mb, cpu_s)


def _ps_rows() -> Iterator[tuple[int, Row]]:
    for line in _ps(["-axo", "pid=,ppid=,rss=,time=,stat="]).splitlines():
        pid, parent, rss_kib, clock, state = line.split()
        if not state.startswith("Z"):
            rss_mb = int(rss_kib) * 1024 / 1e6
            yield int(pid), Row(int(parent), rss_mb, ps_seconds(clock))


def ps_seconds(clock: str) -> float:
    """Return the seconds of ``ps``'s CPU time: ``[days-][hours:]minutes:seconds``."""
    days, _, rest = clock.rpartition("-")
    seconds = 0.0
    for part in rest.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86_400 * int(days or 0)


def _ps(arguments: list[str]) -> str:
    done = subprocess.run(  # noqa: S603 (fixed program, numbers as arguments)
        ["/bin/ps", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout


def _listening_inodes(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        for line in (_PROC / "net" / name).read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                yield fields[9]


def _open_files(pid: int) -> Iterator[str]:
    try:
        for link in (_PROC / str(pid) / "fd").iterdir():
            yield os.readlink(link)
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return  # ended meanwhile, or another user's
