"""The benchmark: each contender alone, killed once, timed and judged.

All of them read the same seconds of the same recording and fill the same tables. First
one second of the market in a batch, as when a contender keeps up: that is how old its
rows are. In the middle of its time it is killed (SIGKILL) and started again, and then
catches up, twenty seconds in a batch. What it stored is compared with what these
seconds sent; no speed is told without that.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from conf.errors import FixSetup
from conf.settings import ROOT, Settings
from infra.local import leash, machine
from infra.local.bench import recording
from infra.local.bench.contender import AT_ONCE_S, CONTENDERS, OURS, PACKAGE, Taken
from infra.local.bench.figures import Speed, speed_of
from infra.local.bench.judge import Verdict, judge
from infra.local.process_table import kill_session
from producer.simulator.batch import Source

RATE_PER_S = 4096
_LOOK_EVERY_S = 0.02
_COMES_UP_WITHIN_S = 180.0
_FINISHES_WITHIN_S = 120.0
_FIRST_LIFE_SHARE = 0.6
_LEASH = str(Path(leash.__file__))
Result = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How long the benchmark is.

    Attributes:
        seconds: Of the recording; a contender that is through ends earlier.
        plain_s: Time for a contender without Spark, from its first batch on.
        spark_s: Time for one with Spark.
        contenders: Their names.
    """

    seconds: int
    plain_s: float
    spark_s: float
    contenders: tuple[str, ...]

    def only(self, names: Sequence[str]) -> "Plan":
        """Return the same plan for some contenders, in their order.

        Raises:
            FixSetup: There is no such contender.
        """
        for name in names:
            if name not in CONTENDERS:
                known = ", ".join(CONTENDERS)
                raise FixSetup("--only", f"no contender {name!r}", f"Known: {known}")
        chosen = tuple(name for name in CONTENDERS if name in names)
        return replace(self, contenders=chosen)

    def time_of(self, name: str) -> float:
        """Return a contender's time in seconds."""
        with_spark = name == OURS or name.startswith("spark")
        return self.spark_s if with_spark else self.plain_s


FULL = Plan(240, 20.0, 60.0, tuple(CONTENDERS))
QUICK = Plan(40, 3.0, 10.0, (OURS, "append", "append-uncompacted", "merge-bounded"))


def bench(
    settings: Settings,
    plan: Plan,
    show: Callable[[str], object],
    *,
    data: Path | None = None,
    seed: int = 7,
) -> Result:
    """Run every contender; return what each did.

    Args:
        settings: Say where to work.
        plan: How long, and who.
        show: Told one line of the table at a time.
        data: A folder of recorded ``*.jsonl.gz`` instead of the simulated market.
        seed: Of the market and of the moment at which each is killed.

    Raises:
        FixSetup: There is no recording.
    """
    load_average = machine.load_average()
    folder = settings.var / "bench" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    try:
        messages = recording.write(_source(data, seed), folder, plan.seconds, seed)
        found = dict(_rows(folder, plan, messages, Random(seed), show))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "seed": seed,
        "data": None if data is None else data.name,
        "rate_per_s": RATE_PER_S,
        "messages": sum(messages),
        "load_average": load_average,
        "contenders": found,
        "broken": [*broken_by(found.get(OURS))],
        "versions": machine.versions(),
    }


def _source(data: Path | None, seed: int) -> Source:
    if data is not None:
        return recording.recorded(data, RATE_PER_S)
    return recording.simulated(RATE_PER_S, seed, **recording.DISTURBED)


def _rows(
    folder: Path,
    plan: Plan,
    messages: list[int],
    random: Random,
    show: Callable[[str], object],
) -> Iterator[tuple[str, Result]]:
    show(_HEAD)
    for name in plan.contenders:
        contender = _Run(name, folder, len(messages))
        try:
            batches = contender.batches(plan.time_of(name), random)
        except FixSetup as error:
            show(f"{name:<19} {error}")
            yield name, {"failed": str(error)}
            continue
        done = max(batch.end for batch in batches)
        verdict = judge(folder, folder / name, done)
        speed = speed_of(batches, messages, contender.back_s)
        show(_line(name, speed, verdict))
        shutil.rmtree(folder / name)
        judged = {**msgspec.structs.asdict(verdict), "right": verdict.is_right}
        yield name, {"seconds": done, **msgspec.structs.asdict(speed), **judged}


