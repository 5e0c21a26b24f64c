"""One training on a planted market: scored by the forecast, or played as in a study.

Needs the dependency group ``rl``. Tasks are picklable: trainings run side by side.
"""

import itertools
import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from models.account import Costs
from models.baselines import random_like
from models.environment import Rules
from models.planted import DAY_BARS, Market
from models.planted_play import play
from models.planted_table import LITTLE_BARS, TEMPTING, Answer, markets, tempting
from models.scoring import Network
from models.tape import stretches
from models.traces import Found, deciding
from models.traces import play as play_out
from models.train import Lesson, Recipe, train
from models.watch import Watch

FRESH_BARS = 80_000
_FRESH_SEED = 777
_RIVALS = 5


@dataclass(frozen=True)
class Question:
    """One training: on the market of which row, and which draw of it and seed."""

    row: str
    draw: int
    seed: int

    def __str__(self) -> str:
        return f"{self.row}, draw {self.draw}, seed {self.seed}"

    @property
    def market(self) -> Market:
        """What is learnt."""
        return _all_markets()[self.row][0]

    def path_seed(self, purpose: int) -> list[int]:
        """Return the seed of the history (0) or of the days after it (1)."""
        return [1_000 + self.draw, purpose]


@cache  # a market's optimum is computed once in each process
def _all_markets() -> dict[str, tuple[Market, int]]:
    return markets() | {TEMPTING: (tempting(), LITTLE_BARS)}


@dataclass(frozen=True)
class Score:
    """Train, and score on fresh days by the forecast."""

    recipe: Recipe

    def __call__(self, question: Question, watch: Watch) -> Answer:
        """Return what came of it."""
        begun = time.process_time()
        network = learn(self.recipe, question, watch)
        cpu_s = time.process_time() - begun
        market = question.market
        played = play(network, market, FRESH_BARS, _FRESH_SEED)
        optimum = market.optimum
        return Answer(
            row=question.row,
            draw=question.draw,
            seed=question.seed,
            share=played.share_of(optimum) if optimum.gain else float("nan"),
            earned_bps=played.earned_bps,
            traded_share=played.traded_share,
            cpu_s=cpu_s,
        )


@dataclass(frozen=True)
class Try:
    """Train, and play the days that follow the history, as a study would."""

    recipe: Recipe

    def __call__(self, question: Question, watch: Watch) -> Found:
        """Return it at 1x and at 2x cost, and random policies of its turnover."""
        begun, market = time.process_time(), question.market
        after = np.random.default_rng(question.path_seed(1))
        tape = market.tape(market.draw(LITTLE_BARS, after))
        policy = deciding(learn(self.recipe, question, watch))
        once, twice = (
            play_out(policy, tape, Rules(Costs(multiple=multiple)))
            for multiple in (1.0, 2.0)
        )
        rivals = itertools.islice(random_like(once, question.draw), _RIVALS)
        others = [play_out(rival, tape, Rules()) for rival in rivals]
        return Found([once, twice, *others], time.process_time() - begun)


def learn(recipe: Recipe, question: Question, watch: Watch) -> Network:
    """Return the network of one training."""
    market, bars = _all_markets()[question.row]
    history = market.draw(bars, np.random.default_rng(question.path_seed(0)))
    tape = market.tape(history)
    lesson = Lesson(tape, stretches(tape, DAY_BARS))
    with watch.training(str(question), recipe.steps) as on_step:
        return train(recipe, lesson, question.seed, on_step=on_step)
