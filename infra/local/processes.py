"""One supervised process: started, waited for, restarted, drained, killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from os import environ, getpid
from pathlib import Path

import msgspec

from conf.errors import FixSetup
from conf.settings import ROOT
from infra.local import process_table
from infra.local.state import ProcessStatus

Child = subprocess.Popen[bytes]
_ON_LEASH = (sys.executable, "-IS", str(Path(__file__).with_name("leash.py")))
_FINAL_EXIT_CODES = (2, 3)
"""Wrong arguments, FixSetup: another start would end the same way."""

_MOST_FIRST_STARTS = 4
"""What dies so often without having been ready once will not recover by itself."""


class State(StrEnum):
    """What a supervised process is doing."""

    WAITING = "waiting"
    STARTING = "starting"
    LIVE = "live"
    BACKOFF = "backoff"
    DRAINING = "draining"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Service:
    """How to run one process of the pipeline.

    Args:
        name: Also names its log file.
        command: Program and arguments.
        ready: Whether it does its work; asked after each start until it does.
        ready_within_s: Deadline of ``ready``.
        drain_within_s: How long it may take to end after SIGTERM.
        drain_rank: Its turn when the pipeline drains, lowest first.
        environment: Added to the supervisor's own.
        state_file: Where it tells its state; removed before each start, so that
            ``ready`` cannot believe the state of a process before it.
        awaited: Whether the next one starts only when this one is ready.
        vital: Whether the pipeline ends when this one cannot work; else it stays down.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    ready_within_s: float
    drain_within_s: float
    drain_rank: int
    environment: Mapping[str, str] = field(default_factory=dict)
    state_file: Path | None = None
    awaited: bool = True
    vital: bool = True


class Backoff:
    """Waits before restarts: each is double the last, up to the longest.

    They begin anew after a process has stayed up long enough.
    """

    FIRST_S, LONGEST_S, FORGIVEN_AFTER_S = 1.0, 30.0, 60.0

    def __init__(self) -> None:
        self._next_s = self.FIRST_S

    def after(self, up_s: float) -> float:
        """Return the wait after a process died that had been up for ``up_s``."""
        wait_s = self.FIRST_S if up_s >= self.FORGIVEN_AFTER_S else self._next_s
        self._next_s = min(wait_s * 2, self.LONGEST_S)
        return wait_s


