"""A version of a model: what is known of it, and whether it may decide."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from models.calibration import Calibration
from models.scoring import Network

DEMO_LABEL = "demo model, simulated data"
LEAST_SEEDS = 5


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a version.

    Attributes:
        name: Of the model; versions of one name succeed each other.
        algorithm: By which it was trained.
        head: What the network's outputs are.
        activation: Of its hidden layers.
        inputs: Names of its inputs, in order.
        seeds: Of the trainings; the first decides, the others may disagree.
        data: What it learnt from: tables with their versions, or the command.
        is_simulated: It learnt from a simulated market, and its signals say so.
        costs: By name, in the units of ``Costs``.
        trials: Configurations and seeds ever scored for it.
        is_leak_free: The look-ahead prover found nothing.
        calibrated_on: Decisions that its confidence was fitted on.
        horizon: Bars over which its confidence counts.
        evidence: Of the evaluation (``Evidence.card``).
        libraries: Versions of what trained it.
        learnt_span_ns: First and last decision that it learnt from, ns since 1970 UTC;
            None if its market was simulated.
    """

    name: str
    algorithm: str
    head: Literal["policy", "values", "quantiles"]
    activation: Literal["tanh", "relu"]
    inputs: list[str]
    seeds: list[int]
    data: str
    is_simulated: bool
    costs: dict[str, float]
    trials: int
    is_leak_free: bool
    calibrated_on: int
    horizon: int
    evidence: dict[str, Any]
    libraries: dict[str, str]
    learnt_span_ns: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """What stands beside the model's signals; empty if nothing must."""
        return DEMO_LABEL if self.is_simulated else ""


@dataclass(frozen=True)
class Model:
    """A version in memory.

    Attributes:
        version: Its name in the registry.
        sha256: Of the manifest, which names every byte of it.
        card: What is known of it.
        networks: One per seed; the first decides.
        calibration: From margins to confidence.
    """

    version: str
    sha256: str
    card: Card
    networks: tuple[Network, ...]
    calibration: Calibration


def failed_rules(candidate: Card, champion: Card | None) -> list[str]:
    """Return why a candidate may not decide; empty if it may.

    A model of simulated data shows the system, not an edge: it may serve, labelled,
    until there is one of real data.
    """
    rules = {"the look-ahead prover found a leak": candidate.is_leak_free}
    if candidate.is_simulated:
        rules["a model of real data serves"] = champion is None or champion.is_simulated
    else:
        before = None if champion is None or champion.is_simulated else champion
        rules |= {
            f"fewer than {LEAST_SEEDS} seeds": len(candidate.seeds) >= LEAST_SEEDS,
            str(candidate.evidence.get("verdict", "it was not evaluated")): (
                candidate.evidence.get("claims_edge") is True
            ),
            "the champion's excess Sharpe ratio is higher": (
                before is None or _excess(candidate) > _excess(before)
            ),
        }
    return [rule for rule, holds in rules.items() if not holds]


def _excess(card: Card) -> float:
    return float(card.evidence.get("excess_sharpe", {}).get("value", -np.inf))
