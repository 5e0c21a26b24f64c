"""The same task for several seeds or other items, one a process, kept as each ends."""

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

Item = TypeVar("Item")
Found = TypeVar("Found")
Task = Callable[[Item, Watch], Found]
"""Does what is to be done for an item; picklable if several are done at once."""
Keep = Callable[[Item, Found], None]
Named = Callable[[Item], str]


class Workers:
    """Those who train.

    Args:
        watch: Who sees what happens.
        processes: How many train at the same time. It changes no weight: a training
            takes one core.
    """

    def __init__(self, watch: Watch, processes: int = 1) -> None:
        self.watch, self._processes = watch, processes

    def complete(
        self,
        task: Task[Item, Found],
        items: Sequence[Item],
        load: Callable[[Item], Found | None],
        save: Keep[Item, Found],
        named: Named[Item] = "seed {}".format,
    ) -> list[Found]:
        """Return what came of each item, in their order: what was kept, else done now.

        Args:
            task: What is done; see ``each``, also for the rest.
            items: Of what.
            load: Returns what was kept of an item, None if nothing was.
            save: Keeps what came of one.
            named: What an item is called where it is told of.
        """
        known = {item: load(item) for item in items}
        missing = [item for item, found in known.items() if found is None]

        def keep(item: Item, found: Found) -> None:
            save(item, found)
            known[item] = found

        self.each(task, missing, keep, named)
        return [found for found in known.values() if found is not None]

    def each(
        self,
        task: Task[Item, Found],
        items: Sequence[Item],
        keep: Keep[Item, Found],
        named: Named[Item] = "seed {}".format,
    ) -> None:
        """Do a task for each item, and keep what it returned as soon as it did.

        One that fails and Ctrl-C end the others at once; what was kept stays.

        Args:
            task: What is done.
            items: Of what; seeds, unless they are named otherwise.
            keep: Called with each item and what came of it, in this process.
            named: What an item is called where it is told of.

        Raises:
            FixSetup: A process was killed.
        """
        kept: list[Item] = []

        def end(item: Item, found: Found) -> None:
            keep(item, found)
            kept.append(item)
            self.watch.tell(f"{named(item)} trained, {len(kept)} of {len(items)}")

        try:
            if self._processes == 1 or len(items) < 2:
                for item in items:
                    end(item, task(item, self.watch))
            else:
                self._beside(task, items, end, named)
        except BaseException as error:
            self.watch.tell(
                f"stopped by {type(error).__name__}: {len(kept)} of {len(items)} are "
                "kept, and the same command goes on with the rest"
            )
            raise

    def _beside(
        self,
        task: Task[Item, Found],
        items: Sequence[Item],
        end: Keep[Item, Found],
        named: Named[Item],
    ) -> None:
        others = set(active_children())
        # A forked torch may hang: its threads are not there.
        context = get_context("spawn")
        count = min(self._processes, len(items))
        pool = ProcessPoolExecutor(count, context, initializer=_begin)
        title = f"{len(items)} trainings"
        with self.watch.training(title, len(items)) as on_step, pool:
            try:
                folder = self.watch.tensorboard
                doing = {pool.submit(_do, task, item, folder): item for item in items}
                for done, future in enumerate(as_completed(doing), start=1):
                    item = doing[future]
                    end(item, self._result(named(item), future))
                    on_step(done)
            except BaseException:
                # The pool, on leaving, waits for those at work and those queued: not
                # for those of a pool whose processes have ended.
                for worker in set(active_children()) - others:
                    worker.terminate()
                raise

    def _result(self, name: str, future: "Future[Found]") -> Found:
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise FixSetup(
                f"training of {name}",
                "its process, or one beside it, was killed",
                "If memory ran out, take fewer at once: `--processes 1`",
            ) from error
        except Exception as error:
            self.watch.tell(f"{name} failed: {error}")
            raise


def _do(task: Task[Item, Found], item: Item, tensorboard: Path | None) -> Found:
    return task(item, Watch(Console(quiet=True), tensorboard))


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()


def _follow() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)
