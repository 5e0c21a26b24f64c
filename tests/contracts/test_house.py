"""The shape of the house: names, sizes, and who may import whom."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

from conf.settings import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
IMPORT_RULES = PYPROJECT["tool"]["importlinter"]

PLANTED = {
    "Layers meet in tables, not in imports": ("silver", "import gold"),
    "Inside conf: lake above market above settings": (
        "conf/market",
        "import conf.lake",
    ),
    "Spark stays in the Spark layers": ("producer", "import pyspark"),
    "Serving needs no torch": ("gold", "import torch"),
    "What the domain knows is pure": ("conf/market", "import boto3"),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_root_package_is_ours_alone(name: str):
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin == str(ROOT / name / "__init__.py")
    assert name not in packages_distributions()
    assert name not in sys.stdlib_module_names


def test_the_tools_look_at_every_root_package():
    assert sorted(PYPROJECT["tool"]["mypy"]["files"]) == PACKAGES
    assert sorted(IMPORT_RULES["root_packages"]) == PACKAGES


def test_no_module_is_called_like_one_of_the_standard_library():
    assert [p.name for p in MODULES if p.stem in sys.stdlib_module_names] == []


def test_a_package_begins_with_one_docstring_and_nothing_else():
    for path in MODULES:
        if path.name == "__init__.py":
            body = ast.parse(path.read_text()).body
            assert len(body) == 1, path
            assert ast.get_docstring(ast.parse(path.read_text())), path


def test_a_long_file_says_why():
    for path in [*MODULES, *ROOT.glob("tests/**/*.py")]:
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 400:
            reason = ast.get_docstring(ast.parse(text)) or ""
            assert "Long because" in reason, f"{path} has {text.count(chr(10))} lines"


@pytest.mark.parametrize("name", ["run", "secret-scan"])
def test_ci_scripts_can_be_run(name: str):
    assert os.access(ROOT / ".ci" / name, os.X_OK)


@pytest.fixture(scope="module")
def copy_of_the_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    house = tmp_path_factory.mktemp("house")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, house / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", house)
    return house


def test_a_planted_import_breaks_each_rule(copy_of_the_house: Path):
    assert set(PLANTED) == {rule["name"] for rule in IMPORT_RULES["contracts"]}
    lint_imports(copy_of_the_house, exit_code=0)

    for number, (folder, line) in enumerate(PLANTED.values()):
        planted = copy_of_the_house / folder / f"planted_{number}.py"
        planted.write_text(f'"""Planted."""\n\n{line}\n')

    report = lint_imports(copy_of_the_house, exit_code=1)
    for name in PLANTED:
        assert f"{name} BROKEN" in report


def lint_imports(house: Path, exit_code: int) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout
