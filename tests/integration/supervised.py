"""Small real processes for the supervisor to run.

``python -m tests.integration.supervised VAR [deaf]`` runs them under a supervisor of
their own; deaf: its lake ignores SIGTERM. Each child writes what happens to it as lines
"name event" into ``<var>/journal``.
"""

import sys
from pathlib import Path

from conf.settings import Settings
from infra.local import run
from infra.local.processes import Service
from infra.local.services import DRAIN_ORDER

START_ORDER = ("emulator", "simulator", "lake", "producer")

_CHILD = """
import pathlib, signal, sys, time
name, journal, ready = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
def note(event):
    with journal.open("a") as file:
        file.write(f"{name} {event}\\n")
def drain(*_):
    note("drained")
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
note("started")
ready.write_text("live")
while True:
    signal.pause()
"""
FAILS = "import sys; sys.stderr.write('error: no such stream\\n'); sys.exit({code})"
NEVER_READY = "print('still warming up', flush=True); import time; time.sleep(60)"
DEAF = (
    "import pathlib, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "pathlib.Path(sys.argv[3]).write_text('live')\n"
    "while True: signal.pause()"
)
PARENT = (
    "import os, pathlib, signal, subprocess, sys\n"
    "child = subprocess.Popen(['sleep', '60'], process_group=0)\n"
    "pathlib.Path(sys.argv[3]).write_text(str(child.pid))\n"
    "while True: signal.pause()"
)


def service(var: Path, name: str, script: str = _CHILD, **changes: object) -> Service:
    """Return a service that runs a script, which marks itself ready by a file."""
    ready = var / f"{name}.ready"
    command = [sys.executable, "-IS", "-c", script, name, str(journal(var)), str(ready)]
    rank = DRAIN_ORDER.index(name) if name in DRAIN_ORDER else 0
    values = {
        "name": name,
        "command": command,
        "ready": ready.exists,
        "ready_within_s": 20.0,
        "drain_within_s": 20.0,
        "drain_rank": rank,
        "state_file": ready,
    }
    return Service(**(values | changes))  # type: ignore[arg-type]


def table(var: Path) -> list[Service]:
    """Return four processes of the names and order of the pipeline."""
    return [service(var, name) for name in START_ORDER]


def journal(var: Path) -> Path:
    """Return the file that the children write to."""
    return var / "journal"


def events(var: Path, event: str) -> list[str]:
    """Return the names of the children that wrote an event, in order."""
    written = journal(var).read_text() if journal(var).exists() else ""
    lines = (line.split() for line in written.splitlines())
    return [name for name, what in lines if what == event]


if __name__ == "__main__":
    folder, processes = Path(sys.argv[1]), table(Path(sys.argv[1]))
    if sys.argv[2:] == ["deaf"]:
        processes[2] = service(folder, "lake", DEAF)
    sys.exit(run.run(Settings(var=folder), processes))
