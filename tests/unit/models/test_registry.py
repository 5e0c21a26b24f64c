"""Versions, the gate, roll-back, and serving that outlives a bad file."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from conf.errors import FixSetup
from models.calibration import Calibration
from models.card import DEMO_LABEL, Card, failed_rules
from models.registry import Champion, Registry
from tests.unit.models.test_weights import network

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CALIBRATION = Calibration(np.array([1.0]), np.array([0.5, 0.6]), 2_000, 10)


def card(**changes) -> Card:
    known = {
        "name": "trader",
        "algorithm": "maskable-ppo",
        "head": "policy",
        "activation": "tanh",
        "inputs": ["a", "b", "c", "position"],
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
    evidence = {"claims_edge": True, "excess_sharpe": {"value": excess}}
    told = {"is_simulated": False, "seeds": [0, 1, 2, 3, 4], "evidence": evidence}
    return card(**(told | changes))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(str(tmp_path / "models"), "trader")


def added(registry: Registry, described: Card, hour: int = 12, seed: int = 0) -> str:
    networks = [network(seed + n) for n in range(len(described.seeds))]
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
        (proven(evidence={"claims_edge": False, "verdict": "no edge demonstrated"}),
         "no edge demonstrated"),
        (proven(evidence={}), "it was not evaluated"),
        (proven(seeds=[0, 1]), "fewer than 5 seeds"),
        (proven(is_leak_free=False), "found a leak"),
        (proven(excess=0.5), "the champion's excess Sharpe ratio is higher"),
    ],
)  # fmt: skip
def test_the_gate_names_the_rule_that_fails(candidate: Card, reason: str):
    assert any(reason in rule for rule in failed_rules(candidate, proven(excess=0.8)))


def test_a_better_proven_model_passes():
    assert failed_rules(proven(excess=0.9), proven(excess=0.8)) == []
    assert failed_rules(proven(), None) == []


def test_roll_back_and_its_reason_are_kept(registry: Registry):
    first, second = added(registry, proven(1.0), 10), added(registry, proven(2.0), 11)
    registry.promote(first, NOON)
    with pytest.raises(FixSetup, match="no champion before"):
        registry.roll_back(NOON, "none")
    registry.challenge(second)
    assert registry.roles().challenger == second
    registry.promote(second, NOON)
    assert registry.roles().challenger is None
    assert registry.roll_back(NOON, "it lost") == first
    assert registry.roles().champion == first
    reasons = [promotion.reason for promotion in registry.roles().promotions]
    assert reasons == ["passed the gate", "passed the gate", "rolled back: it lost"]


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
