"""The model that we bring along: it loads, is what it says, and trades."""

import numpy as np
import pytest

from conf.errors import FixSetup
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


def test_it_decides_only_where_nobody_was_ever_promoted(tmp_path):
    running, registry = Serving(str(tmp_path)), Registry(str(tmp_path), NAME)
    assert running.refresh() is None
    bundled = champion_of(str(tmp_path / "none")).version
    assert running.model is not None
    assert running.model.version == bundled

    version = added(registry, card())
    registry.promote(version, NOON)
    (tmp_path / NAME / "versions" / version / "weights.npz").write_bytes(b"spoilt")
    assert "refused" in (running.refresh() or "")
    assert running.model.version == bundled  # the old model goes on
    begun = Serving(str(tmp_path))
    assert "refused" in (begun.refresh() or "")
    assert begun.model is None  # a stranger to this registry trades for nobody
    with pytest.raises(FixSetup, match="refused"):
        champion_of(str(tmp_path))


def test_it_finds_most_of_what_is_planted(tmp_path):
    market = hidden()
    model = champion_of(str(tmp_path))
    shares = [
        play_planted(each, market, 20_000, seed=7).share_of(market.optimum)
        for each in model.networks
    ]
    assert min(shares) > 0.9
