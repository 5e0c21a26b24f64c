"""Faults of a running pipeline, each followed by a full judgement.

``python -m infra.local.faults <name>`` runs a smoke run, lets one fault happen in the
middle and prints the result as JSON. Whatever happens: duplicated 0, lost 0.
"""

import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from functools import partial
from os import environ, kill
from typing import Any

from conf import logs
from conf.errors import FixSetup
from conf.settings import ROOT, Settings, load
from infra.local import process_table, state
from infra.local.services import EMULATOR, LAKE, PRODUCER, services
from infra.local.smoke import Fault, smoke
from infra.local.state import LakeStatus
from infra.local.supervisor import Pipeline
from infra.local.verdict import end_with

SECONDS, RATE_PER_S = 120, 1_000
_PATIENCE_S = 180.0

_log = logs.get_logger(__name__)


def kill_process(name: str, pipeline: Pipeline, _: Settings) -> None:
    """End one process at once; the supervisor starts it again."""
    _log.info("kill -9", process=name, pid=pipeline.pid(name))
    pipeline.kill(name, signal.SIGKILL)


def delete_checkpoints(pipeline: Pipeline, settings: Settings) -> None:
    """Let the driver start again with a lake but without its memory of the stream."""
    pipeline.pause(LAKE)
    shutil.rmtree(settings.lake.checkpoints)
    pipeline.resume(LAKE)


def freeze_driver(pipeline: Pipeline, settings: Settings) -> None:
    """Stop a driver in the middle of its work, replace it, let it go on.

    The one that is frozen runs beside the supervisor, which would take the end of its
    own for a failure of the pipeline.

    Raises:
        FixSetup: The old driver went on after it was replaced.
    """
    pipeline.pause(LAKE)
    old = _start_driver(settings.model_copy(update={"var": settings.var / "frozen"}))
    try:
        _signal_session(old.pid, signal.SIGSTOP)
        # A driver is replaced when its lease has run out.
        time.sleep(settings.lake.lease_s + 1)
        pipeline.resume(LAKE)
        _until(lambda: _has_stored(settings), "the new driver stores rows")
        _signal_session(old.pid, signal.SIGCONT)
        _until(lambda: old.poll() is not None, "the replaced driver stops")
    finally:
        process_table.kill_session(old.pid)
        old.wait()


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("kill-producer", partial(kill_process, PRODUCER), True),
        Fault("kill-emulator", partial(kill_process, EMULATOR), True),
        Fault("kill-driver", partial(kill_process, LAKE)),
        Fault("freeze-driver", freeze_driver),
        Fault("delete-checkpoints", delete_checkpoints),
    )
}


def run(
    settings: Settings,
    name: str,
    *,
    seconds: float = SECONDS,
    rate: int = RATE_PER_S,
) -> dict[str, Any]:
    """Return the result of a smoke run with one fault; see ``smoke``."""
    return smoke(settings, seconds=seconds, rate=rate, fault=FAULTS[name])


def main() -> int:
    """Return the exit code: 0 if nothing was lost, duplicated or altered."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("fault", choices=FAULTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--rate", type=int, default=RATE_PER_S)
    given = parser.parse_args()
    settings = load()
    logs.configure("faults", level=settings.log_level)
    result = run(settings, given.fault, seconds=given.seconds, rate=given.rate)
    return end_with(result)


def _start_driver(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a driver in a session of its own and wait until it stores rows."""
    (service,) = (each for each in services(settings) if each.name == LAKE)
    log = state.log_file(settings, LAKE)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        driver = subprocess.Popen(  # noqa: S603 (our own table of commands)
            service.command,
            cwd=ROOT,
            env={**environ, **service.environment},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    _until(
        lambda: driver.poll() is not None or _has_stored(settings),
        "the first driver stores rows",
    )
    return driver


def _signal_session(leader: int, number: int) -> None:
    for pid in process_table.session(leader):
        kill(pid, number)


def _has_stored(settings: Settings) -> bool:
    lake = state.read(state.run_folder(settings) / "lake.json", LakeStatus)
    return lake is not None and any(q.rows_total for q in lake.queries.values())


def _until(reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            raise FixSetup(
                "fault", f"waited {_PATIENCE_S:g} s until {what}", "See logs"
            )
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
