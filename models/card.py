"""A version of a model: what is known of it, and whether it may decide."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from conf.market.bars import MINUTE_S
from models.calibration import Calibration
from models.observation import ACCOUNT_INPUTS, MARKET_INPUTS
from models.scoring import Network

INPUTS = (*MARKET_INPUTS, *ACCOUNT_INPUTS)
"""What a network sees, in its order."""
DEMO_LABEL = "demo model, simulated data"
SIMULATED_LABEL = "trained on simulated data"
UNKNOWN_LABEL = "trained on data of unknown origin"
DEMO_FEED = "demo"
UNKNOWN_FEED = "unknown"
LEAST_SEEDS = 5
LEAST_FOLDS = 4
_MOST_SHARPE = 1e6


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
        is_simulated: It learnt from a simulated market, or nobody knows from what; its
            signals say so.
        feed: What its market was fed by, as wire records name it, by commas;
            ``DEMO_FEED`` for the planted market, ``UNKNOWN_FEED`` if nothing tells.
        symbol: What it learnt to trade; empty for a planted market.
        bar_length_s: Length of the bars that it decides on.
        costs: By name, in the units of ``Costs``.
        trials: Configurations and seeds ever scored for it.
        is_leak_free: The look-ahead prover found nothing.
        calibrated_on: Decisions that its confidence was fitted on.
        horizon: Bars over which its confidence counts.
        evidence: Of the evaluation: ``Evidence.card`` and what the study was
            (``publish.told``); empty where nothing was evaluated.
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
    feed: str = DEMO_FEED
    symbol: str = ""
    bar_length_s: int = MINUTE_S
    learnt_span_ns: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """What stands beside the model's signals; empty if nothing must."""
        if not self.is_simulated:
            return ""
        labels = {DEMO_FEED: DEMO_LABEL, UNKNOWN_FEED: UNKNOWN_LABEL}
        return labels.get(self.feed, SIMULATED_LABEL)

    @property
    def misfit(self) -> str | None:
        """Why it cannot decide on what gold sees, None if it can."""
        if self.inputs != list(INPUTS):
            return "made for other inputs"
        if self.bar_length_s != MINUTE_S:
            return f"made for bars of {self.bar_length_s} s, not of {MINUTE_S} s"
        return None


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

    A model that is known to be of simulated data shows the system, not an edge: it may
    serve, labelled, until there is one of real data. One of unknown data must be proven
    too, and still gives way to one of real data.
    """
    is_real = champion is not None and not champion.is_simulated
    misfit = candidate.misfit
    rules = [
        (misfit or "", misfit is None),
        ("the look-ahead prover found a leak", candidate.is_leak_free),
        ("a model of real data serves", not (candidate.is_simulated and is_real)),
    ]
    if not candidate.is_simulated or candidate.feed == UNKNOWN_FEED:
        rules += _of_proof(candidate, champion if is_real else None)
    return [rule for rule, holds in rules if not holds]


def _of_proof(candidate: Card, before: Card | None) -> list[tuple[str, bool]]:
    evidence = candidate.evidence
    seeds = min(len(candidate.seeds), _number(evidence, "seeds"))
    excess = _excess(candidate)
    return [
        (f"judged with fewer than {LEAST_SEEDS} seeds", seeds >= LEAST_SEEDS),
        (
            f"judged on fewer than {LEAST_FOLDS} folds",
            _number(evidence, "folds") >= LEAST_FOLDS,
        ),
        ("judged without costs", _number(evidence, "side_cost_bps") > 0),
        (_verdict(evidence), evidence.get("claims_edge") is True),
        ("its evidence holds no excess Sharpe ratio", excess > -_MOST_SHARPE),
        (
            "the champion's excess Sharpe ratio is higher",
            before is None or excess > _excess(before),
        ),
    ]


def _verdict(evidence: dict[str, Any]) -> str:
    told = evidence.get("verdict", "it was not evaluated")
    return told if isinstance(told, str) else "its evidence holds no verdict"


def _excess(card: Card) -> float:
    found = card.evidence.get("excess_sharpe")
    return _number(found, "value") if isinstance(found, dict) else -_MOST_SHARPE


def _number(told: dict[str, Any], name: str) -> float:
    """Return a number of a stranger's card; what is none counts as the worst one."""
    value = told.get(name)
    if isinstance(value, int | float) and abs(value) < _MOST_SHARPE:
        return float(value)
    return -_MOST_SHARPE
