"""The planted suite, quick: an agent finds what is there and leaves noise alone."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from models.planted_table import QUICK_ROWS

pytest.importorskip("torch", reason="needs the group rl: make test installs it")

from models.planted_suite import Suite
from models.train import RECIPES
from models.watch import Watch
from models.workers import Workers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

STEPS = 100_000


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


def test_a_third_of_the_steps_finds_most_of_the_signal(notes: Path):
    recipe = replace(RECIPES["maskable-ppo"], steps=STEPS)
    table = Suite(recipe, 1, notes, Workers(Watch(Console()))).run(
        QUICK_ROWS, noise_sets=0
    )
    assert table["visible_ar1"]["iqm"] > 0.9
    assert table["positive_control"]["iqm"] > 0.95
    assert table["positive_control"]["rejected"] == 1
    assert table["noise"]["mean_bp_per_min"] >= -0.005
    assert table["visible_ar1"]["cpu_s_worst"] <= 60

    told = Console(file=io.StringIO())
    again = Suite(recipe, 1, notes, Workers(Watch(told))).run(QUICK_ROWS, noise_sets=0)
    assert again == table
    assert told.file.getvalue() == ""  # nothing was trained twice
