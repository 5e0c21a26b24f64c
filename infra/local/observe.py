"""Runs a pipeline from its start to the end of its drain and watches from outside."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import ROOT, Settings
from infra.local import leash
from infra.local.page import Page, holding, require_browser
from infra.local.reader import Sighting, read_sightings
from infra.local.samples import Usage
from infra.local.services import get
from infra.local.shown import Shown, collect
from infra.local.state import LIVE, RunStatus, read, run_folder
from infra.local.stream_reader import read_heard
from infra.local.supervisor import Pipeline

_SHOW_EVERY_S = 10.0

Strike = Callable[[Pipeline, Settings], None]
"""Does some harm to a live pipeline."""

_log = get_logger(__name__)


@dataclass(frozen=True)
class Observation:
    """What was seen of a run.

    Attributes:
        sightings: Every commit that the reader met.
        shown: What the live stream showed; None if no API runs in this pipeline.
        usage: Memory and CPU of every process.
        first_gold_s: From the start to the first row of gold; None if there was none.
        page: What the open page said of itself; None if none was open.
    """

    sightings: list[Sighting]
    usage: Usage
    first_gold_s: float | None
    shown: Shown | None = None
    page: Page | None = None


class _MarketStatus(msgspec.Struct):
    """What is read of the simulator's ``/sim/status``."""

    emitted: int
    finished: bool
    started_wall_ns: int | None


class Market:
    """The simulated market, asked once a second.

    Args:
        port: Where the simulator answers.
        silent_after_s: An open market that sends nothing for so long stands still.
    """

    def __init__(self, port: int, silent_after_s: float = 120.0) -> None:
        self._port, self._silent_after_s = port, silent_after_s
        self._emitted = -1
        self._moved = time.monotonic()
        self.finished = False
        self.open_s = 0.0

    def look(self) -> None:
        """Ask how far it is.

        Raises:
            FixSetup: It is open and stands still.
        """
        body = get(self._port, "/sim/status")
        if body is None:
            return  # it starts, or a fault has hit it
        status = msgspec.json.decode(body, type=_MarketStatus)
        self.finished = status.finished
        if status.started_wall_ns is None or status.emitted != self._emitted:
            self._emitted, self._moved = status.emitted, time.monotonic()
        if status.started_wall_ns is not None:
            self.open_s = time.time() - status.started_wall_ns / 1e9
        if time.monotonic() - self._moved > self._silent_after_s:
            raise FixSetup(
                "simulated market",
                f"stands still after {status.emitted} messages",
                "See simulator.log and producer.log",
            )


def observe(
    settings: Settings,
    *,
    strike: Strike | None = None,
    strike_after_s: float = 0,
    with_page: bool = False,
) -> Observation:
    """Run the pipeline until its market has ended and everything is drained.

    Args:
        settings: What to run; its var folder must be new.
        strike: Called once.
        strike_after_s: When, from the opening of the market.
        with_page: A browser holds the page open meanwhile.

    Raises:
        FixSetup: The pipeline cannot run, its market stands still, or no browser.
    """
    if with_page:
        require_browser()
    began_ns, usage = time.time_ns(), Usage()
    settings.var.mkdir(parents=True, exist_ok=True)
    log, heard = settings.var / "sightings.jsonl", settings.var / "stream.jsonl"
    api, looked = run_folder(settings) / "api.json", settings.var / "page.json"
    with (
        _beside(*_reader("reader", "--lake", settings.lake.root), "--out", log),
        _beside(*_reader("stream_reader", "--api", api), "--out", heard),
        Pipeline(settings) as pipeline,
        ExitStack() as visit,
    ):
        if with_page:
            visit.enter_context(_beside(*holding(api, looked)))
        pipeline.launch()
        for status, market in _watched(pipeline, settings):
            usage.add(status.processes)
            if market.finished:
                visit.close()  # before the API, whose end the page would show
                pipeline.request_drain()
            if strike and market.open_s > strike_after_s:
                strike(pipeline, settings)
                strike = None
    sightings = read_sightings(log)
    return Observation(
        sightings,
        usage,
        _first_gold_s(sightings, began_ns),
        shown=collect(read_heard(heard)) if api.exists() else None,
        page=read(looked, Page),
    )


def _watched(
    pipeline: Pipeline, settings: Settings
) -> Iterator[tuple[RunStatus, Market]]:
    """Look at a pipeline and its market once a second until the pipeline has ended."""
    market, shown = Market(settings.simulator.port), 0.0
    while not pipeline.wait(1.0):
        status = pipeline.status
        if status.state == LIVE and not market.finished:
            market.look()
        if time.monotonic() - shown > _SHOW_EVERY_S:
            shown = time.monotonic()
            _show(status, market)
        yield status, market


def _reader(module: str, *arguments: object) -> list[object]:
    return [sys.executable, "-m", f"infra.local.{module}", *arguments]


@contextmanager
def _beside(*words: object) -> Iterator[None]:
    """Run a watching process of ours beside the pipeline."""
    command = [str(word) for word in words]
    leashed = [sys.executable, "-IS", str(leash.__file__), str(os.getpid()), *command]
    process = subprocess.Popen(leashed, cwd=ROOT)  # noqa: S603 (our own command)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _show(status: RunStatus, market: Market) -> None:
    stages = {
        stage.name: f"{stage.rate_per_s or 0:.0f}/s, {stage.lag_s or 0:.1f} s behind"
        for stage in status.stages
    }
    _log.info(status.state, market_s=round(market.open_s), **stages)


def _first_gold_s(sightings: list[Sighting], began_ns: int) -> float | None:
    seen_ns = [s.seen_ns for s in sightings if s.table.startswith("gold.") and s.rows]
    return round((min(seen_ns) - began_ns) / 1e9, 1) if seen_ns else None