class Process:
    """A service and the child that runs it now.

    Only the supervising thread calls ``tend`` and ``kill``; it must live as long as
    the child does (see ``leash.py``). Set ``wanted`` to say whether it should run.

    Args:
        service: What to run.
        log_file: Gets its standard output and error.
        notice: Told in one line of each thing that a person should see.
    """

    def __init__(
        self, service: Service, log_file: Path, notice: Callable[[str], None]
    ) -> None:
        self.service = service
        self.log_file = log_file
        self.wanted = False
        self.paused_because = ""
        self.state = State.WAITING
        self.restarts = 0
        self.child: Child | None = None
        self._identity: str | None = None
        self._notice = notice
        self._backoff = Backoff()
        self._started = self._start_due = self._deadline = 0.0
        self._was_live = False

    def tend(self) -> None:
        """Take the step that is due, if any; never blocks.

        Raises:
            FixSetup: It cannot work until a person changes something: it said so by
                its exit code, or its first start missed its deadline.
        """
        now, child = time.monotonic(), self.child
        if child is None:
            if self.wanted and now >= self._start_due:
                self._spawn(now)
            elif self.paused_because:
                self.state = State.PAUSED
        elif (exit_code := child.poll()) is not None:
            self._ended(child, exit_code, now)
        elif self.state is State.DRAINING or not self.wanted:
            self._drain(child, now)
        elif self.state is State.STARTING:
            self._check_ready(child, now)

    def send(self, number: int) -> None:
        """Send a signal to the child, if there is one. Any thread may."""
        if child := self.child:
            child.send_signal(number)

    def kill(self) -> None:
        """End the child and everything it started, at once."""
        if self.child is None:
            return
        process_table.kill_session(self.child.pid)
        self.child.wait()
        self.child = None
        self.state = State.STOPPED

    def status(self, table: dict[int, process_table.Row]) -> ProcessStatus:
        """Return what the state file says of this process."""
        pid = self.child.pid if self.child else None
        rss_mb, cpu_s = process_table.usage(pid, table) if pid else (0.0, 0.0)
        return ProcessStatus(
            name=self.service.name,
            state=self.state,
            pid=pid,
            identity=self._identity if pid else None,
            restarts=self.restarts,
            rss_mb=round(rss_mb, 1),
            cpu_s=round(cpu_s, 2),
            note=self.paused_because,
        )

    def _spawn(self, now: float) -> None:
        if self.service.state_file:
            self.service.state_file.unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            self.child = subprocess.Popen(  # noqa: S603 (our own table of commands)
                [*_ON_LEASH, str(getpid()), *self.service.command],
                cwd=ROOT,
                env={**environ, **self.service.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._identity = process_table.identity(self.child.pid)
        self._started, self._deadline = now, now + self.service.ready_within_s
        self.state = State.STARTING

    def _check_ready(self, child: Child, now: float) -> None:
        if self.service.ready():
            self.state, self._was_live = State.LIVE, True
            self._notice(f"{self.service.name} is live ({now - self._started:.1f} s)")
        elif now > self._deadline:
            self._missed_deadline(child)

    def _missed_deadline(self, child: Child) -> None:
        what = f"not ready after {self.service.ready_within_s:g} s"
        if not self._was_live:
            self._give_up(what)
            return
        self._notice(f"{self.service.name} is {what}, killed")
        process_table.kill_session(child.pid)

    def _drain(self, child: Child, now: float) -> None:
        if self.state is not State.DRAINING:
            self._deadline = now + self.service.drain_within_s
            self.state = State.DRAINING
            # The leader only: what it started, it ends itself, in its own order.
            self.send(signal.SIGTERM)
            self.send(signal.SIGCONT)
        elif now > self._deadline:
            self._notice(
                f"{self.service.name} did not drain within "
                f"{self.service.drain_within_s:g} s, killed"
            )
            process_table.kill_session(child.pid)

    def _ended(self, child: Child, exit_code: int, now: float) -> None:
        asked_to = self.state is State.DRAINING or not self.wanted
        if asked_to and now < self._deadline and process_table.session(child.pid):
            return  # what it started is still tidying up
        process_table.kill_session(child.pid)
        self.child = None
        if asked_to:
            self.state = State.PAUSED if self.paused_because else State.STOPPED
            if exit_code not in (0, -signal.SIGTERM):
                self._notice(f"{self.service.name} ended with {_reason(exit_code)}")
        elif exit_code in _FINAL_EXIT_CODES:
            self._give_up(f"stopped with exit code {exit_code}")
        else:
            self._back_off(_reason(exit_code), now)

    def _back_off(self, reason: str, now: float) -> None:
        if not self._was_live and self.restarts == _MOST_FIRST_STARTS - 1:
            self._give_up(f"died {_MOST_FIRST_STARTS} times before it was ready")
            return
        wait_s = self._backoff.after(now - self._started)
        self._start_due = now + wait_s
        self.state, self.restarts = State.BACKOFF, self.restarts + 1
        self._notice(f"{self.service.name} died ({reason}), restart in {wait_s:g} s")

    def _give_up(self, what: str) -> None:
        self.wanted = False
        if not self.service.vital:
            self._notice(f"{self.service.name} is given up: {what}")
            if self.child is None:
                self.state = State.STOPPED
            return
        said = "\n  ".join(last_lines(self.log_file)) or "(nothing)"
        raise FixSetup(
            f"process {self.service.name}",
            f"{what}. Its last words:\n  {said}\n",
            f"The whole log: {self.log_file}",
        )


def last_lines(log_file: Path, count: int = 5) -> list[str]:
    """Return the last lines of a log, without its JSON: event first, then the rest."""
    if not log_file.exists():
        return []
    with log_file.open("rb") as log:
        log.seek(max(0, log_file.stat().st_size - 16_384))
        lines = log.read().decode(errors="replace").splitlines()
    return [_plain(line) for line in lines if line.strip()][-count:]


def _plain(line: str) -> str:
    try:
        entry = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError:
        return line  # a traceback, or a library's own log
    event = entry.pop("event", "")
    hidden = ("time", "level", "room", "process")
    rest = (f"{key}={value}" for key, value in entry.items() if key not in hidden)
    return " ".join([str(event), *rest])


def _reason(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    return signal.Signals(-exit_code).name
