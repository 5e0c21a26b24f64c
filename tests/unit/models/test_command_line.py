"""`python -m models`: what is missing is named, with the line that mends it."""

from importlib.machinery import ModuleSpec

import pytest
from typer.testing import CliRunner

import models.__main__ as command_line
from conf.errors import FixSetup


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
