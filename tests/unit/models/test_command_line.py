"""`python -m models`: what is missing is named, with the line that mends it."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from typer.testing import CliRunner

import models.__main__ as command_line
from conf.errors import FixSetup
from conf.lake.create import ensure_tables
from conf.lake.tables import BARS, FEATURES, QUOTES, TableContract
from models import lake_study


def without(*names: str):
    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in names else ModuleSpec(name, None)

    return find


@pytest.mark.parametrize("command", ["planted", "demo"])
def test_training_without_its_group_says_how_to_install_it(
    command: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(command_line, "find_spec", without("torch", "optuna"))
    failed = CliRunner().invoke(command_line.app, [command])
    assert isinstance(failed.exception, FixSetup)
    expected = "training: torch, optuna not installed. `uv sync --group rl`"
    assert str(failed.exception) == expected


@pytest.mark.parametrize("tables", [(), (FEATURES, BARS, QUOTES)])
def test_a_lake_that_is_too_young_says_how_many_minutes_are_needed(
    tables: tuple[TableContract, ...], tmp_path: Path
):
    ensure_tables(str(tmp_path), tables)
    failed = CliRunner().invoke(command_line.app, ["train", "--lake", str(tmp_path)])
    assert isinstance(failed.exception, FixSetup)
    expected = "silver.features: 0 minutes of AAPL exist, 3120 are needed"
    assert str(failed.exception).startswith(expected)


def test_the_lake_is_that_of_the_settings_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    def study_of_lake(lake: str, *_: object) -> None:
        asked.append(lake)
        raise FixSetup(lake, "is only asked for", "Nothing")

    monkeypatch.setattr(lake_study, "study_of_lake", study_of_lake)
    monkeypatch.setenv("TICKHOUSE_LAKE__ROOT", str(tmp_path))
    for given in ([], ["--lake", "elsewhere"]):
        CliRunner().invoke(command_line.app, ["train", *given])
    assert asked == [str(tmp_path), "elsewhere"]


def test_an_algorithm_that_is_not_known_is_named_with_those_that_are():
    failed = CliRunner().invoke(command_line.app, ["train", "--algo", "a3c"])
    assert failed.exit_code == 2
    assert "a3c: maskable-ppo, ppo, dqn, qr-dqn" in failed.output
