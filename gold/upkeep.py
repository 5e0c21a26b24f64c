"""What gold does beside its query, a little at a time, off the hot path."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conf.lake.streams import BatchReport, OnBatch, ignore_report
from conf.logs import get_logger

_LOOK_EVERY_S = 1.0
_log = get_logger(__name__)


@dataclass
class Task:
    """Something to do again and again.

    Attributes:
        name: In reports.
        every_s: Seconds from one end to the next begin.
        work: Does what there is to do now; returns how many rows it wrote. It may be
            interrupted for ever at any point, and called again.
        at_end: Does it once more when the query has ended; by default ``work``.
    """

    name: str
    every_s: float
    work: Callable[[], int]
    at_end: Callable[[], int] | None = None
    due_s: float = 0.0


class Upkeep:
    """Does the tasks in their order, in a thread, while a query runs.

    Args:
        tasks: The first ones write what the later ones read.
        on_batch: Told of each task that wrote something.
    """

    def __init__(
        self, tasks: Sequence[Task], on_batch: OnBatch = ignore_report
    ) -> None:
        self._tasks, self._on_batch = tasks, on_batch
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin; what fails is tried again."""
        for task in self._tasks:
            task.due_s = time.monotonic() + task.every_s
        self._thread.start()

    def finish(self) -> None:
        """Stop, then do all there is to do once more; its errors are the caller's."""
        self._stopped.set()
        self._thread.join()
        for task in self._tasks:
            self._do(task, task.at_end or task.work)

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            for task in self._tasks:
                if self._stopped.is_set() or time.monotonic() < task.due_s:
                    continue
                try:
                    self._do(task, task.work)
                except Exception:
                    _log.exception("upkeep failed and tries again", task=task.name)
                task.due_s = time.monotonic() + task.every_s

    def _do(self, task: Task, work: Callable[[], int]) -> None:
        written = work()
        if written:
            self._on_batch(BatchReport(task.name, written))
