"""`make train`, small: every seed is written down, and a second time is quick."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from conf.errors import FixSetup
from conf.lake.read import scan
from conf.lake.tables import MODEL_RUNS
from models.card import UNKNOWN_LABEL
from models.history import study_of_bars
from models.material import Material
from models.registry import Registry
from models.serving import NAME
from models.watch import Watch

pytest.importorskip("torch", reason="needs the group rl: make test installs it")

from models.course import Course, run
from models.search import usual, varied
from models.study import BY_CHANCE
from models.train import RECIPES

# torch's and TensorBoard's own warnings are not ours to mend
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BARS = 2_400
HOUR_US = 3_600_000_000


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Return hours of a price that wanders, seven a day."""
    rng = np.random.default_rng(4)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, BARS)))
    day, hour = np.divmod(np.arange(BARS), 7)
    time_us = (day * 24 + 14 + hour) * HOUR_US
    path = tmp_path_factory.mktemp("bars") / "hours.parquet"
    columns = {
        "timestamp": pa.array(time_us, pa.timestamp("us", tz="UTC")),
        "open": close,
        "close": close,
        "volume": np.full(BARS, 1_000.0),
    }
    pq.write_table(pa.table(columns), path)
    return study_of_bars(path, 4.0, 21)


def asked(folder: Path, **changes) -> Course:
    known = {
        "algorithm": "maskable-ppo",
        "steps": 8_192,
        "seeds": 2,
        "folds": 2,
        "trials": 0,
        "keep": False,
        "lake": str(folder / "lake"),
        "registry": str(folder / "models"),
        "notes": folder / "notes",
    }
    return Course(**(known | changes))


def runs(folder: Path) -> list[dict]:
    found = scan(str(folder / "lake"), MODEL_RUNS).to_pylist()
    return sorted(found, key=lambda r: (r["run_id"], r["purpose"], r["seed"]))


def test_a_course_writes_down_seeds_version_and_tensorboard_files(
    material: Material, tmp_path: Path
):
    told = io.StringIO()
    watch = Watch(Console(file=told, force_terminal=True), tmp_path / "tensorboard")
    found = run(material, asked(tmp_path, keep=True), watch)

    rows = runs(tmp_path)
    assert [r["purpose"] for r in rows] == ["study"] * 2 + ["version"] * 5
    assert {r["run_id"] for r in rows} == {found["run_id"]}
    assert rows[0]["verdict"].startswith("no edge demonstrated")
    assert rows[0]["versions"] is None
    hyperparameters = json.loads(rows[0]["hyperparameters"])
    assert hyperparameters["steps"] == 8_192
    assert hyperparameters["learning_rate"] == "Falling(start=0.001)"
    assert json.loads(rows[0]["scores"])["study"]["trials"] == 2
    setting = json.loads(rows[0]["scores"])["setting"]
    assert rows[0]["data"] == setting["file"] == "hours.parquet"
    assert (setting["spread_bps"], setting["session_days"]) == (4.0, 21)
    assert (setting["folds"], setting["embargo"]) == (2, material.embargo)
    assert len(setting["file_sha256"]) == 64
    assert setting["data"] == material.data
    assert rows[2]["model_version"] == found["version"]
    assert len(rows[2]["model_sha256"]) == 64
    assert "not promoted: made for bars of 3600 s" in found["promotion"]
    kept = Registry(str(tmp_path / "models"), NAME).load(found["version"]).card
    assert (kept.is_simulated, kept.feed, kept.symbol) == (True, "unknown", "")
    assert kept.label == UNKNOWN_LABEL
    assert (kept.evidence["seeds"], kept.evidence["folds"]) == (2, 2)
    assert kept.evidence["side_cost_bps"] == pytest.approx(2.0, abs=1e-6)
    assert kept.learnt_span_ns == tuple(material.tape.time_ns[[0, -1]].tolist())
    files = list((tmp_path / "tensorboard").glob("*/**/events.out.tfevents.*"))
    assert len(files) == 2 * 2 + 5
    assert "seed 1, fold 2 of 2" in told.getvalue()


