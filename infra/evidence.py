"""`make evidence`: measures the bounds of an issue and keeps what was found.

Each bound leaves ``docs/reference/measurements/<bound>.json``. A run whose bounds were
measured with the code as it is now, and held, is skipped, so a stopped session goes on
where it was. The README's tables are written from these files and from nothing else.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import ROOT
from infra.bounds.issues import ISSUES
from infra.bounds.model import Bound, Run
from infra.local import machine

FOLDER = ROOT / "docs" / "reference" / "measurements"
README = ROOT / "README.md"
_DATA = "TICKHOUSE_DATA"
_TIMEOUT_S = 2 * 3600

Result = dict[str, Any]
_log = get_logger(__name__)


class Measurement(msgspec.Struct, frozen=True):
    """One measured bound, as its file holds it.

    ``value`` is None if the run did not get that far; ``load_average`` is the
    machine's just before the run.
    """

    bound: str
    says: str
    command: str
    commit: str | None
    machine: str
    load_average: float
    value: float | None
    limit: float | None
    at_least: bool
    unit: str
    holds: bool = msgspec.field(name="pass")
    date: str


def run(
    issue: str, *, only: Collection[str] | None = None, again: bool = False
) -> bool:
    """Measure an issue's bounds; return whether all of them hold.

    Args:
        issue: Name of the issue.
        only: Names of the runs to do; by default all.
        again: Measure also what was measured with this code.

    Raises:
        FixSetup: There is no such issue, or no such run.
    """
    if issue not in ISSUES:
        known = ", ".join(ISSUES)
        raise FixSetup("ISSUE", f"{issue!r} has no bounds", f"Known: {known}")
    runs = {each.name: each for each in ISSUES[issue]}
    for name in set(only or ()) - runs.keys():
        raise FixSetup("--only", f"no run {name!r}", f"Known: {', '.join(runs)}")
    is_current = (lambda _: False) if again else machine.is_same_code
    held = []
    for name in only or runs:
        held.append(measure(runs[name], FOLDER, execute, is_current))
        README.write_text(render(README.read_text("utf-8"), FOLDER), "utf-8")
    return all(held)


def measure(
    run: Run,
    folder: Path,
    execute: Callable[[Run], Result],
    is_current: Callable[[str | None], bool],
) -> bool:
    """Measure the bounds of one run, unless that was done; return whether they hold.

    Args:
        run: What to do.
        folder: Of the measurements.
        execute: Runs the command and returns its result.
        is_current: Whether the code is still that of a commit.
    """
    if all(
        _is_known(bound, read(folder, bound.name), is_current) for bound in run.bounds
    ):
        _log.info("measured already", run=run.name)
        return True
    _log.info("measuring", run=run.name, command=run.spelled)
    load_average = machine.load_average()
    result = execute(run)
    found = [_measurement(run, bound, result, load_average) for bound in run.bounds]
    folder.mkdir(parents=True, exist_ok=True)
    for measurement in found:
        text = msgspec.json.format(msgspec.json.encode(measurement), indent=2)
        (folder / f"{measurement.bound}.json").write_bytes(text + b"\n")
        _log.info(measurement.bound, value=measurement.value, holds=measurement.holds)
    return all(measurement.holds for measurement in found)


def execute(run: Run) -> Result:
    """Run a command; return the JSON of its last line, ``exit_code`` and ``wall_s``."""
    data = os.environ.get(_DATA, str(ROOT.parent / "shared" / "data"))
    words = [word.replace(f"${_DATA}", data) for word in run.command]
    if words[0] == "python":
        words[0] = sys.executable
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 (our own table of commands)
        words,
        cwd=ROOT,
        env={**os.environ, **run.environment},
        stdout=subprocess.PIPE,
        timeout=_TIMEOUT_S,
        check=False,
    )
    wall_s = round(time.monotonic() - began, 3)
    return {**_last_line(done.stdout), "exit_code": done.returncode, "wall_s": wall_s}


def read(folder: Path, bound: str) -> Measurement | None:
    """Return a bound's measurement; None if there is none."""
    path = folder / f"{bound}.json"
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=Measurement)


def render(text: str, folder: Path) -> str:
    """Return a page with its tables of measurements written anew.

    A table stands between ``<!-- measurements: <issue> -->`` and
    ``<!-- /measurements -->``.
    """

    def table(found: re.Match[str]) -> str:
        rows = [
            _row(bound, read(folder, bound.name), "" if nth else f"`{run.spelled}`")
            for run in ISSUES[found["issue"]]
            for nth, bound in enumerate(run.bounds)
        ]
        return "\n".join([found["start"], *_HEAD, *rows, found["end"]])

    return _TABLE.sub(table, text)


_TABLE = re.compile(
    r"(?P<start><!-- measurements: (?P<issue>[\w-]+) -->)\n.*?"
    r"(?P<end><!-- /measurements -->)",
    re.DOTALL,
)
_HEAD = (
    "| bound | measured | must be | holds | command |",
    "| --- | --- | --- | --- | --- |",
)


def _row(bound: Bound, found: Measurement | None, command: str) -> str:
    measured, holds = "not measured", ""
    if found is not None:
        measured, holds = "failed", "yes" if found.holds else "**no**"
        if found.value is not None:
            measured = f"{found.value:,g} {found.unit}".strip()
    must_be = "reported"
    if bound.limit is not None:
        sign = "≥" if bound.at_least else "≤"
        must_be = f"{sign} {bound.limit:,g} {bound.unit}".strip()
    cells = (bound.says, measured, must_be, holds, command)
    return f"| {' | '.join(cells)} |"


def _is_known(
    bound: Bound, found: Measurement | None, is_current: Callable[[str | None], bool]
) -> bool:
    return (
        found is not None
        and found.holds
        and found.limit == bound.limit
        and is_current(found.commit)
    )


def _measurement(
    run: Run, bound: Bound, result: Result, load_average: float
) -> Measurement:
    value = value_of(result, bound.paths)
    return Measurement(
        bound=bound.name,
        says=bound.says,
        command=run.spelled,
        commit=machine.commit(),
        machine=f"{machine.cpu_model()}, {os.cpu_count()} cores",
        load_average=load_average,
        value=value,
        limit=bound.limit,
        at_least=bound.at_least,
        unit=bound.unit,
        holds=_holds(bound, value),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
    )


def value_of(result: Result, paths: Iterable[str]) -> float | None:
    """Return the sum of some values of a result; None if one of them is missing.

    Args:
        result: Of a run.
        paths: Dotted keys; a list counts as its length.
    """
    values = [_at(result, path) for path in paths]
    if any(value is None for value in values):
        return None
    return float(sum(len(v) if isinstance(v, list) else v for v in values))


def _at(result: Any, path: str) -> Any:  # noqa: ANN401 (any JSON)
    for key in path.split("."):
        result = result.get(key) if isinstance(result, dict) else None
    return result


def _holds(bound: Bound, value: float | None) -> bool:
    if value is None:
        return False
    if bound.limit is None:
        return True
    return value >= bound.limit if bound.at_least else value <= bound.limit


def _last_line(output: bytes) -> Result:
    """Return the JSON object of the last line; nothing if it is none."""
    lines = output.splitlines() or [b""]
    try:
        return msgspec.json.decode(lines[-1], type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
