"""What the command line does with the local pipeline: run, status, stop, reset."""

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from rich.console import Console

from conf import logs
from conf.lake.roots import absolute
from conf.settings import Settings
from infra.local import state
from infra.local.disk import used_bytes
from infra.local.processes import Service
from infra.local.services import services
from infra.local.state import RunStatus
from infra.local.supervisor import Pipeline, sweep
from infra.local.view import open_screen, saved

__all__ = ["Pipeline", "reset", "run", "status", "stop"]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_S = 15.0
"""Beyond the drains' own deadlines, before ``stop`` kills the supervisor."""
_RESET = ("lake", "checkpoints", "kinesis", "truth", "run", "logs", "spark")
"""What ``reset`` removes below the var folder."""


def run(settings: Settings, table: Sequence[Service] | None = None) -> int:
    """Run the pipeline until it is told to stop; return the exit code.

    0 after a drain, 130 if that was cut short by a second Ctrl-C.

    Args:
        settings: What to run, and where.
        table: As for ``Pipeline``.

    Raises:
        FixSetup: It cannot run until a person changes something.
    """
    logs_folder = state.var_folder(settings) / "logs"
    with (
        _logging_to(logs_folder / "supervisor.log", settings.log_level),
        Pipeline(settings, table) as pipeline,
        _stopped_by_signals(pipeline),
    ):
        pipeline.launch()
        with open_screen(Console(), logs_folder, settings.storage) as screen:
            while not pipeline.wait(1.0):
                screen.show(pipeline.status, pipeline.notices)
            screen.show(pipeline.status, pipeline.notices)
    _say(saved(pipeline.status))
    return 130 if pipeline.was_killed() else 0


def status(settings: Settings) -> RunStatus:
    """Return the run as its supervisor saw it within the last second.

    When nothing runs, its state is "not running" and it has no processes.
    """
    found = state.read_run(settings)
    return found if found and found.is_running() else RunStatus("not running")


def stop(settings: Settings) -> None:
    """Drain the run of another supervisor and wait for its end."""
    found = state.read_run(settings)
    if found is None or found.pid is None or not found.is_running():
        left = sweep(found)
        _say(f"nothing runs; {len(left)} processes left behind were killed")
        return
    os.kill(found.pid, signal.SIGTERM)
    patience_s = sum(s.drain_within_s for s in services(settings)) + _GRACE_S
    deadline = time.monotonic() + patience_s
    _say("draining")
    while found.is_running() and time.monotonic() < deadline:
        time.sleep(0.1)
    if found.is_running():
        os.kill(found.pid, signal.SIGKILL)
        sweep(found)
        _say(f"killed: it did not drain within {patience_s:g} s")
    else:
        _say(saved(state.read_run(settings) or found))


def reset(settings: Settings) -> None:
    """Remove the local lake and all that belongs to it; the jars stay.

    Raises:
        FixSetup: The pipeline is running.
    """
    with state.only_supervisor(settings):
        sweep(state.read_run(settings))
        for folder in _to_reset(settings):
            size_mb = used_bytes(folder) / 1e6
            shutil.rmtree(folder)
            _say(f"removed {folder} ({size_mb:,.1f} MB)")
    for location in (settings.lake.root, settings.lake.checkpoints):
        if not absolute(location).startswith(f"{state.var_folder(settings)}/"):
            _say(f"kept {location}, it is elsewhere")


def _say(text: str) -> None:
    Console().print(text, soft_wrap=True, highlight=False)


def _to_reset(settings: Settings) -> Iterator[Path]:
    var = state.var_folder(settings)
    return (var / name for name in _RESET if (var / name).exists())


@contextmanager
def _stopped_by_signals(pipeline: Pipeline) -> Iterator[None]:
    """The first signal drains, a second one kills."""
    asked = False

    def on_signal(*_: object) -> None:
        nonlocal asked
        if asked:
            pipeline.request_kill()
        else:
            pipeline.request_drain()
        asked = True

    before = {number: signal.signal(number, on_signal) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _logging_to(path: Path, level: str) -> Iterator[None]:
    """The terminal belongs to the view; the supervisor logs beside its processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = structlog.get_config()
    with path.open("a") as file:
        logs.configure("supervisor", level=level, json=True)
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file))
        try:
            yield
        finally:
            structlog.configure(**before)
