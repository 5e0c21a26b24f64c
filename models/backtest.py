"""A backtest over a pinned version: the agent, its rivals, and what hindsight allows.

Decisions are those that would have been made live, of what was known then; the figures
are of the same environment, on the same fills. Same versions, same result hash.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from conf.errors import FixSetup
from conf.lake.manifest import Manifest
from conf.lake.tables import BARS, FEATURES, QUOTES, STATUSES
from models import baselines
from models.account import Costs
from models.card import Model
from models.decisions import Row
from models.environment import Rules
from models.fills import nanoseconds
from models.hindsight import hindsight
from models.lake_rows import LakeRows, as_known
from models.lake_tape import Span, read_tapes
from models.paper import Paper
from models.performance import MINUTES_A_YEAR, Performance, performance
from models.tape import Tape
from models.traces import (
    Policy,
    deciding,
    play,
    wanting,
)

_READ = (BARS, FEATURES, QUOTES, STATUSES)
_DAY_BARS = 390


@dataclass(frozen=True)
class Backtest:
    """What came of it.

    Attributes:
        versions: Delta version of each table that was read.
        model_version: What decided.
        model_sha256: Of its manifest.
        label: What must stand beside the figures.
        cost: Of every order.
        figures: By symbol and then policy: the agent, its rivals, hindsight.
        decisions_sha256: Of every decision, in order.
        in_sample_share: Of the bars, those in the span that the model learnt from, 0 to
            1, whatever their symbol: markets move together. None: its card says none.
    """

    versions: dict[str, int]
    model_version: str
    model_sha256: str
    label: str
    cost: Costs
    figures: dict[str, dict[str, Performance]]
    decisions_sha256: str
    in_sample_share: float | None = None

    @property
    def result_sha256(self) -> str:
        """Names the result: the same for the same versions."""
        told = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()


def backtest(
    root: str,
    manifest: Manifest,
    model: Model,
    span: Span,
    history_spread_bps: float | None = None,
) -> Backtest:
    """Play a model over a part of the lake.

    Args:
        root: The lake.
        manifest: The versions to read.
        model: What decides.
        span: Symbols and days.
        history_spread_bps: As for ``read_tapes``.

    Raises:
        FixSetup: No symbol has two closed bars there.
    """
    rows = LakeRows(root, manifest)
    tapes = read_tapes(rows, span, history_spread_bps)
    if not tapes:
        raise FixSetup(
            FEATURES.name,
            f"holds no two bars of a symbol from {span.first} to {span.last}",
            "Name other days or symbols",
        )
    rules = Rules(Costs(**model.card.costs), counts_by_session=True)
    told = json.dumps(decisions(rows, span, model), sort_keys=True, default=str)
    return Backtest(
        versions={
            contract.name: manifest.versions[contract.name]
            for contract in _READ
            if contract.name in manifest.versions
        },
        model_version=model.version,
        model_sha256=model.sha256,
        label=model.card.label,
        cost=rules.costs,
        figures={
            symbol: {
                name: performance(play(policy, tape, rules), MINUTES_A_YEAR, _DAY_BARS)
                for name, policy in _policies(model, tape, rules).items()
            }
            for symbol, tape in tapes.items()
        },
        decisions_sha256=hashlib.sha256(told.encode()).hexdigest(),
        in_sample_share=in_sample_share(model, list(tapes.values())),
    )


def in_sample_share(model: Model, tapes: Sequence[Tape]) -> float | None:
    """Return which share of the bars is of the time that a model learnt from."""
    span = model.card.learnt_span_ns
    if span is None:
        return None
    time_ns = np.concatenate([tape.time_ns for tape in tapes])
    return float(((time_ns >= span[0]) & (time_ns <= span[1])).mean())


def _policies(model: Model, tape: Tape, rules: Rules) -> dict[str, Policy]:
    best = wanting(hindsight(tape, rules.costs))
    rivals = baselines.rules(tape)
    return {"agent": deciding(model.networks[0]), **rivals, "hindsight": best}


def decisions(rows: LakeRows, span: Span, model: Model) -> list[Row]:
    """Return the rows of ``gold.signals`` that a model would have written live.

    The bars are taken as they became known, all of a moment at once.
    """
    paper = Paper(model, {})
    told: list[Row] = []
    for features in as_known(span.features(rows)):
        known_ns = nanoseconds(features["known_time"][0].as_py())
        symbols = features["symbol"].to_pylist()
        halted = rows.halted(symbols, known_ns)
        told += paper.take(features, known_ns, halted, rows.quotes_around).signals
    return told


def summary(figures: dict[str, dict[str, Performance]]) -> dict[str, dict[str, Any]]:
    """Return the mean over symbols of each policy's main figures."""
    policies: Sequence[str] = list(next(iter(figures.values())))
    return {
        policy: {
            name: float(np.mean([getattr(of[policy], name) for of in figures.values()]))
            for name in ("net_return", "max_drawdown", "exposure", "trades")
        }
        for policy in policies
    }
