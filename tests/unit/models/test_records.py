"""What was trained and played back can be asked for, and nothing is forgotten."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
from deltalake import DeltaTable, write_deltalake

from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import BACKTESTS, MODEL_RUNS, TableContract
from models.account import Costs
from models.backtest import Backtest, in_sample_share
from models.card import Model
from models.lake_tape import Span
from models.performance import Performance
from models.records import Run, new_run_id, record_backtest, record_runs
from models.serving import BUNDLED, champion_of
from tests.unit.models.tapes import walk

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


def test_a_table_from_before_a_column_was_there_keeps_its_rows(tmp_path: Path):
    columns = [c for c in BACKTESTS.columns if c.name != "in_sample_share"]
    older = replace(BACKTESTS, columns=tuple(columns), version=1)
    uri = table_uri(str(tmp_path), BACKTESTS)
    record_backtest(str(tmp_path), played(0.25), Span([], DAY, DAY), None, NOON)
    row = DeltaTable(uri).to_pyarrow_table().select(older.column_names)
    other = tmp_path / "older"
    ensure_tables(str(other), [older])
    write_deltalake(table_uri(str(other), older), row, mode="append")

    found = replace(played(0.5), in_sample_share=0.75)
    later = NOON.replace(hour=13)
    record_backtest(str(other), found, Span([], DAY, DAY), None, later)
    assert [r["in_sample_share"] for r in rows(other, BACKTESTS)] == [None, 0.75]
    assert [r["symbols"] for r in rows(other, BACKTESTS)] == [["AAPL"]] * 2


def model_of(span: tuple[int, int] | None) -> Model:
    model = champion_of(str(BUNDLED))
    return replace(model, card=msgspec.structs.replace(model.card, learnt_span_ns=span))


def test_a_backtest_says_which_share_of_its_bars_the_model_had_learnt_from():
    tape = walk(100)
    time_ns = tape.time_ns
    learnt = (int(time_ns[0]) - 7, int(time_ns[24]))
    assert in_sample_share(model_of(learnt), [tape, tape]) == 0.25
    before = (-10, -5)
    assert in_sample_share(model_of(before), [tape]) == 0
    assert in_sample_share(model_of(None), [tape]) is None


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
