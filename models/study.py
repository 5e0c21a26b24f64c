"""Walk forward over a tape: train on what was, judge by what came, seed by seed.

Needs the dependency group ``rl``. What each seed did in each fold is kept as it ends,
so a study that was stopped goes on where it was.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console

from models import baselines
from models.evaluate import Evidence, Fold, Interval, excess_sharpe, walk_forward, weigh
from models.material import Plan
from models.performance import (
    Performance,
    Policy,
    Trace,
    deciding,
    hit_rate,
    load,
    performance,
    play,
    save,
)
from models.selection import Ledger, Trial, sharpe
from models.tape import Tape, stretches
from models.train import Lesson, Recipe, train
from models.watch import Watch

LEDGER = "trials.jsonl"
MULTIPLES = (0.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True)
class Findings:
    """What came out of a study; all of it out of sample.

    Attributes:
        evidence: And the verdict.
        seeds: What each seed did at 1x cost.
        by_cost: IQM of the annual excess Sharpe ratio at each multiple of the costs.
        baselines: The rivals on the same bars.
        hit_rate: Mean over seeds of the directional accuracy, by horizon in bars.
    """

    evidence: Evidence
    seeds: tuple[Performance, ...]
    by_cost: dict[float, Interval]
    baselines: dict[str, Performance]
    hit_rate: dict[int, float]


class Study:
    """A walk-forward evaluation of one recipe on one tape.

    Args:
        tape: What is traded.
        recipe: How each agent is trained.
        plan: Folds, seeds, costs.
        notes: Folder of what was found so far.
        watch: Who sees what happens.
        processes: How many seeds are trained at the same time. It changes no weight:
            a training takes one core.
    """

    def __init__(
        self,
        tape: Tape,
        recipe: Recipe,
        plan: Plan,
        notes: Path,
        watch: Watch,
        processes: int = 1,
    ) -> None:
        self._tape, self._recipe, self._plan = tape, recipe, plan
        self._notes, self._watch, self._processes = notes, watch, processes
        self._folds = walk_forward(
            len(tape), plan.folds, plan.embargo, plan.first_share
        )
        self._key = key_of(tape, plan, recipe)

    def run(self) -> Findings:
        """Return what was found; every trial is in the ledger before it is judged."""
        plan = self._plan
        ledger = Ledger(self._notes / LEDGER)
        if self._processes > 1:
            self._train_beside()
        traces = [self._seed(seed) for seed in range(plan.seeds)]
        self._count(ledger, [by_cost[1.0] for by_cost in traces])
        tried = [trial.sharpe for trial in ledger.trials(plan.name)]
        once = [by_cost[1.0] for by_cost in traces]
        twice = [by_cost[2.0] for by_cost in traces]
        rivals = self._rivals()
        year, day = plan.bars_a_year, plan.bars_a_day
        return Findings(
            evidence=weigh(once, twice, list(rivals.values()), tried, year, day),
            seeds=tuple(performance(trace, year, day) for trace in once),
            by_cost={
                multiple: excess_sharpe([of[multiple] for of in traces], year, day)
                for multiple in MULTIPLES
            },
            baselines={
                name: performance(trace, year, day)
                for name, trace in (rivals | self._by_chance(once[0])).items()
            },
            hit_rate={
                horizon: float(np.mean([hit_rate(trace, horizon) for trace in once]))
                for horizon in (1, 5, 15)
            },
        )

    def _count(self, ledger: Ledger, traces: Sequence[Trace]) -> None:
        plan = self._plan
        configuration = f"{plan.configuration} {self._key}"
        counted = {
            trial.seed
            for trial in ledger.trials(plan.name)
            if trial.configuration == configuration
        }
        ledger.add(
            [
                Trial(plan.name, configuration, seed, sharpe(trace.excess))
                for seed, trace in enumerate(traces)
                if seed not in counted
            ]
        )

    def _train_beside(self) -> None:
        """Train the seeds of which nothing is kept, in processes of their own."""
        missing = [s for s in range(self._plan.seeds) if not self._kept(s).exists()]
        parts = self._tape, self._recipe, self._plan, self._notes
        folder = self._watch.tensorboard
        # A forked torch may hang: its threads are not there.
        context = get_context("spawn")
        with (
            self._watch.training(f"{len(missing)} seeds", len(missing)) as on_step,
            ProcessPoolExecutor(self._processes, context) as pool,
        ):
            seeds = {
                pool.submit(_train_one, seed, folder, *parts): seed for seed in missing
            }
            for done, future in enumerate(as_completed(seeds), start=1):
                future.result()
                on_step(done)
                self._watch.tell(
                    f"seed {seeds[future]} trained, {done} of {len(seeds)}"
                )

    def _kept(self, seed: int) -> Path:
        return self._notes / f"{self._key}-{seed}.npz"

    def _seed(self, seed: int) -> dict[float, Trace]:
        """Return what one seed did over all folds, at each multiple of the costs."""
        kept = self._kept(seed)
        if not kept.exists():
            parts = [self._fold(fold, seed) for fold in self._folds]
            save(kept, [joined([part[m] for part in parts]) for m in MULTIPLES])
        return dict(zip(MULTIPLES, load(kept), strict=True))

    def _fold(self, fold: Fold, seed: int) -> dict[float, Trace]:
        past = self._tape.part(0, fold.train_stop)
        episodes = stretches(past, self._plan.episode_bars)
        lesson = Lesson(past, episodes, self._plan.rules())
        name = f"fold {self._folds.index(fold) + 1} of {len(self._folds)}"
        steps = self._recipe.steps
        with self._watch.training(f"seed {seed}, {name}", steps) as on_step:
            folder = self._watch.folder(f"study-{self._key}/{name.replace(' ', '_')}")
            network = train(self._recipe, lesson, seed, folder, on_step)
        played = self._played(deciding(network), fold)
        self._watch.tell(
            f"seed {seed}, bars from {fold.test_first}: "
            f"{played[1.0].traded.sum()} trades, exposure {played[1.0].exposure:.2f}"
        )
        return played

    def _played(self, policy: Policy, fold: Fold) -> dict[float, Trace]:
        future = self._tape.part(fold.test_first, fold.test_stop)
        return {
            multiple: play(policy, future, self._plan.rules(multiple))
            for multiple in MULTIPLES
        }

    def _rivals(self) -> dict[str, Trace]:
        """Return the baselines over the same folds."""
        parts: dict[str, list[Trace]] = {}
        for fold in self._folds:
            past = self._tape.part(0, fold.train_stop)
            future = self._tape.part(fold.test_first, fold.test_stop)
            policies = baselines.rules(future)
            policies["supervised one-step"] = baselines.one_step(
                past, future, past.side_cost
            )
            for name, policy in policies.items():
                trace = play(policy, future, self._plan.rules())
                parts.setdefault(name, []).append(trace)
        return {name: joined(traces) for name, traces in parts.items()}

    def _by_chance(self, agent: Trace) -> dict[str, Trace]:
        """Return the random policies of the agent's turnover, laid end to end."""
        traces = [
            play(
                policy,
                self._tape.part(fold.test_first, fold.test_stop),
                self._plan.rules(),
            )
            for fold in self._folds
            for policy in baselines.random_like(agent, seed=fold.test_first)
        ]
        return {"random, same turnover": joined(traces)}


def _train_one(
    seed: int,
    tensorboard: Path | None,
    tape: Tape,
    recipe: Recipe,
    plan: Plan,
    notes: Path,
) -> None:
    """Train one seed and keep what it did; nothing is printed."""
    watch = Watch(Console(quiet=True), tensorboard)
    Study(tape, recipe, plan, notes, watch)._seed(seed)


def key_of(tape: Tape, plan: Plan, recipe: Recipe) -> str:
    """Return what names the notes of a study.

    Notes of other data, costs or settings must not be taken for these: settings that
    were searched for stand in the plan's configuration.
    """
    spoken = f"{plan} {recipe.steps} {recipe.windows} {sorted(recipe.settings)}"
    columns = tape.features.tobytes() + tape.ask.tobytes()
    return hashlib.sha256(spoken.encode() + columns).hexdigest()[:12]


def joined(traces: Sequence[Trace]) -> Trace:
    """Return traces end to end."""
    columns = {
        field.name: np.concatenate([getattr(trace, field.name) for trace in traces])
        for field in fields(Trace)
    }
    return Trace(**columns)
