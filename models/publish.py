"""Train the agents of a version, calibrate them, and put them into the registry.

Needs the dependency group ``rl``.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from conf.errors import FixSetup
from conf.market.bars import MINUTE_S
from models import calibration
from models.calibration import Calibration, Reliability, reliability, won
from models.card import DEMO_FEED, INPUTS, LEAST_SEEDS, Card
from models.checkpoints import Checkpoints
from models.environment import Rules, Simulation
from models.evaluate import Evidence
from models.feed import is_real
from models.material import Material, Plan
from models.registry import Registry
from models.scoring import Network, score
from models.serving import NAME
from models.tape import Booleans, Floats, Integers, Tape, stretches, whole
from models.train import Lesson, Recipe, key_of, libraries, train
from models.watch import Watch
from models.workers import Workers

HORIZON = 10
_CALIBRATION_SHARE = 0.25


@dataclass(frozen=True)
class Origin:
    """What a version is made of, for its card.

    Attributes:
        name: Of the model.
        algorithm: Name of the recipe.
        data: Tables with their versions, or the command that made the data.
        is_simulated: The market was, or nobody knows.
        trials: Configurations and seeds ever scored for it.
        seeds: Of the trainings; the first decides.
        evidence: ``Evidence.card`` and ``studied``, empty where nothing was evaluated.
        is_leak_free: The look-ahead prover found nothing in the tape's path.
        feed: What fed the market; see ``Card``.
        symbol: What was traded; empty for a planted market.
        bar_length_s: Length of the bars.
        learnt_span_ns: See ``Card``.
    """

    name: str
    algorithm: str
    data: str
    is_simulated: bool
    trials: int
    seeds: list[int]
    evidence: dict[str, Any]
    is_leak_free: bool
    feed: str = DEMO_FEED
    symbol: str = ""
    bar_length_s: int = MINUTE_S
    learnt_span_ns: tuple[int, int] | None = None


class Decided(NamedTuple):
    """Decisions of a network over a tape, an entry each."""

    rows: Integers
    margins: Floats
    was_long: Booleans
    is_long: Booleans


def decisions(network: Network, tape: Tape, rules: Rules) -> Decided:
    """Return what a network decides bar by bar."""
    simulation = Simulation(tape, 1, rules)
    simulation.begin(np.ones(1, np.bool_), whole(tape))
    bars = len(tape) - 1
    margins = np.empty(bars)
    was_long, is_long = np.empty(bars, np.bool_), np.empty(bars, np.bool_)
    for bar in range(bars):
        scores = score(network, simulation.observe(), simulation.masks())
        was_long[bar] = simulation.accounts.is_long[0]
        simulation.step(scores.action)
        margins[bar] = scores.margin[0]
        is_long[bar] = simulation.accounts.is_long[0]
    return Decided(np.arange(bars), margins, was_long, is_long)


def outcomes(decided: Decided, tape: Tape, horizon: int) -> tuple[Floats, Booleans]:
    """Return margins of the decisions that can be judged, and which sides won."""
    known = slice(0, len(decided.rows) - horizon)
    wins = won(
        np.log(tape.mark),
        decided.rows[known],
        decided.was_long[known],
        decided.is_long[known],
        horizon,
        tape.side_cost,
    )
    return decided.margins[known], wins


def calibrated(network: Network, tape: Tape, rules: Rules) -> Calibration:
    """Return the confidence map of a network, fitted on a tape it has not seen."""
    margins, wins = outcomes(decisions(network, tape, rules), tape, HORIZON)
    return calibration.fit(margins, wins, HORIZON)


def judged(
    network: Network, fitted: Calibration, tape: Tape, rules: Rules
) -> Reliability:
    """Return how reliable a fitted confidence is on yet another tape."""
    margins, wins = outcomes(decisions(network, tape, rules), tape, fitted.horizon)
    return reliability(fitted.confidence(margins), wins)


def publish(
    registry: Registry,
    lesson: Lesson,
    recipe: Recipe,
    origin: Origin,
    made: datetime,
    workers: Workers,
) -> str:
    """Train one agent per seed and add them as a version; return its name.

    The last quarter of the tape is kept from training: confidence is fitted on it. Each
    agent is kept as it ends, so what was stopped goes on where it was.
    """
    stop = int(len(lesson.tape) * (1 - _CALIBRATION_SHARE))
    past, rest = lesson.tape.part(0, stop), lesson.tape.part(stop, len(lesson.tape))
    bars = int((lesson.episodes[:, 1] - lesson.episodes[:, 0]).max())
    shorter = Lesson(past, stretches(past, bars), lesson.rules)
    told = (shorter.rules, shorter.episodes.tolist(), past.digest)
    learning = _Learning(key_of(recipe, *told), recipe, shorter)
    checkpoints = registry.checkpoints(learning.key)
    networks = _trained(learning, origin.seeds, checkpoints, workers)
    fitted = calibrated(networks[0], rest, lesson.rules)
    card = Card(
        name=origin.name,
        algorithm=origin.algorithm,
        head=networks[0].head,
        activation=networks[0].activation,
        inputs=list(INPUTS),
        seeds=origin.seeds,
        data=origin.data,
        is_simulated=origin.is_simulated,
        costs=asdict(lesson.rules.costs),
        trials=origin.trials,
        is_leak_free=origin.is_leak_free,
        calibrated_on=fitted.decisions,
        horizon=fitted.horizon,
        evidence=origin.evidence,
        libraries=libraries(),
        feed=origin.feed,
        symbol=origin.symbol,
        bar_length_s=origin.bar_length_s,
        learnt_span_ns=origin.learnt_span_ns,
    )
    version = registry.add(card, networks, fitted, made)
    checkpoints.clear()
    return version


@dataclass(frozen=True)
class _Learning:
    """What every agent of a version does: learn the same lesson."""

    key: str
    recipe: Recipe
    lesson: Lesson

    def __call__(self, seed: int, watch: Watch) -> Network:
        title = f"seed {seed} of the version"
        with watch.training(title, self.recipe.steps) as on_step:
            folder = watch.folder(f"version-{self.key}")
            return train(self.recipe, self.lesson, seed, folder, on_step)


def _trained(
    learning: _Learning,
    seeds: Sequence[int],
    checkpoints: Checkpoints,
    workers: Workers,
) -> list[Network]:
    """Return the agents of the seeds, in their order; those missing are trained."""
    return workers.complete(
        learning,
        seeds,
        lambda seed: checkpoints.load(seed, workers.watch.tell),
        checkpoints.save,
    )


def studied(plan: Plan, tape: Tape) -> dict[str, float]:
    """Return what a study was: seeds, folds, and what an order cost, in bps a side."""
    bought, sold = (
        price(tape.bid, tape.ask)
        for price in (plan.costs.buy_price, plan.costs.sell_price)
    )
    side_cost_bps = float(np.nanmedian(np.log(bought / sold))) / 2 * 1e4
    return {"seeds": plan.seeds, "folds": plan.folds, "side_cost_bps": side_cost_bps}


def _span_of(tape: Tape) -> tuple[int, int]:
    return int(tape.time_ns[0]), int(tape.time_ns[-1])


def keep_model(
    material: Material,
    recipe: Recipe,
    plan: Plan,
    evidence: Evidence,
    registry: str,
    workers: Workers,
) -> dict[str, str]:
    """Train on all of a material, add the version, and promote it if it may be.

    Returns:
        ``version``, and ``promotion``: why it was refused, or that it was not.
    """
    kept = Registry(registry, NAME)
    seeds = list(range(LEAST_SEEDS))
    origin = Origin(
        name=NAME,
        algorithm=recipe.algorithm.__name__,
        data=material.source,
        is_simulated=not is_real(material.feed),
        trials=evidence.trials + len(seeds),
        seeds=seeds,
        evidence=evidence.card() | studied(plan, material.tape),
        is_leak_free=True,
        feed=material.feed,
        symbol=material.symbol,
        bar_length_s=material.bar_length_s,
        learnt_span_ns=_span_of(material.tape),
    )
    rules = Rules(counts_by_session=material.is_live)
    episodes = stretches(material.tape, material.episode_bars)
    now = datetime.now(UTC)
    lesson = Lesson(material.tape, episodes, rules)
    version = publish(kept, lesson, recipe, origin, now, workers)
    try:
        kept.promote(version, now)
    except FixSetup as refused:
        return {"version": version, "promotion": str(refused)}
    return {"version": version, "promotion": "promoted"}