class _Run:
    """One contender's processes, one after the other.

    Args:
        name: Of the contender.
        folder: Of the recording.
        seconds: Length of the recording.
    """

    def __init__(self, name: str, folder: Path, seconds: int) -> None:
        self._name, self._folder, self._own = name, folder, folder / name
        # Something must be left to catch up with.
        self._first_seconds = int(seconds * _FIRST_LIFE_SHARE)
        self._own.mkdir()
        self._told = self._own / "batches.jsonl"
        self.back_s = 0.0
        """From its second start to the first batch that it stored then."""

    def batches(self, work_s: float, random: Random) -> list[Taken]:
        """Let it work for so long, killed in the middle; return what it stored.

        Raises:
            FixSetup: It failed, or does not come up or to an end.
        """
        first = self._start(life=0, at_once_s=1)
        try:
            self._await_batches(first, 1)
            self._let_work(first, work_s / 2)
            time.sleep(random.random() * self._read()[-1].ms / 1000)
        finally:
            kill_session(first.pid)
            first.wait()
        had, began_s = len(self._read()), time.monotonic()
        second = self._start(life=1, at_once_s=AT_ONCE_S)
        try:
            self._await_batches(second, had + 1)
            self.back_s = time.monotonic() - began_s
            self._let_work(second, work_s / 2)
            self._let_finish(second)
        finally:
            kill_session(second.pid)
            second.wait()
        return self._read()

    def _start(self, *, life: int, at_once_s: int) -> subprocess.Popen[bytes]:
        leashed = [sys.executable, "-IS", _LEASH, str(os.getpid()), sys.executable]
        module, numbers = f"{PACKAGE}.worker", [str(life), str(at_once_s)]
        worker = ["-m", module, self._name, str(self._folder), *numbers]
        with (self._own / "log.txt").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (our own module)
                [*leashed, *worker],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await_batches(self, process: subprocess.Popen[bytes], count: int) -> None:
        deadline_s = time.monotonic() + _COMES_UP_WITHIN_S
        while len(self._read()) < count and process.poll() is None:
            if time.monotonic() > deadline_s:
                raise self._failed(f"stored nothing in {_COMES_UP_WITHIN_S:g} s")
            time.sleep(_LOOK_EVERY_S)
        if len(self._read()) < count:
            raise self._failed("ended without having stored anything")

    def _let_work(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        """Return after so long, or when it is through or far enough."""
        life, deadline_s = self._read()[-1].life, time.monotonic() + seconds
        while time.monotonic() < deadline_s and process.poll() is None:
            if life == 0 and self._read()[-1].end >= self._first_seconds:
                return
            time.sleep(_LOOK_EVERY_S)

    def _let_finish(self, process: subprocess.Popen[bytes]) -> None:
        (self._own / "stop").touch()
        try:
            code = process.wait(_FINISHES_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            late = f"did not come to an end in {_FINISHES_WITHIN_S:g} s"
            raise self._failed(late) from error
        if code != 0:
            raise self._failed("failed")

    def _read(self) -> list[Taken]:
        if not self._told.exists():
            return []
        *lines, _unfinished = self._told.read_bytes().split(b"\n")
        return [msgspec.json.decode(line, type=Taken) for line in lines]

    def _failed(self, how: str) -> FixSetup:
        said = (self._own / "log.txt").read_text(errors="replace").strip()
        return FixSetup(self._name, how, said[-2000:] or "It said nothing")


_HEAD = (
    f"{'':<19}{'1 s: p50':>12}{'p99':>11}{'CPU s/M':>9}{'catches up':>13}"
    f"{'memory':>9}{'back in':>9}{'lost':>8}{'double':>8}{'altered':>8}"
)


def _line(name: str, speed: Speed, verdict: Verdict) -> str:
    return (
        f"{name:<19}{speed.batch_ms['p50']:>9,.0f} ms{speed.batch_ms['p99']:>8,.0f} ms"
        f"{speed.cpu_s_per_million:>9,.1f}{speed.messages_per_s:>11,.0f}/s"
        f"{speed.peak_rss_mb:>6,.0f} MB{speed.back_s:>7.1f} s"
        f"{verdict.lost:>8,}{verdict.duplicated:>8,}{verdict.altered:>8,}"
    )


def broken_by(ours: Result | None) -> Iterator[str]:
    """Yield one sentence for each thing that this pipeline did wrong; None: not run."""
    if ours is None:
        return
    if "failed" in ours:
        yield f"{OURS}: failed: {ours['failed']}"
    for fault in ("lost", "duplicated", "altered"):
        if ours.get(fault):
            yield f"{OURS}: {fault} is {ours[fault]}, must be 0"
