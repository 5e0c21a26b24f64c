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
from models.registry import Registry
from models.serving import CHALLENGER, NAME, find_version
from tests.unit.models.test_registry import added, card, evidence, proven


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


def ran(*arguments: str):
    return CliRunner().invoke(command_line.app, list(arguments))


def test_versions_are_listed_promoted_and_rolled_back_by_commands(tmp_path: Path):
    root = str(tmp_path)
    there = "--registry", root
    assert ran("models", *there).output.startswith("no version")
    registry = Registry(root, NAME)
    first = added(registry, card(feed="simulator/iex"), 8)
    second = added(registry, proven(2.0, symbol="AAPL"), 9, 10)
    spoilt = added(registry, proven(3.0), 7, 20)
    (tmp_path / NAME / "versions" / spoilt / "weights.npz").write_bytes(b"spoilt")
    assert ran("promote", first, *there).exit_code == 0
    listed = ran("models", *there).output.splitlines()
    assert listed[0].startswith(f"{spoilt}  -           refused: weights.npz is not")
    assert listed[1] == (
        f"{first}  champion    maskable-ppo, trained on simulated data, not evaluated"
    )
    assert listed[2] == (
        f"{second}  challenger  maskable-ppo, AAPL, no verdict "
        "(seeds 10, folds 4, side_cost_bps 2.0)"
    )
    assert listed[3].endswith(f"{first}  passed the gate")
    assert find_version(root, CHALLENGER).version == second

    assert ran("promote", second, *there).exit_code == 0
    with pytest.raises(FixSetup, match="there is none"):
        find_version(root, CHALLENGER)
    rolled = ran("roll-back", "--reason", "it lost", *there)
    assert f'"champion": "{first}"' in rolled.output
    assert registry.roles().champion == first
    assert "rolled back: it lost" in ran("models", *there).output


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (("promote", "v9"), "model trader v9: refused"),
        (("promote", "../v9"), "this is no name of a version"),
        (("roll-back", "--reason", "x"), "no champion before this one"),
    ],
)
def test_roles_that_cannot_be_given_say_why(asked, reason: str, tmp_path: Path):
    failed = ran(*asked, "--registry", str(tmp_path))
    assert isinstance(failed.exception, FixSetup)
    assert reason in str(failed.exception)


def test_a_candidate_that_is_not_promoted_says_which_rule_fails(tmp_path: Path):
    told = evidence(claims_edge=False, verdict="no edge demonstrated", seeds=1)
    version = added(Registry(str(tmp_path), NAME), proven(evidence=told))
    failed = ran("promote", version, "--registry", str(tmp_path))
    assert "judged with fewer than 5 seeds; no edge" in str(failed.exception)
