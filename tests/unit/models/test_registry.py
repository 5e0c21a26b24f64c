"""Versions, the gate, roll-back, and serving that outlives a bad file."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from conf.errors import FixSetup
from models.calibration import Calibration
from models.card import (
    DEMO_LABEL,
    INPUTS,
    SIMULATED_LABEL,
    UNKNOWN_LABEL,
    Card,
    failed_rules,
)
from models.registry import Champion, Promotion, Registry, Roles
from tests.unit.models.test_weights import network

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALIBRATION = Calibration(np.array([1.0]), np.array([0.5, 0.6]), 2_000, 10)


def card(**changes) -> Card:
    known = {
        "name": "trader",
        "algorithm": "maskable-ppo",
        "head": "policy",
        "activation": "tanh",
        "inputs": list(INPUTS),
        "seeds": [0],
        "data": "python -m models demo",
        "is_simulated": True,
        "costs": {"fee_bps": 1.0},
        "trials": 1,
        "is_leak_free": True,
        "calibrated_on": 2_000,
        "horizon": 10,
        "evidence": {},
        "libraries": {"numpy": "2"},
    }
    return Card(**(known | changes))


def proven(excess: float = 1.0, **changes) -> Card:
    told = {"is_simulated": False, "feed": "alpaca/iex", "seeds": [0, 1, 2, 3, 4]}
    return card(**(told | {"evidence": evidence(excess)} | changes))


def evidence(excess: object = 1.0, **changes) -> dict[str, object]:
    studied = {"seeds": 10, "folds": 4, "side_cost_bps": 2.0}
    found = {"claims_edge": True, "excess_sharpe": {"value": excess}}
    return studied | found | changes


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(str(tmp_path / "models"), "trader")


def added(registry: Registry, described: Card, hour: int = 12, seed: int = 0) -> str:
    inputs = len(described.inputs)
    networks = [network(seed + n, inputs) for n in range(len(described.seeds))]
    return registry.add(described, networks, CALIBRATION, NOON.replace(hour=hour))


def test_a_version_comes_back_as_it_was(registry: Registry):
    version = added(registry, card())
    assert version.startswith("20260302T120000-")
    model = registry.load(version)
    assert model.card == card()
    assert model.card.label == DEMO_LABEL
    assert model.calibration.confidence(np.array([0.0, 2.0])).tolist() == [0.5, 0.6]
    assert registry.versions() == [version]
    assert len(model.sha256) == 64


def test_a_demo_serves_until_there_is_a_proven_model(registry: Registry):
    demo, real = added(registry, card(), 10), added(registry, proven(), 11)
    registry.promote(demo, NOON)
    registry.promote(real, NOON)
    assert registry.roles().champion == real
    with pytest.raises(FixSetup, match="a model of real data serves"):
        registry.promote(demo, NOON)
    assert registry.roles().champion == real


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (proven(evidence=evidence(claims_edge=False, verdict="no edge demonstrated")),
         "no edge demonstrated"),
        (proven(evidence={}), "it was not evaluated"),
        (proven(seeds=[0, 1]), "fewer than 5 seeds"),
        (proven(evidence=evidence(seeds=1)), "judged with fewer than 5 seeds"),
        (proven(evidence=evidence(folds=3)), "judged on fewer than 4 folds"),
        (proven(evidence=evidence(side_cost_bps=0.0)), "judged without costs"),
        (proven(evidence=evidence(side_cost_bps=None)), "judged without costs"),
        (proven(bar_length_s=3_600), "made for bars of 3600 s, not of 60 s"),
        (card(bar_length_s=3_600), "made for bars of 3600 s, not of 60 s"),
        (proven(inputs=["a", "b"]), "made for other inputs"),
        (proven(is_leak_free=False), "found a leak"),
        (proven(excess=0.5), "the champion's excess Sharpe ratio is higher"),
        (proven(is_simulated=True, feed="unknown"), "a model of real data serves"),
        (proven(is_simulated=True, feed="unknown", evidence={}),
         "it was not evaluated"),
        (proven(evidence=evidence(claims_edge=False, verdict=[[1]])),
         "its evidence holds no verdict"),
        *((proven(evidence=evidence() | {"excess_sharpe": value}),
           "its evidence holds no excess Sharpe ratio")
          for value in (None, "high", [1], {}, {"value": None}, {"value": "2.0"},
                        {"value": [2.0]}, {"value": 10**400})),
    ],
)  # fmt: skip
def test_the_gate_names_the_rule_that_fails(candidate: Card, reason: str):
    assert any(reason in rule for rule in failed_rules(candidate, proven(excess=0.8)))


def test_no_verdict_of_a_strangers_card_hides_another_rule():
    told = evidence(verdict="the look-ahead prover found a leak")
    forged = proven(is_leak_free=False, evidence=told)
    assert failed_rules(forged, None) == ["the look-ahead prover found a leak"]


@pytest.mark.parametrize(
    ("described", "label"),
    [
        (card(), DEMO_LABEL),
        (card(feed="simulator/iex"), SIMULATED_LABEL),
        (card(feed="alpaca/iex, simulator/iex"), SIMULATED_LABEL),
        (card(feed="unknown"), UNKNOWN_LABEL),
        (proven(), ""),
    ],
)
def test_a_label_says_what_a_model_learnt_from(described: Card, label: str):
    assert described.label == label


def test_a_better_proven_model_passes():
    assert failed_rules(proven(excess=0.9), proven(excess=0.8)) == []
    assert failed_rules(proven(), None) == []


def line_of(registry: Registry, count: int) -> list[str]:
    """Promote so many versions, each better than the one before."""
    made = [added(registry, proven(1.0 + n), 8 + n, 10 * n) for n in range(count)]
    for version in made:
        registry.promote(version, NOON)
    return made


def test_roll_back_and_its_reason_are_kept(registry: Registry):
    (first,) = line_of(registry, 1)
    with pytest.raises(FixSetup, match="no champion before"):
        registry.roll_back(NOON, "none")
    second = added(registry, proven(2.0), 11)
    registry.promote(second, NOON)
    assert registry.roll_back(NOON, "it lost") == first
    assert registry.roles().champion == first
    reasons = [promotion.reason for promotion in registry.roles().promotions]
    assert reasons == ["passed the gate", "passed the gate", "rolled back: it lost"]


def test_what_was_rolled_back_does_not_come_again(registry: Registry):
    first, second, _ = line_of(registry, 3)
    assert registry.roll_back(NOON, "the third loses") == second
    assert registry.roll_back(NOON, "the second too") == first
    with pytest.raises(FixSetup, match="no champion before"):
        registry.roll_back(NOON, "the first too")
    assert registry.roles().champion == first


def test_roll_back_passes_over_what_is_spoilt(registry: Registry, tmp_path: Path):
    first, second, third = line_of(registry, 3)
    for version in (second, third):
        tamper_weights(tmp_path / "models" / "trader" / "versions" / version)
    assert registry.roll_back(NOON, "spoilt") == first


def test_a_spoilt_champion_hinders_no_candidate_but_the_one_before_is_compared(
    registry: Registry, tmp_path: Path
):
    first, second = line_of(registry, 2)
    tamper_weights(tmp_path / "models" / "trader" / "versions" / second)
    with pytest.raises(FixSetup, match="excess Sharpe ratio is higher"):
        registry.promote(added(registry, proven(0.5), 13, 70), NOON)
    better = added(registry, proven(1.5), 14, 80)
    registry.promote(better, NOON)
    told = registry.roles().promotions[-1]
    assert told.version == better
    assert f"without the champion before (model trader {second}: refused" in told.reason
    for version in (first, better):
        tamper_weights(tmp_path / "models" / "trader" / "versions" / version)
    last = added(registry, proven(0.1), 15, 90)
    registry.promote(last, NOON)
    assert registry.roles().champion == last


def test_the_challenger_is_the_newest_that_was_never_champion(registry: Registry):
    assert registry.challenger() is None
    (first,) = line_of(registry, 1)
    assert registry.challenger() is None
    second = added(registry, proven(2.0), 13, 20)
    assert registry.challenger() == second
    registry.promote(second, NOON)
    assert registry.challenger() is None
    assert registry.roll_back(NOON, "it lost") == first
    assert registry.challenger() is None


def tamper_weights(folder: Path) -> None:
    data = bytearray((folder / "weights.npz").read_bytes())
    data[200] ^= 1
    (folder / "weights.npz").write_bytes(bytes(data))


def tamper_card(folder: Path) -> None:
    text = (folder / "card.json").read_bytes()
    (folder / "card.json").write_bytes(text.replace(b"true", b"false", 1))


def tear_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b'{"weights":')


def remove_weights(folder: Path) -> None:
    (folder / "weights.npz").unlink()


@pytest.mark.parametrize(
    "spoil", [tamper_weights, tamper_card, tear_manifest, remove_weights]
)
def test_a_spoilt_champion_is_refused_and_the_old_one_serves(
    registry: Registry, tmp_path: Path, spoil
):
    first, second = added(registry, proven(1.0), 10), added(registry, proven(2.0), 11)
    registry.promote(first, NOON)
    serving = Champion(registry)
    assert serving.refresh() is None
    registry.promote(second, NOON)
    spoil(tmp_path / "models" / "trader" / "versions" / second)

    refused = serving.refresh()

    assert refused is not None
    assert f"model trader {second}: refused" in refused
    assert serving.model is not None
    assert serving.model.version == first


def test_a_consistent_forgery_of_another_model_is_refused(registry: Registry):
    version = added(registry, card(name="other"))
    with pytest.raises(FixSetup, match="its card is 'other''s"):
        registry.load(version)


def test_a_card_with_unknown_fields_is_refused(registry: Registry, tmp_path: Path):
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(
            msgspec.json.encode(card()).replace(b'"name"', b'"extra":1,"name"'),
            type=Card,
        )


def test_nobody_serves_where_nothing_was_promoted(registry: Registry):
    serving = Champion(registry)
    assert serving.refresh() is None
    assert serving.model is None
    assert registry.versions() == []


def test_a_champion_for_other_inputs_replaces_nothing(
    registry: Registry, tmp_path: Path
):
    (first,) = line_of(registry, 1)
    serving = Champion(registry)
    assert serving.refresh() is None
    other = added(registry, proven(9.0, inputs=["a", "b"]), 20)
    with pytest.raises(FixSetup, match="not promoted: made for other inputs"):
        registry.promote(other, NOON)
    roles = registry.roles()
    moved = Roles([*roles.promotions, Promotion(other, NOON, "by hand")])
    (tmp_path / "models" / "trader" / "roles.json").write_bytes(
        msgspec.json.encode(moved)
    )
    for champion in (serving, Champion(registry)):
        assert champion.refresh() == f"model trader {other}: made for other inputs"
        assert champion.model is not None
        assert champion.model.version == first
