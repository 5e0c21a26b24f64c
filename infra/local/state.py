"""The files of ``<var>/run``: how the processes of a local run tell their state.

Each is replaced as a whole, so a reader never meets half of one.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from conf.errors import FixSetup
from conf.settings import ROOT, Settings
from infra.local import process_table

LIVE = "live"
FAILED, STOPPED = "failed", "stopped"
_ENDED = (FAILED, STOPPED)
T = TypeVar("T")


class ProcessStatus(msgspec.Struct, frozen=True):
    """One supervised process. ``identity`` outlives the supervisor, for ``stop``."""

    name: str
    state: str
    pid: int | None = None
    identity: str | None = None
    restarts: int = 0
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    note: str = ""


class StageStatus(msgspec.Struct, frozen=True):
    """One stage of the flow; None where it cannot be known (yet).

    ``lag_s`` is the age of the newest row there, ``latency_s`` the age that the oldest
    row of the last batch had on arrival, ``total`` the rows since the process began.
    """

    name: str
    state: str
    rate_per_s: float | None = None
    lag_s: float | None = None
    latency_s: float | None = None
    total: int | None = None


class DiskStatus(msgspec.Struct, frozen=True):
    """``disk.json``. The lake driver drops old days while ``over_budget``.

    ``state`` is ok, over_budget or paused (too little free, so nothing is ingested).
    """

    used_gb: float
    free_gb: float
    state: str


class RunStatus(msgspec.Struct, frozen=True):
    """``supervisor.json``: the run as its supervisor saw it at ``updated``.

    Times are Unix seconds. ``pid`` and ``identity`` are the supervisor's own; ``url``
    is the page's, ``ui_url`` Spark's.
    """

    state: str
    pid: int | None = None
    identity: str | None = None
    since: float | None = None
    updated: float | None = None
    processes: list[ProcessStatus] = []
    stages: list[StageStatus] = []
    disk: DiskStatus | None = None
    url: str | None = None
    ui_url: str | None = None
    first_gold_s: float | None = None

    def is_running(self) -> bool:
        """Return whether the supervisor that wrote this is still at work."""
        return (
            self.pid is not None
            and self.state not in _ENDED
            and process_table.identity(self.pid) == self.identity
        )


class QueryStatus(msgspec.Struct, frozen=True):
    """The last batch of one streaming query. Ages are those at its commit."""

    rows: int = 0
    rows_total: int = 0
    finished: float | None = None
    newest_age_s: float | None = None
    oldest_age_s: float | None = None


class LakeStatus(msgspec.Struct, frozen=True):
    """What this package reads of ``lake.json``, the Spark driver's."""

    state: str
    ui_url: str | None = None
    error: str | None = None
    updated: float | None = None
    queries: dict[str, QueryStatus] = {}


class ApiStatus(msgspec.Struct, frozen=True):
    """What this package reads of ``api.json``."""

    state: str
    url: str | None = None
    updated: float | None = None


class ProducerStatus(msgspec.Struct, frozen=True):
    """What this package reads of ``producer.json``."""

    state: str
    messages_per_s: float | None = None
    messages_total: int | None = None
    last_frame_age_s: float | None = None
    behind_ms: float | None = None
    updated: float | None = None


class QualityStatus(msgspec.Struct, frozen=True):
    """``quality.json``: the last validation. ``failed`` are rules, with their suite."""

    state: str
    updated: float | None = None
    rows: int = 0
    failed: list[str] = []
    seconds: float | None = None


def var_folder(settings: Settings) -> Path:
    """Return the folder of everything that a local run writes, absolute."""
    return ROOT / settings.var


def run_folder(settings: Settings) -> Path:
    """Return the folder of the state files."""
    return var_folder(settings) / "run"


def log_file(settings: Settings, name: str) -> Path:
    """Return the log of one process of the run."""
    return var_folder(settings) / "logs" / f"{name}.log"


def write(path: Path, value: msgspec.Struct) -> None:
    """Replace ``path`` by ``value`` as JSON, at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".new")
    half.write_bytes(msgspec.json.encode(value))
    half.replace(path)


def read(path: Path, kind: type[T]) -> T | None:
    """Return what ``path`` says; None if it is not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None


def settled_in(settings: Settings, var: Path) -> Settings:
    """Return the settings of a run on a var folder and lake of its own."""
    lake = {"root": str(var / "lake"), "checkpoints": str(var / "checkpoints")}
    own = {"var": var, "lake": settings.lake.model_copy(update=lake)}
    return settings.model_copy(update=own)


def read_run(settings: Settings) -> RunStatus | None:
    """Return the last written state of the run; None if there was none."""
    return read(run_folder(settings) / "supervisor.json", RunStatus)


@contextmanager
def only_supervisor(settings: Settings) -> Iterator[None]:
    """Hold the var folder; the kernel lets go of it when this process ends.

    Raises:
        FixSetup: Another supervisor holds it.
    """
    folder = var_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _already_running(settings) from error
        yield
    finally:
        os.close(lock)


def now() -> float:
    """Return the wall clock as the state files keep it: Unix seconds."""
    return time.time()


def _already_running(settings: Settings) -> FixSetup:
    run = read_run(settings)
    who = f", pid {run.pid}" if run and run.is_running() else ""
    return FixSetup(
        f"folder {var_folder(settings)}",
        f"a pipeline is already running on it{who}",
        "See it with `make status`, end it with `make stop`",
    )
