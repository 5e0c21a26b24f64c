"""What gold does beside its query, a little at a time: one thread, off the hot path."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conf.lake.streams import BatchReport, OnBatch
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
    """

    name: str
    every_s: float
    work: Callable[[], int]
    due_s: float = 0.0


class Upkeep:
    """Does the tasks in their order while a query runs.

    Args:
        tasks: The first ones write what the later ones read.
        on_batch: Told of each task that wrote something.
    """

    def __init__(self, tasks: Sequence[Task], on_batch: OnBatch) -> None:
        self._tasks, self._on_batch = tasks, on_batch
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin; what fails is tried again."""
        self._thread.start()

    def finish(self) -> None:
        """Stop, then do all there is to do once more; its errors are the caller's."""
        self._stopped.set()
        self._thread.join()
        for task in self._tasks:
            self._do(task)

    def _run(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            for task in self._tasks:
                if self._stopped.is_set() or time.monotonic() < task.due_s:
                    continue
                try:
                    self._do(task)
                except Exception:
                    _log.exception("upkeep failed and tries again", task=task.name)
                task.due_s = time.monotonic() + task.every_s

    def _do(self, task: Task) -> None:
        written = task.work()
        if written:
            self._on_batch(BatchReport(task.name, written))
