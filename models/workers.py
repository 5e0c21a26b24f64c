"""The same task for several seeds, one a process; what came out is kept as it ends."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from conf.errors import FixSetup
from models.watch import Watch

Found = TypeVar("Found")
Task = Callable[[int, Watch], Found]
"""Does what is to be done for a seed; picklable if several are done at once."""
Keep = Callable[[int, Found], None]


class Workers:
    """Those who train seeds.

    Args:
        watch: Who sees what happens.
        processes: How many seeds are trained at the same time. It changes no weight:
            a training takes one core.
    """

    def __init__(self, watch: Watch, processes: int = 1) -> None:
        self.watch, self._processes = watch, processes

    def each(self, task: Task[Found], seeds: Sequence[int], keep: Keep[Found]) -> None:
        """Do a task for each seed, and keep what it returned as soon as it did.

        A seed that fails and Ctrl-C end the others at once; what was kept stays.

        Raises:
            FixSetup: A process was killed.
        """
        kept: list[int] = []

        def end(seed: int, found: Found) -> None:
            keep(seed, found)
            kept.append(seed)
            self.watch.tell(f"seed {seed} trained, {len(kept)} of {len(seeds)}")

        try:
            if self._processes == 1 or len(seeds) < 2:
                for seed in seeds:
                    end(seed, task(seed, self.watch))
            else:
                self._beside(task, seeds, end)
        except BaseException as error:
            self.watch.tell(
                f"stopped by {type(error).__name__}: {len(kept)} of {len(seeds)} seeds "
                "are kept, and the same command goes on with the rest"
            )
            raise

    def _beside(
        self, task: Task[Found], seeds: Sequence[int], end: Keep[Found]
    ) -> None:
        others = set(active_children())
        # A forked torch may hang: its threads are not there.
        context = get_context("spawn")
        count = min(self._processes, len(seeds))
        pool = ProcessPoolExecutor(count, context, initializer=_begin)
        with self.watch.training(f"{len(seeds)} seeds", len(seeds)) as on_step, pool:
            try:
                folder = self.watch.tensorboard
                doing = {pool.submit(_do, task, seed, folder): seed for seed in seeds}
                for done, future in enumerate(as_completed(doing), start=1):
                    end(doing[future], self._result(doing[future], future))
                    on_step(done)
            except BaseException:
                # The pool, on leaving, waits for those at work and those queued: not
                # for those of a pool whose processes have ended.
                for worker in set(active_children()) - others:
                    worker.terminate()
                raise

    def _result(self, seed: int, future: "Future[Found]") -> Found:
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise FixSetup(
                f"training of seed {seed}",
                "its process, or one beside it, was killed",
                "If memory ran out, take fewer at once: `--processes 1`",
            ) from error
        except Exception as error:
            self.watch.tell(f"seed {seed} failed: {error}")
            raise


def _do(task: Task[Found], seed: int, tensorboard: Path | None) -> Found:
    return task(seed, Watch(Console(quiet=True), tensorboard))


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)
