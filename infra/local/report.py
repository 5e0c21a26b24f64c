"""The supervisor's account of a run: ``supervisor.json`` and ``first_gold.json``."""

import time
from collections.abc import Callable, Iterable
from os import getpid

import msgspec

from conf.settings import Settings
from infra.local import process_table, state
from infra.local.processes import Process
from infra.local.stages import Observer
from infra.local.state import DiskStatus, RunStatus


class FirstGold(msgspec.Struct, frozen=True):
    """``first_gold.json``: from the start to the first row of gold."""

    seconds: float


class Report:
    """What is known of one run, kept up to date on disk.

    Args:
        settings: Where the state files are.
        notice: Told where the page is, and when the first row of gold is there.
    """

    def __init__(self, settings: Settings, notice: Callable[[str], None]) -> None:
        self._folder = state.run_folder(settings)
        self._notice = notice
        self._observer = Observer(settings)
        self._began = time.monotonic()
        self._told_url: str | None = None
        self.status = RunStatus(
            state="starting",
            pid=getpid(),
            identity=process_table.identity(getpid()),
            since=state.now(),
            updated=state.now(),
        )

    def write(
        self, phase: str, processes: Iterable[Process], disk: DiskStatus | None
    ) -> None:
        """Observe everything and replace ``supervisor.json``."""
        table = process_table.read_table()
        told = [process.status(table) for process in processes]
        now = state.now()
        stages = self._observer.observe({each.name: each.state for each in told}, now)
        lake = self._observer.lake
        self.status = msgspec.structs.replace(
            self.status,
            state=phase,
            updated=now,
            processes=told,
            stages=stages,
            disk=disk,
            url=self._page(),
            ui_url=lake.ui_url if lake else None,
            first_gold_s=self._first_gold(),
        )
        state.write(self._folder / "supervisor.json", self.status)

    def _page(self) -> str | None:
        url = self._observer.url
        if url is not None and url != self._told_url:
            self._told_url = url
            self._notice(f"open {url}")
        return url

    def _first_gold(self) -> float | None:
        seconds = self.status.first_gold_s
        if seconds is None and self._observer.gold_rows() > 0:
            seconds = round(time.monotonic() - self._began, 1)
            state.write(self._folder / "first_gold.json", FirstGold(seconds))
            self._notice(f"first gold row after {seconds:g} s")
        return seconds
