"""Train agents where the answer is known, and say how much of it they found.

Needs the dependency group ``rl``. Every training is written down as it ends, so a suite
that was stopped goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from models import (
    kept,
    optimum,
    planted,
    planted_play,
    planted_table,
    planted_tasks,
    traces,
)
from models.evaluate import Evidence, weigh
from models.performance import MINUTES_A_YEAR
from models.planted import BPS, DAY_BARS, leaked
from models.planted_table import TEMPTING, Answer, in_figures, leaks_of, markets
from models.planted_tasks import Question, Score, Try
from models.selection import sharpe
from models.source import digest_of
from models.traces import Found, load, save
from models.train import Recipe, key_of
from models.workers import Workers

_SCORED_BY = (optimum, planted, planted_play, planted_table, planted_tasks, traces)
NOISE_SETS, NOISE_SETS_OF_ALL_SEEDS = 20, 3


class Suite:
    """The planted-signal suite of one algorithm.

    Args:
        recipe: How the algorithm is trained.
        seeds: Trainings per row.
        notes: Folder of the answers so far, each recipe's in one of its own; what is
            known is not trained again.
        workers: Who trains.
    """

    def __init__(
        self, recipe: Recipe, seeds: int, notes: Path, workers: Workers
    ) -> None:
        self.recipe, self._seeds = recipe, seeds
        code = digest_of(*_SCORED_BY)
        self._notes, self._workers = notes / key_of(recipe, code), workers
        self._answers = self._notes / "answers.jsonl"

    def run(self, rows: tuple[str, ...], noise_sets: int) -> dict[str, Any]:
        """Return the table of some rows: share of the optimum, and what was claimed.

        Args:
            rows: Names of ``markets()``.
            noise_sets: Draws of noise on which an edge might be claimed; 0 for none.
        """
        seeds = range(self._seeds)
        answers = self._scored([Question(row, s, s) for row in rows for s in seeds])
        table: dict[str, Any] = {}
        for row in rows:
            of_row = [answer for answer in answers if answer.row == row]
            table[row] = in_figures(markets()[row][0], of_row)
        if "noise" in table and noise_sets:
            table["noise"] |= self._claims_on_noise(noise_sets)
        if "positive_control" in table:
            table["positive_control"]["rejected"] = int(bool(leaks_of(leaked())))
        if "drift" in table:
            table["drift"]["claims"] = self._claims_on_drift()
        return table

    def _scored(self, questions: Sequence[Question]) -> list[Answer]:
        """Return the answers to questions, in their order."""
        known: dict[Question, Answer] = {}
        for note in kept.lines(self._answers):
            answer = Answer(**note)
            known[Question(answer.row, answer.draw, answer.seed)] = answer

        def keep(question: Question, answer: Answer) -> None:
            kept.append(self._answers, [asdict(answer)])
            self._workers.watch.tell(
                f"{question}: {answer.share:.3f} of the optimum, "
                f"{answer.earned_bps:.4f} bp/min, {answer.cpu_s:.0f} s"
            )

        task = Score(self.recipe)
        return self._workers.complete(task, questions, known.get, keep, str)

    def _claims_on_noise(self, sets: int) -> dict[str, Any]:
        """Count the noise sets, cheap to trade, on which an edge would be claimed."""
        found = self._tried(
            [
                Question(TEMPTING, draw, seed)
                for draw in range(sets)
                for seed in range(self._seeds if draw < NOISE_SETS_OF_ALL_SEEDS else 1)
            ]
        )
        once = [each.traces[0] for each in found.values()]
        tried = [sharpe(trace.excess) for trace in once]
        claims = 0
        for draw in range(sets):
            of_draw = [each for asked, each in found.items() if asked.draw == draw]
            claims += _weighed(of_draw, tried).claims_edge
        return {
            "claims": claims,
            "sets": sets,
            "trials": len(tried),
            "tempting_mean_bp_per_min": float(
                np.mean([trace.returns.mean() / BPS for trace in once])
            ),
        }

    def _claims_on_drift(self) -> int:
        """Say whether an edge would be claimed where holding is the whole secret."""
        (found,) = self._tried([Question("drift", 0, 0)]).values()
        return int(_weighed([found], [sharpe(found.traces[0].excess)]).claims_edge)

    def _tried(self, questions: Sequence[Question]) -> dict[Question, Found]:
        """Return what agents did on the bars after their histories, by question."""
        found = self._workers.complete(
            Try(self.recipe),
            questions,
            lambda question: load(self._path(question), self._workers.watch.tell),
            lambda question, found: save(self._path(question), found),
            str,
        )
        return dict(zip(questions, found, strict=True))

    def _path(self, question: Question) -> Path:
        return self._notes / f"{question.row}-{question.draw}-{question.seed}.npz"


def _weighed(of_seeds: Sequence[Found], tried: list[float]) -> Evidence:
    once, twice = ([found.traces[at] for found in of_seeds] for at in (0, 1))
    rivals = of_seeds[0].traces[2:]
    return weigh(once, twice, rivals, tried, MINUTES_A_YEAR, DAY_BARS)
