"""Scores: the same bits in any batch, and what they mean."""

from itertools import pairwise

import numpy as np
import pytest

from models.scoring import Layers, Network, choose, score


def drawn(rng: np.random.Generator, *sizes: int) -> Layers:
    pairs = list(pairwise(sizes))
    return Layers(
        tuple(rng.normal(size=pair) for pair in pairs),
        tuple(rng.normal(size=out) for _, out in pairs),
    )


def networks() -> dict[str, Network]:
    rng = np.random.default_rng(1)
    return {
        "policy": Network(
            "policy", "tanh", drawn(rng, 22, 64, 64, 3), drawn(rng, 22, 64, 64, 1)
        ),
        "values": Network("values", "relu", drawn(rng, 22, 64, 64, 3)),
        "quantiles": Network("quantiles", "relu", drawn(rng, 22, 64, 64, 600)),
    }


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    is_long = rng.random(count) < 0.5
    masks = np.stack([np.ones_like(is_long), ~is_long, is_long], 1)
    return rng.normal(size=(count, 22)).clip(-5, 5), masks


@pytest.mark.parametrize("head", ["policy", "values", "quantiles"])
@pytest.mark.parametrize("batch", [1, 7, 64, 999, 1_000])
def test_a_row_s_bits_do_not_depend_on_its_batch(head: str, batch: int):
    network = networks()[head]
    inputs, masks = rows(1_000)
    whole = score(network, inputs, masks)
    parts = [
        score(network, inputs[at : at + batch], masks[at : at + batch])
        for at in range(0, 1_000, batch)
    ]
    for field in ("action", "by_action", "value", "margin", "spread"):
        pieces = np.concatenate([getattr(part, field) for part in parts])
        assert pieces.tobytes() == getattr(whole, field).tobytes()


@pytest.mark.parametrize("head", ["policy", "values", "quantiles"])
def test_the_action_is_the_best_that_is_allowed(head: str):
    inputs, masks = rows(500)
    scores = score(networks()[head], inputs, masks)
    assert masks[np.arange(500), scores.action].all()
    assert (scores.margin >= 0).all()
    assert np.isneginf(scores.by_action[~masks]).all()
    assert np.isfinite(scores.spread).all() == (head == "quantiles")


@pytest.mark.parametrize("head", ["policy", "values", "quantiles"])
def test_the_action_alone_is_that_of_the_scores(head: str):
    inputs, masks = rows(500)
    network = networks()[head]
    chosen = choose(network, inputs, masks)
    assert (chosen == score(network, inputs, masks).action).all()
    assert len(set(chosen.tolist())) == 3


def test_a_policy_s_scores_are_log_probabilities():
    scores = score(networks()["policy"], *rows(50))
    assert np.exp(scores.by_action).sum(1) == pytest.approx(np.ones(50))
    assert len(np.unique(scores.value)) == 50


def test_a_policy_s_scores_are_those_of_plain_algebra():
    network = networks()["policy"]
    inputs, masks = rows(20)
    known = inputs
    for weight, bias in zip(
        network.actor.weights[:2], network.actor.biases[:2], strict=True
    ):
        known = np.tanh(known @ weight + bias)
    logits = known @ network.actor.weights[2] + network.actor.biases[2]
    odds = np.exp(logits) * masks
    chances = odds / odds.sum(1, keepdims=True)
    found = score(network, inputs, masks).by_action
    assert found[masks] == pytest.approx(np.log(chances[masks]))


@pytest.mark.parametrize("wrong", [np.full((1, 22), np.nan), np.zeros((1, 21))])
def test_a_wrong_input_is_refused(wrong: np.ndarray):
    with pytest.raises(ValueError, match=r"finite|rows"):
        score(networks()["policy"], wrong, np.ones((1, 3), np.bool_))
