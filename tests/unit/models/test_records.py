"""What was trained and played back can be asked for, and nothing is forgotten."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

from deltalake import DeltaTable

from conf.lake.roots import table_uri
from conf.lake.tables import BACKTESTS, MODEL_RUNS, TableContract
from models.account import Costs
from models.backtest import Backtest
from models.lake_tape import Span
from models.performance import Performance
from models.records import Run, new_run_id, record_backtest, record_runs

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = date(2026, 3, 2)


def rows(root: Path, contract: TableContract) -> list[dict]:
    table = DeltaTable(table_uri(str(root), contract)).to_pyarrow_table()
    return sorted(table.to_pylist(), key=lambda row: row["run_id"])


def trained(seed: int) -> Run:
    return Run(
        purpose="study",
        seed=seed,
        algorithm="dqn",
        data="AAPL of silver.features@7",
        versions={"silver.features": 7},
        hyperparameters={"steps": 100, "activation_fn": Path, "gamma": 0.98},
        scores={"sharpe": float("nan"), "net_return": 0.25, 1: (1, 2)},
        libraries={"numpy": "2"},
        verdict="no edge demonstrated",
    )


def test_every_seed_of_a_run_is_a_row_of_one_commit(tmp_path: Path):
    run_id = new_run_id(NOON)
    record_runs(str(tmp_path), run_id, [trained(0), trained(1)], NOON)
    first, second = rows(tmp_path, MODEL_RUNS)
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["run_id"] == second["run_id"] == "20260302T120000.000000Z"
    assert first["ended_time"] == NOON
    assert first["day"] == DAY
    assert first["model_version"] is None
    assert json.loads(first["versions"]) == {"silver.features": 7}
    told = json.loads(first["hyperparameters"])
    assert told == {"steps": 100, "activation_fn": "Path", "gamma": 0.98}
    scores = json.loads(first["scores"])
    assert scores == {"sharpe": None, "net_return": 0.25, "1": [1, 2]}
    assert DeltaTable(table_uri(str(tmp_path), MODEL_RUNS)).version() == 1


def played(net_return: float, version: int = 7) -> Backtest:
    figures = {name: 0.5 for name in Performance.__dataclass_fields__}
    one = Performance(**(figures | {"net_return": net_return}))
    return Backtest(
        versions={"silver.bars": version},
        model_version="v1",
        model_sha256="a" * 64,
        label="",
        cost=Costs(),
        figures={"AAPL": {"agent": one}},
        decisions_sha256="b" * 64,
    )


def test_a_backtest_is_known_by_the_hash_of_its_result(tmp_path: Path):
    span = Span([], DAY, DAY)
    for hour, found in enumerate([played(0.25), played(0.25), played(0.25, 8)]):
        ended = NOON.replace(hour=hour)
        record_backtest(str(tmp_path), found, span, 4.0, ended)
    first, again, other = rows(tmp_path, BACKTESTS)
    assert first["result_sha256"] == again["result_sha256"]
    assert first["result_sha256"] != other["result_sha256"]
    assert first["run_id"] != again["run_id"]
    assert first["symbols"] == ["AAPL"]
    assert (first["first_day"], first["last_day"]) == (DAY, DAY)
    assert json.loads(first["figures"])["AAPL"]["agent"]["net_return"] == 0.25
    assert json.loads(other["versions"]) == {"silver.bars": 8}
