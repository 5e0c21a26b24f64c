"""How a run looks on a terminal, and in one line where there is none."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from conf.settings import StorageSettings
from infra.local.stages import LAYERS
from infra.local.state import LIVE, DiskStatus, RunStatus, StageStatus

_LINE_EVERY_S = 10.0
_COLOURS = {
    LIVE: "green",
    "starting": "yellow",
    "draining": "yellow",
    "remote": "cyan",
    "finished": "cyan",
}


class Screen(Protocol):
    """Where a run is shown; ``show`` is called each second."""

    def show(self, status: RunStatus, notices: deque[str]) -> None:
        """Show the state; take the notices, oldest first, that were not shown yet."""


@contextmanager
def open_screen(
    console: Console, logs: Path, storage: StorageSettings
) -> Iterator[Screen]:
    """Show a run: one live table on a terminal, a plain line now and then elsewhere."""
    if not console.is_terminal:
        yield PlainScreen(console, storage)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield LiveScreen(live, logs, storage)


class LiveScreen:
    """One table that is drawn again each second, notices above it."""

    def __init__(self, live: Live, logs: Path, storage: StorageSettings) -> None:
        self._live, self._logs, self._storage = live, logs, storage

    def show(self, status: RunStatus, notices: deque[str]) -> None:
        """Draw the table again."""
        for notice in _taken(notices):
            self._live.console.print(f"{clock(status)}  {notice}", highlight=False)
        self._live.update(draw(status, self._logs, self._storage), refresh=True)


class PlainScreen:
    """One line each ten seconds; notices as they come."""

    def __init__(self, console: Console, storage: StorageSettings) -> None:
        self._console, self._storage = console, storage
        self._due = 0.0

    def show(self, status: RunStatus, notices: deque[str]) -> None:
        """Print what is due."""
        lines = [f"{clock(status)}  {notice}" for notice in _taken(notices)]
        now = status.updated or 0.0
        if now >= self._due:
            self._due = now + _LINE_EVERY_S
            lines.append(one_line(status, self._storage))
        for line in lines:
            self._console.print(line, soft_wrap=True, highlight=False)


def draw(status: RunStatus, logs: Path, storage: StorageSettings) -> Group:
    """Return the whole view of one moment."""
    table = Table(
        title=f"Tickhouse  {status.state}  {clock(status)}", title_justify="left"
    )
    table.add_column("stage")
    table.add_column("state", min_width=8)
    for name in ("rate/s", "lag", "latency", "total"):
        table.add_column(name, justify="right", min_width=7)
    for stage in status.stages:
        colour = _COLOURS.get(stage.state, "red" if stage.state else "dim")
        table.add_row(stage.name, Text(stage.state or "-", colour), *_figures(stage))
    return Group(
        table, *(Text(line, overflow="fold") for line in _foot(status, logs, storage))
    )


def one_line(status: RunStatus, storage: StorageSettings) -> str:
    """Return the state of the run in one line."""
    parts = [f"{clock(status)}  {status.state}"]
    parts += [_brief(stage) for stage in status.stages]
    parts += [memory(status), disk_use(status.disk, storage)]
    return " · ".join(filter(None, parts))


def saved(status: RunStatus) -> str:
    """Return how many rows this run put into each layer."""
    rows = {s.name: s.total for s in status.stages if s.name in LAYERS}
    written = [f"{name} {count:,}" for name, count in rows.items() if count]
    return "saved " + (" · ".join(written) + " rows" if written else "nothing new")


def clock(status: RunStatus) -> str:
    """Return how long the run has lasted, as h:mm:ss."""
    minutes, seconds = divmod(int((status.updated or 0) - (status.since or 0)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def memory(status: RunStatus) -> str:
    """Return the memory of all processes, and of each."""
    used = {p.name: p.rss_mb for p in status.processes if p.rss_mb}
    each = ", ".join(f"{name} {mb:,.0f}" for name, mb in used.items())
    return f"memory {sum(used.values()):,.0f} MB ({each})" if used else ""


def disk_use(disk: DiskStatus | None, storage: StorageSettings) -> str:
    """Return the use of the disk budget."""
    if disk is None:
        return ""
    budget = f"disk {disk.used_gb:.1f} of {storage.max_gb:g} GB"
    return f"{budget}, {disk.free_gb:.0f} GB free" + (
        "" if disk.state == "ok" else f" ({disk.state.replace('_', ' ')})"
    )


def _foot(status: RunStatus, logs: Path, storage: StorageSettings) -> Iterator[str]:
    for process in status.processes:
        if process.note or process.restarts:
            restarts = f"restarted {process.restarts} times" if process.restarts else ""
            yield "  ".join(filter(None, [process.name, process.note, restarts]))
    yield " · ".join(filter(None, [memory(status), disk_use(status.disk, storage)]))
    if status.url:
        yield f"page {status.url}"
    if status.ui_url:
        yield f"Spark UI {status.ui_url}"
    yield f"logs {logs}"
    yield "Ctrl-C drains and stops"


def _figures(stage: StageStatus) -> list[str]:
    return [
        _number(stage.rate_per_s, "{:,.0f}"),
        _number(stage.lag_s, "{:.1f} s"),
        _number(stage.latency_s, "{:.1f} s"),
        _number(stage.total, "{:,}"),
    ]


def _brief(stage: StageStatus) -> str:
    if stage.rate_per_s is None:
        return f"{stage.name} {stage.state or '-'}"
    age = "" if stage.latency_s is None else f" in {stage.latency_s:.1f} s"
    state = "" if stage.state == LIVE else f" {stage.state}"
    return f"{stage.name}{state} {stage.rate_per_s:,.0f}/s{age}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _taken(notices: deque[str]) -> Iterator[str]:
    while notices:
        yield notices.popleft()
