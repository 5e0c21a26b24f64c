"""Train agents where the answer is known, and say how much of it they found.

Needs the dependency group ``rl``. Every training is written down as it ends, so a suite
that was stopped goes on where it was.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models import kept, performance
from models.account import Costs
from models.baselines import random_like
from models.environment import Rules
from models.evaluate import Evidence, weigh
from models.performance import Found, Trace
from models.planted import BPS, DAY_BARS, Market, leaked
from models.planted import visible as visible_market
from models.planted_play import play
from models.planted_table import (
    LITTLE_BARS,
    TEMPTING_COST_BPS,
    Answer,
    in_figures,
    leaks_of,
    markets,
)
from models.scoring import Network
from models.selection import sharpe
from models.tape import stretches
from models.train import Lesson, Recipe, key_of, train

FRESH_BARS = 80_000
NOISE_SETS, NOISE_SETS_OF_ALL_SEEDS = 20, 3
_FRESH_SEED = 777
_RIVALS = 5


@dataclass(frozen=True)
class Question:
    """One training: a market, how much of it is seen, and which draw and seed."""

    market: Market
    bars: int
    draw: int
    seed: int

    def path_seed(self, purpose: int) -> list[int]:
        """Return the seed of the history (0) or of the days after it (1)."""
        return [1_000 + self.draw, purpose]


Told = Callable[[str], None]


class Suite:
    """The planted-signal suite of one algorithm.

    Args:
        recipe: How the algorithm is trained.
        seeds: Trainings per row.
        notes: Folder of the answers so far, which a folder of the recipe's own below it
            holds; what it knows is not trained again.
        tell: Called with a line after each training.
    """

    def __init__(self, recipe: Recipe, seeds: int, notes: Path, tell: Told) -> None:
        self.recipe, self._seeds = recipe, seeds
        self._notes, self._tell = notes / key_of(recipe), tell
        self._answers = self._notes / "answers.jsonl"
        self._known = {note["key"]: note["value"] for note in kept.lines(self._answers)}

    def run(self, rows: tuple[str, ...], noise_sets: int) -> dict[str, Any]:
        """Return the table of some rows: share of the optimum, and what was claimed.

        Args:
            rows: Names of ``markets()``.
            noise_sets: Draws of noise on which an edge might be claimed; 0 for none.
        """
        table: dict[str, Any] = {}
        for row in rows:
            market, bars = markets()[row]
            answers = [
                self._answer(row, Question(market, bars, seed, seed))
                for seed in range(self._seeds)
            ]
            table[row] = in_figures(market, answers)
        if "noise" in table and noise_sets:
            table["noise"] |= self._claims_on_noise(noise_sets)
        if "positive_control" in table:
            table["positive_control"]["rejected"] = int(bool(leaks_of(leaked())))
        if "drift" in table:
            table["drift"]["claims"] = self._claims_on_drift()
        return table

    def _answer(self, row: str, question: Question) -> Answer:
        key = f"{row} {question.draw} {question.seed}"
        if key not in self._known:
            begun = time.process_time()
            network = learn(self.recipe, question)
            cpu_s = time.process_time() - begun
            played = play(network, question.market, FRESH_BARS, _FRESH_SEED)
            optimum = question.market.optimum
            answer = Answer(
                row=row,
                draw=question.draw,
                seed=question.seed,
                share=played.share_of(optimum) if optimum.gain else float("nan"),
                earned_bps=played.earned_bps,
                traded_share=played.traded_share,
                cpu_s=cpu_s,
            )
            self._keep(key, asdict(answer))
            self._tell(
                f"{row}, seed {question.seed}: {answer.share:.3f} of the optimum, "
                f"{answer.earned_bps:.4f} bp/min, {cpu_s:.0f} s"
            )
        return Answer(**self._known[key])

    def _keep(self, key: str, value: dict[str, Any]) -> None:
        self._known[key] = value
        kept.append(self._answers, [{"key": key, "value": value}])

    def _claims_on_noise(self, sets: int) -> dict[str, Any]:
        """Count the noise sets, cheap to trade, on which an edge would be claimed."""
        market = visible_market("tempting", 0.0, TEMPTING_COST_BPS)
        traces = {
            (draw, seed): self._traces(Question(market, LITTLE_BARS, draw, seed))
            for draw in range(sets)
            for seed in range(self._seeds if draw < NOISE_SETS_OF_ALL_SEEDS else 1)
        }
        tried = [sharpe(of_seed[0].excess) for of_seed in traces.values()]
        claims = 0
        for draw in range(sets):
            of_draw = [known for (of, _), known in traces.items() if of == draw]
            claims += _weighed(of_draw, tried).claims_edge
        net = [of_seed[0].returns.mean() / BPS for of_seed in traces.values()]
        return {
            "claims": claims,
            "sets": sets,
            "trials": len(tried),
            "tempting_mean_bp_per_min": float(np.mean(net)),
        }

    def _claims_on_drift(self) -> int:
        """Say whether an edge would be claimed where holding is the whole secret."""
        market, bars = markets()["drift"]
        traces = [self._traces(Question(market, bars, 0, 0))]
        return int(_weighed(traces, [sharpe(traces[0][0].excess)]).claims_edge)

    def _traces(self, question: Question) -> "Traces":
        """Return what an agent did on the bars after its history, at 1x and 2x cost."""
        name = f"{question.market.name}-{question.draw}-{question.seed}"
        path = self._notes / f"{name}.npz"
        found = performance.load(path, self._tell)
        if found is None:
            found = _after(self.recipe, question)
            performance.save(path, found)
            earned = found.traces[0].returns.mean() / BPS
            self._tell(f"{name}: {earned:.4f} bp/min after")
        return found.traces


Traces = list[Trace]
"""At 1x and at 2x cost, and some random policies of the same turnover."""


def _after(recipe: Recipe, question: Question) -> Found:
    market, begun = question.market, time.process_time()
    after = np.random.default_rng(question.path_seed(1))
    tape = market.tape(market.draw(LITTLE_BARS, after))
    policy = performance.deciding(learn(recipe, question))
    once, twice = (
        performance.play(policy, tape, Rules(Costs(multiple=multiple)))
        for multiple in (1.0, 2.0)
    )
    rivals = itertools.islice(random_like(once, question.draw), _RIVALS)
    others = [performance.play(rival, tape, Rules()) for rival in rivals]
    return Found([once, twice, *others], time.process_time() - begun)


def learn(recipe: Recipe, question: Question) -> Network:
    """Return the network of one training."""
    market = question.market
    history = market.draw(question.bars, np.random.default_rng(question.path_seed(0)))
    tape = market.tape(history)
    return train(recipe, Lesson(tape, stretches(tape, DAY_BARS)), question.seed)


def _weighed(of_seeds: list[Traces], tried: list[float]) -> Evidence:
    once, twice = ([traces[at] for traces in of_seeds] for at in (0, 1))
    year = performance.MINUTES_A_YEAR
    return weigh(once, twice, of_seeds[0][2:], tried, year, DAY_BARS)
