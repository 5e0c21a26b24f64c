"""Bounds are measured once per state of the code, and the README shows the files."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.errors import FixSetup
from conf.settings import ROOT
from infra import evidence
from infra.bounds.issues import ISSUES
from infra.bounds.model import Bound, Run
from infra.evidence import execute, measure, read, render, value_of

RUN = Run(
    "load",
    ("python", "-m", "load"),
    (
        Bound("load-faults", "faults", ("lost", "duplicated"), 0),
        Bound("load-rate", "sent", ("rate",), 100, "/s", at_least=True),
        Bound("load-p95", "latency", ("latency.p95",), None, "s"),
    ),
)
GOOD = {"lost": 0, "duplicated": 0, "rate": 100.0, "latency": {"p95": 1.5}}


class Executions:
    """Stands for the command: gives its results in turn and counts."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self._results = list(results)

    def __call__(self, run: Run) -> dict[str, Any]:
        return self._results.pop(0)

    @property
    def left(self) -> int:
        return len(self._results)


def same(_: str | None) -> bool:
    return True


def changed(_: str | None) -> bool:
    return False


def test_a_run_leaves_one_file_per_bound(tmp_path: Path):
    assert measure(RUN, tmp_path, Executions(GOOD), same)
    found = [read(tmp_path, bound.name) for bound in RUN.bounds]
    assert [(m.value, m.holds, m.limit) for m in found if m] == [
        (0, True, 0),
        (100, True, 100),
        (1.5, True, None),
    ]
    assert {m.command for m in found if m} == {"python -m load"}


def test_what_held_is_not_measured_again(tmp_path: Path):
    executions = Executions(GOOD, GOOD)
    for _ in range(3):
        assert measure(RUN, tmp_path, executions, same)
    assert executions.left == 1


def test_it_goes_on_with_a_bound_that_is_missing(tmp_path: Path):
    executions = Executions(GOOD, GOOD)
    measure(RUN, tmp_path, executions, same)
    (tmp_path / "load-rate.json").unlink()
    measure(RUN, tmp_path, executions, same)
    assert executions.left == 0


@pytest.mark.parametrize(
    "bad",
    [
        GOOD | {"duplicated": 1},
        GOOD | {"rate": 99.9},
        {"lost": 0, "duplicated": 0, "rate": 100.0},
        {},
    ],
)
def test_what_did_not_hold_is_measured_again(tmp_path: Path, bad: dict[str, Any]):
    executions = Executions(bad, GOOD)
    assert not measure(RUN, tmp_path, executions, same)
    assert measure(RUN, tmp_path, executions, same)
    assert executions.left == 0


def test_changed_code_is_measured_again(tmp_path: Path):
    executions = Executions(GOOD, GOOD)
    measure(RUN, tmp_path, executions, same)
    measure(RUN, tmp_path, executions, changed)
    assert executions.left == 0


def test_a_changed_limit_is_measured_again(tmp_path: Path):
    executions = Executions(GOOD, GOOD)
    measure(RUN, tmp_path, executions, same)
    stricter = Run("load", RUN.command, (Bound("load-rate", "", ("rate",), 101),))
    measure(stricter, tmp_path, executions, same)
    assert executions.left == 0


@pytest.mark.parametrize(
    ("paths", "value"),
    [
        (("lost", "duplicated"), 3),
        (("broken",), 2),
        (("rising",), 1),
        (("latency.p95",), 1.5),
        (("latency.p99",), None),
        (("lost", "nothing"), None),
        (("lost.deeper",), None),
    ],
)
def test_values_are_found_by_their_path(paths: tuple[str, ...], value: float | None):
    result = {
        "lost": 1,
        "duplicated": 2,
        "broken": ["a", "b"],
        "rising": True,
        "latency": {"p95": 1.5, "p99": None},
    }
    assert value_of(result, paths) == value


def script(text: str) -> Run:
    return Run("script", ("python", "-c", text), ())


def test_the_result_is_the_last_line_with_exit_code_and_time():
    found = execute(script("print('noise'); print('{\"a\": 1}'); raise SystemExit(1)"))
    assert (found["a"], found["exit_code"]) == (1, 1)
    assert 0 < found["wall_s"] < 60


@pytest.mark.parametrize("text", ["print('no json')", "print([1])", ""])
def test_without_a_result_there_are_exit_code_and_time(text: str):
    assert execute(script(text)).keys() == {"exit_code", "wall_s"}


def test_commands_name_the_recordings_by_a_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TICKHOUSE_DATA", "recordings")
    said = "import json, sys; print(json.dumps({'said': sys.argv[1]}))"
    found = execute(Run("", ("python", "-c", said, "$TICKHOUSE_DATA/ticks"), ()))
    assert found["said"] == "recordings/ticks"


def test_an_unknown_issue_is_named(tmp_path: Path):
    with pytest.raises(FixSetup, match=r"'no-such' has no bounds.*main-job"):
        evidence.run("no-such")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], str]:
    monkeypatch.setitem(ISSUES, "toy", (RUN,))
    text = "before\n<!-- measurements: toy -->\nold\n<!-- /measurements -->\nafter\n"
    return lambda: render(text, tmp_path)


def test_a_table_says_what_was_not_measured(page: Callable[[], str]):
    assert page() == (
        "before\n<!-- measurements: toy -->\n"
        "| bound | measured | must be | holds | command |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| faults | not measured | ≤ 0 |  | `python -m load` |\n"
        "| sent | not measured | ≥ 100 /s |  |  |\n"
        "| latency | not measured | reported |  |  |\n"
        "<!-- /measurements -->\nafter\n"
    )


def test_a_table_shows_what_the_files_say(page: Callable[[], str], tmp_path: Path):
    measure(RUN, tmp_path, Executions(GOOD | {"rate": 4096.25, "lost": 2}), same)
    assert "| faults | 2 | ≤ 0 | **no** |" in page()
    assert "| sent | 4,096.25 /s | ≥ 100 /s | yes |" in page()


def test_a_table_shows_a_run_that_broke_down(page: Callable[[], str], tmp_path: Path):
    measure(RUN, tmp_path, Executions({}), same)
    assert "| latency | failed | reported | **no** |" in page()


def test_the_readme_shows_the_measurements():
    text = evidence.README.read_text("utf-8")
    assert "<!-- measurements: main-job -->" in text
    assert text == render(text, evidence.FOLDER)


def test_no_two_bounds_share_a_file():
    names = [b.name for runs in ISSUES.values() for run in runs for b in run.bounds]
    assert len(names) == len(set(names))


def test_commands_name_no_place_of_this_machine():
    spelled = " ".join(run.spelled for runs in ISSUES.values() for run in runs)
    assert str(Path(sys.executable).parent) not in spelled
    assert str(ROOT.parent) not in spelled
