"""The model that we bring along: it loads, is what it says, and trades."""

import numpy as np

from models.card import DEMO_LABEL
from models.demo_market import demo_tape
from models.environment import Rules
from models.planted import hidden
from models.planted_play import play as play_planted
from models.registry import Registry
from models.serving import BUNDLED, NAME, Serving, champion_of
from models.traces import deciding, play
from tests.unit.models.test_registry import NOON, added, card


def test_it_serves_where_nothing_was_promoted(tmp_path):
    model = champion_of(str(tmp_path / "models"))
    assert model.card.label == DEMO_LABEL
    assert model.card.data.startswith("python -m models demo")
    assert model.card.is_leak_free
    assert len(model.networks) == 5
    files = [path for path in BUNDLED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 200_000


def test_it_has_learnt_what_its_market_holds(tmp_path):
    model = champion_of(str(tmp_path))
    tape = demo_tape(bars=4_000, seed=2)
    traces = [play(deciding(each), tape, Rules()) for each in model.networks]
    earned = [float(np.log1p(trace.returns).sum()) for trace in traces]
    assert min(earned) > 0
    assert all(trace.traded.sum() > 100 for trace in traces)


def test_a_champion_takes_its_place_unless_it_was_made_for_other_inputs(tmp_path):
    registry = Registry(str(tmp_path), NAME)
    version = added(registry, card(inputs=["a", "b", "c", "position"]))
    registry.promote(version, NOON)
    serving = Serving(str(tmp_path))
    assert "made for other inputs" in (serving.refresh() or "")
    assert serving.model is not None
    assert serving.model.version == champion_of(str(tmp_path / "none")).version


def test_it_finds_most_of_what_is_planted(tmp_path):
    market = hidden()
    model = champion_of(str(tmp_path))
    shares = [
        play_planted(each, market, 20_000, seed=7).share_of(market.optimum)
        for each in model.networks
    ]
    assert min(shares) > 0.9
