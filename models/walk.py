"""One seed's walk forward over a tape: train on what was, play what came.

Needs the dependency group ``rl``.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from models import traces
from models.evaluate import Fold, walk_forward
from models.material import Plan
from models.source import digest_of
from models.tape import Tape, stretches
from models.traces import (
    Found,
    Policy,
    Trace,
    deciding,
    play,
)
from models.train import Lesson, Recipe, key_of, train
from models.watch import Watch

MULTIPLES = (0.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True)
class Walk:
    """What every seed of a study does.

    Attributes:
        tape: What is traded.
        recipe: How each agent is trained.
        plan: Folds and costs.
    """

    tape: Tape
    recipe: Recipe
    plan: Plan

    @property
    def folds(self) -> list[Fold]:
        """Parts of the tape, oldest first."""
        plan = self.plan
        return walk_forward(len(self.tape), plan.folds, plan.embargo, plan.first_share)

    @property
    def key(self) -> str:
        """What names its notes."""
        code = digest_of(traces, sys.modules[__name__])
        return key_of(self.recipe, self.plan, self.tape.digest, code)

    def __call__(self, seed: int, watch: Watch) -> Found:
        """Return what a seed did over all folds, at each of ``MULTIPLES``."""
        begun = time.process_time()
        parts = [self._fold(number, seed, watch) for number in range(len(self.folds))]
        traces = [joined(played) for played in zip(*parts, strict=True)]
        return Found(traces, time.process_time() - begun)

    def _fold(self, number: int, seed: int, watch: Watch) -> list[Trace]:
        fold = self.folds[number]
        past = self.tape.part(0, fold.train_stop)
        episodes = stretches(past, self.plan.episode_bars)
        lesson = Lesson(past, episodes, self.plan.rules())
        name = f"fold {number + 1} of {len(self.folds)}"
        with watch.training(f"seed {seed}, {name}", self.recipe.steps) as on_step:
            folder = watch.folder(f"study-{self.key}/{name.replace(' ', '_')}")
            network = train(self.recipe, lesson, seed, folder, on_step)
        played = self._played(deciding(network), fold)
        once = played[MULTIPLES.index(1.0)]
        watch.tell(
            f"seed {seed}, bars from {fold.test_first}: "
            f"{once.traded.sum()} trades, exposure {once.exposure:.2f}"
        )
        return played

    def _played(self, policy: Policy, fold: Fold) -> list[Trace]:
        future = self.tape.part(fold.test_first, fold.test_stop)
        return [play(policy, future, self.plan.rules(many)) for many in MULTIPLES]


def joined(traces: Sequence[Trace]) -> Trace:
    """Return traces end to end."""
    columns = {
        field.name: np.concatenate([getattr(trace, field.name) for trace in traces])
        for field in fields(Trace)
    }
    return Trace(**columns)
