"""`python -m models`: what is missing is named, with the line that mends it."""

from datetime import UTC, date, datetime
from importlib.machinery import ModuleSpec
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

import models.__main__ as command_line
from conf.errors import FixSetup
from conf.lake.create import ensure_tables
from conf.lake.manifest import tie
from conf.lake.roots import table_uri
from conf.lake.tables import BARS, FEATURES, QUOTES, TableContract
from models import lake_study
from models.lake_rows import newest_day


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


def test_a_backtest_is_by_default_of_the_lake_s_newest_day(tmp_path: Path):
    root = str(tmp_path)
    ensure_tables(root, [FEATURES])
    with pytest.raises(FixSetup, match=r"silver\.features: has no rows"):
        newest_day(root, tie(root))
    of = {"string": "AAPL", "int32": 0, "int64": 0, "double": 0.0, "bool": False}
    for n in range(2):
        now = datetime(2024, 2, 1 + n, tzinfo=UTC)
        values = of | {"date32[day]": now.date(), "timestamp[us, tz=UTC]": now}
        row = {f.name: values[str(f.type)] for f in FEATURES.schema}
        table = pa.Table.from_pylist([row], schema=FEATURES.schema)
        write_deltalake(table_uri(root, FEATURES), table, mode="append")
    assert newest_day(root, tie(root)) == date(2024, 2, 2)


def test_an_algorithm_that_is_not_known_is_named_with_those_that_are():
    failed = CliRunner().invoke(command_line.app, ["train", "--algo", "a3c"])
    assert failed.exit_code == 2
    assert "a3c: maskable-ppo, ppo, dqn, qr-dqn" in failed.output
