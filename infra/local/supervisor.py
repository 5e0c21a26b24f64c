"""The pipeline on this machine: its processes, from the first start to the drain."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from types import TracebackType
from typing import Self

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import Settings
from infra.local import process_table, state
from infra.local.disk import PAUSED, DiskGuard
from infra.local.processes import Process, Service, State
from infra.local.report import Report
from infra.local.services import PRODUCER, require_setup, services
from infra.local.state import DiskStatus, RunStatus

_TICK_S = 0.1
_PUBLISH_EVERY_S = 1.0
_log = get_logger(__name__)


class Pipeline:
    """All processes of a local run, supervised by one thread.

    They start in order, each when the one before is ready; what dies is started again;
    the drain ends them in the order of the flow. Linux kills them with that thread, so
    nothing outlives it, however it ends. As a context manager it drains at the end.

    Args:
        settings: What to run, and where.
        table: The processes in the order of their start; by default those of the
            settings, whose ports and Java are then checked first.
        disk: Pauses ingestion; by default as the settings say.
    """

    def __init__(
        self,
        settings: Settings,
        table: Sequence[Service] | None = None,
        disk: DiskGuard | None = None,
    ) -> None:
        self._settings = settings
        self._injected = table is not None
        self._processes = {
            service.name: Process(
                service, state.log_file(settings, service.name), self._notice
            )
            for service in (services(settings) if table is None else table)
        }
        self._run = state.run_folder(settings)
        # A thread begins with an empty context; its log lines need ours.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._supervise,), daemon=True
        )
        self._held = ExitStack()
        self._draining, self._killing = threading.Event(), threading.Event()
        self._report = Report(settings, self._notice)
        self._disk = disk or DiskGuard(state.var_folder(settings), settings.storage)
        self._phase: str = State.STARTING
        self._publish_due = 0.0
        self.error: Exception | None = None
        self.notices: deque[str] = deque(maxlen=1000)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.request_drain()
        if error is None:
            self._join()
        elif self._thread.ident is not None:
            self._thread.join()

    @property
    def status(self) -> RunStatus:
        """What the supervisor saw within the last second."""
        return self._report.status

    def launch(self) -> None:
        """Begin to start everything and return at once.

        Raises:
            FixSetup: Another supervisor runs on this var folder, a port is taken, or
                there is no Java.
        """
        self._held.enter_context(state.only_supervisor(self._settings))
        try:
            sweep(state.read_run(self._settings))
            if not self._injected:
                require_setup(self._settings)
            self._clear()
        except BaseException:
            self._held.close()
            raise
        self._thread.start()

    def start(self) -> None:
        """Start everything and return when all that others wait for is ready.

        Raises:
            FixSetup: As ``launch``, or a process cannot become ready.
        """
        self.launch()
        self._until(lambda: self._phase == State.LIVE)

    def wait(self, seconds: float) -> bool:
        """Return whether the pipeline has ended, after at most so long."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def until_gold(self) -> float:
        """Wait for the first row of gold; return the seconds that it took.

        Raises:
            FixSetup: The pipeline ended before.
        """
        while (seconds := self.status.first_gold_s) is None:
            if self.wait(0.5):
                raise FixSetup("pipeline", "ended without gold", "See its logs")
        return seconds

    def alive(self) -> bool:
        """Return whether every process that must be is ready and at work."""
        return self._thread.is_alive() and all(
            process.state is State.LIVE
            for process in self._processes.values()
            if process.service.vital
        )

    def pid(self, name: str) -> int:
        """Return the id of a process.

        Raises:
            ProcessLookupError: It is not running now.
        """
        child = self._processes[name].child
        if child is None:
            raise ProcessLookupError(name)
        return child.pid

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one process; if it dies of it, it is started again."""
        self._processes[name].send(number)

    def pause(self, name: str) -> None:
        """Drain one process and keep it down; return when it has ended."""
        process = self._processes[name]
        process.wanted = False
        self._until(lambda: process.child is None)

    def resume(self, name: str) -> None:
        """Start one process that was paused; return when it is ready."""
        process = self._processes[name]
        process.wanted = True
        self._until(lambda: process.state is State.LIVE)

    def restart(self, name: str) -> None:
        """Drain one process and start it again; return when it is ready."""
        self.pause(name)
        self.resume(name)

    def was_killed(self) -> bool:
        """Return whether somebody asked for an end without a drain."""
        return self._killing.is_set()

    def request_drain(self) -> None:
        """Ask for the drain; a signal handler may call this."""
        self._draining.set()

    def request_kill(self) -> None:
        """Ask for an end without a drain; a signal handler may call this."""
        self._killing.set()
        self._draining.set()

    def drain(self) -> None:
        """End every process in the order of the flow, each after its own drain.

        Raises:
            Exception: What went wrong meanwhile.
        """
        self.request_drain()
        self._join()

    def stop(self) -> None:
        """End every process at once."""
        self.request_kill()
        self._join()

    def _join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            if self.wait(_TICK_S / 2):
                self._join()
                raise FixSetup("pipeline", "was stopped", "Start it again")

    def _clear(self) -> None:
        """Remove what an earlier run said of itself; keep its logs once."""
        self._run.mkdir(parents=True, exist_ok=True)
        for path in self._run.glob("*.json"):
            path.unlink()
        for process in self._processes.values():
            log = process.log_file
            log.parent.mkdir(parents=True, exist_ok=True)
            if log.exists():
                log.replace(log.with_suffix(".log.1"))

    def _supervise(self) -> None:
        with self._held:
            try:
                self._work()
            except Exception as error:
                self.error = error
            try:
                self._drain_in_order()
            except Exception as error:
                self.error = self.error or error
            for process in self._processes.values():
                process.kill()
            self._phase = state.FAILED if self.error else state.STOPPED
            self._publish()

    def _work(self) -> None:
        for process in self._processes.values():
            process.wanted = not process.paused_because
            is_awaited = process.service.awaited
            while is_awaited and process.wanted and process.state is not State.LIVE:
                if self._draining.wait(_TICK_S):
                    return
                self._tend()
        self._phase = State.LIVE
        while not self._draining.wait(_TICK_S):
            self._tend()

    def _drain_in_order(self) -> None:
        self._phase = State.DRAINING
        for process in sorted(
            self._processes.values(), key=lambda process: process.service.drain_rank
        ):
            process.wanted = False
            while process.child is not None and not self._killing.wait(_TICK_S):
                self._tend()

    def _tend(self) -> None:
        for process in self._processes.values():
            process.tend()
        now = time.monotonic()
        if (disk := self._disk.check(now)) is not None:
            self._react(disk)
        if now >= self._publish_due:
            self._publish_due = now + _PUBLISH_EVERY_S
            self._publish()

    def _react(self, disk: DiskStatus) -> None:
        """Pause or resume ingestion; the lake driver itself drops old days."""
        state.write(self._run / "disk.json", disk)
        producer = self._processes.get(PRODUCER)
        if producer is None or self._phase == State.DRAINING:
            return
        if disk.state == PAUSED and not producer.paused_because:
            producer.paused_because = f"paused: {disk.free_gb:.1f} GB free"
            producer.wanted = False
            self._notice(f"ingestion {producer.paused_because}")
        elif disk.state != PAUSED and producer.paused_because:
            producer.paused_because = ""
            producer.wanted = self._phase == State.LIVE  # else its turn will come
            self._notice("there is room again, ingestion goes on")

    def _publish(self) -> None:
        self._report.write(self._phase, self._processes.values(), self._disk.status)

    def _notice(self, text: str) -> None:
        self.notices.append(text)
        _log.info(text)


def sweep(run: RunStatus | None) -> list[int]:
    """Kill what a supervisor that is gone left behind; return the process ids.

    On Linux nothing is, except what its children started and did not end.
    """
    return [
        pid
        for process in (run.processes if run else [])
        if process.pid is not None and process.identity is not None
        for pid in process_table.kill_leftovers(process.pid, process.identity)
    ]
