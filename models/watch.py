"""What is seen of trainings: a line each, a bar meanwhile, TensorBoard's files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

OnStep = Callable[[int], None]
"""Called with the decisions made so far."""


class Watch:
    """Tells of trainings on a console.

    Args:
        console: Where lines and bars go; without a terminal there are no bars.
        tensorboard: Folder of the TensorBoard files; none are written without.
    """

    def __init__(self, console: Console, tensorboard: Path | None = None) -> None:
        self._console, self.tensorboard = console, tensorboard

    def tell(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line)

    @contextmanager
    def training(self, title: str, steps: int) -> Iterator[OnStep]:
        """Show a bar while one agent is trained."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as progress:
            bar = progress.add_task(title, total=steps)
            yield lambda done: progress.update(bar, completed=done)

    def folder(self, name: str) -> Path | None:
        """Return where the TensorBoard files of one training belong."""
        return None if self.tensorboard is None else self.tensorboard / name