def test_a_course_that_was_stopped_goes_on_where_it_was(
    material: Material, tmp_path: Path
):
    told = io.StringIO()
    watch = Watch(Console(file=told))
    one = run(material, asked(tmp_path, seeds=1), watch)
    assert told.getvalue().count("trades, exposure") == 2
    again = run(material, asked(tmp_path, seeds=1), watch)
    assert told.getvalue().count("trades, exposure") == 2  # nothing trained anew
    assert again["seeds"] == one["seeds"]
    assert again["cpu_s"] == one["cpu_s"] > 0  # of the training, not of the reading
    chance, agent = one["baselines"][BY_CHANCE], one["seeds"][0]
    assert chance["trades"] == pytest.approx(agent["trades"], rel=0.3, abs=3)
    assert chance["exposure"] == pytest.approx(agent["exposure"], abs=0.2)
    # One try, asked for twice, is one trial and two rows.
    assert json.loads(runs(tmp_path)[1]["scores"])["study"]["trials"] == 1
    assert len(runs(tmp_path)) == 2

    (kept,) = (tmp_path / "notes").glob("*.npz")
    before = kept.stat().st_mtime_ns
    fresh = run(
        material, asked(tmp_path, seeds=1, fresh=True), Watch(Console(file=told))
    )
    assert told.getvalue().count("trades, exposure") == 4
    assert kept.stat().st_mtime_ns > before
    assert fresh["seeds"] == one["seeds"]
    assert fresh["evidence"]["trials"] == 1  # the same try
    kept.write_bytes(kept.read_bytes()[:-100])
    anew = run(material, asked(tmp_path, seeds=1), watch)
    assert f"{kept.name} is broken" in told.getvalue().replace("\n", "")
    assert told.getvalue().count("trades, exposure") == 6
    assert anew["seeds"] == one["seeds"]


def test_seeds_trained_side_by_side_are_the_same(material: Material, tmp_path: Path):
    told = io.StringIO()
    one, two = tmp_path / "one", tmp_path / "two"
    alone = run(material, asked(one), Watch(Console(file=told)))
    watch = Watch(Console(file=told), two / "tensorboard")
    beside = run(material, asked(two, processes=2), watch)

    assert "2 of 2" in told.getvalue()
    assert list((two / "tensorboard").rglob("events.*"))
    assert beside["seeds"] == alone["seeds"]
    assert beside["evidence"] == alone["evidence"]


def test_every_trial_of_a_search_counts_against_the_claim(
    material: Material, tmp_path: Path
):
    told = io.StringIO()
    watch = Watch(Console(file=told))
    first = asked(tmp_path, seeds=1, trials=2)
    found = run(material, first, watch)
    rows = [r for r in runs(tmp_path) if r["purpose"] == "search"]
    assert sorted(r["trial"] for r in rows) == [0, 1]
    rates = [json.loads(r["hyperparameters"])["learning_rate"] for r in rows]
    assert "Falling(start=0.001)" in rates  # the recipe itself is tried first
    assert len(set(rates)) == 2
    assert found["evidence"]["trials"] == 2 + 1
    # One more: the two that were tried are not tried again, and still count.
    run(material, replace(first, trials=3), watch)
    rows = [r for r in runs(tmp_path) if r["purpose"] == "search"]
    assert sorted(r["trial"] for r in rows) == [0, 1, 2]
    ledger = (tmp_path / "notes" / "trials.jsonl").read_text().splitlines()
    assert sum(" search " in line for line in ledger) == 3


def test_a_history_too_short_to_search_on_is_told(material: Material, tmp_path: Path):
    long = replace(material, episode_bars=len(material.tape) // 3)
    with pytest.raises(FixSetup, match="to search on"):
        run(long, asked(tmp_path, trials=2), Watch(Console(file=io.StringIO())))


@pytest.mark.parametrize("algorithm", RECIPES)
def test_a_search_begins_with_the_recipe_itself(algorithm: str):
    recipe = RECIPES[algorithm]
    first = usual(recipe)
    assert usual(varied(recipe, first)) == first
    searched = varied(recipe, first | {"gamma": 0.95, "net_width": 32})
    assert searched.settings["gamma"] == 0.95
    assert searched.settings["policy_kwargs"]["net_arch"] == [32, 32]
    assert recipe.settings["policy_kwargs"]["net_arch"] == [64, 64]
