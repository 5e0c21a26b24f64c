"""Walk forward over a tape: train on what was, judge by what came, seed by seed.

Needs the dependency group ``rl``. What each seed did in each fold is kept as it ends,
so a study that was stopped goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import baselines
from models.evaluate import Evidence, Interval, excess_sharpe, weigh
from models.performance import Performance, hit_rate, mean_of, performance
from models.selection import Ledger, Trial, sharpe
from models.traces import (
    Found,
    Trace,
    load,
    play,
    save,
)
from models.walk import MULTIPLES, Walk, joined
from models.workers import Workers

LEDGER = "trials.jsonl"
BY_CHANCE = f"random, same turnover (mean of {baselines.RANDOM_DRAWS})"


@dataclass(frozen=True)
class Findings:
    """What came out of a study; all of it out of sample.

    Attributes:
        evidence: And the verdict.
        seeds: What each seed did at 1x cost.
        by_cost: IQM of the annual excess Sharpe ratio at each multiple of the costs.
        baselines: The rivals on the same bars; of the random one the mean of each
            figure over ``baselines.RANDOM_DRAWS`` lives, each all folds end to end.
        hit_rate: Mean over seeds of the directional accuracy, by horizon in bars.
        cpu_s: CPU time of all trainings, earlier commands' included.
    """

    evidence: Evidence
    seeds: tuple[Performance, ...]
    by_cost: dict[float, Interval]
    baselines: dict[str, Performance]
    hit_rate: dict[int, float]
    cpu_s: float


class Study:
    """A walk-forward evaluation of one recipe on one tape.

    Args:
        walk: What each seed does.
        notes: Folder of what was found so far.
        workers: Who trains the seeds.
    """

    def __init__(self, walk: Walk, notes: Path, workers: Workers) -> None:
        self._walk, self._tape, self._plan = walk, walk.tape, walk.plan
        self._notes, self._workers = notes, workers
        self._folds, self._key = walk.folds, walk.key

    def run(self) -> Findings:
        """Return what was found; every trial is in the ledger before it is judged."""
        plan = self._plan
        ledger = Ledger(self._notes / LEDGER)
        found = self._found()
        traces = [dict(zip(MULTIPLES, of.traces, strict=True)) for of in found]
        self._count(ledger, [by_cost[1.0] for by_cost in traces])
        tried = [trial.sharpe for trial in ledger.trials(plan.name, plan.data)]
        once = [by_cost[1.0] for by_cost in traces]
        twice = [by_cost[2.0] for by_cost in traces]
        rivals, lives = self._rivals(), self._by_chance(once)
        year, day = plan.bars_a_year, plan.bars_a_day
        return Findings(
            evidence=weigh(once, twice, list(rivals.values()), tried, year, day),
            seeds=tuple(performance(trace, year, day) for trace in once),
            by_cost={
                multiple: excess_sharpe([of[multiple] for of in traces], year, day)
                for multiple in MULTIPLES
            },
            baselines={
                name: performance(trace, year, day) for name, trace in rivals.items()
            }
            | {BY_CHANCE: mean_of([performance(t, year, day) for t in lives])},
            hit_rate={
                horizon: float(np.mean([hit_rate(trace, horizon) for trace in once]))
                for horizon in (1, 5, 15)
            },
            cpu_s=sum(of.cpu_s for of in found),
        )

    def forget(self) -> None:
        """Delete what the seeds did, so that they train again; trials still count."""
        for path in self._notes.glob(f"{self._key}-*.npz"):
            path.unlink()

    def _count(self, ledger: Ledger, traces: Sequence[Trace]) -> None:
        plan = self._plan
        configuration = f"{plan.configuration} {self._key}"
        counted = {
            trial.seed
            for trial in ledger.trials(plan.name, plan.data)
            if trial.configuration == configuration
        }
        ledger.add(
            [
                Trial(plan.name, configuration, seed, sharpe(trace.excess), plan.data)
                for seed, trace in enumerate(traces)
                if seed not in counted
            ]
        )

    def _found(self) -> list[Found]:
        """Return what each seed did; train those missing."""
        return self._workers.complete(
            self._walk,
            range(self._plan.seeds),
            lambda seed: load(self._path(seed), self._workers.watch.tell),
            lambda seed, found: save(self._path(seed), found),
        )

    def _path(self, seed: int) -> Path:
        return self._notes / f"{self._key}-{seed}.npz"

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

    def _by_chance(self, agents: Sequence[Trace]) -> list[Trace]:
        """Return lives of random policies, each over all folds, end to end.

        They trade as often as the agents of all seeds do on the mean.
        """
        futures = [self._tape.part(f.test_first, f.test_stop) for f in self._folds]
        rules = self._plan.rules()
        return [
            joined([play(policy, future, rules) for future in futures])
            for policy in baselines.random_like(joined(agents), seed=0)
        ]
