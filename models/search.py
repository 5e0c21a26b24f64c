"""Search for hyperparameters with Optuna, on bars that come before every test.

Needs the dependency group ``rl``. Each setting that is tried is a trial in the ledger:
the more were tried, the more the study that follows must show. A search that was
stopped goes on where it was.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from conf.errors import FixSetup
from models.evaluate import walk_forward
from models.material import Plan
from models.records import as_json
from models.selection import Ledger, Trial, sharpe
from models.study import LEDGER
from models.tape import Tape, stretches
from models.traces import deciding, play
from models.train import Falling, Lesson, Recipe, key_of, train
from models.watch import Watch

_LEARNING_SHARE = 0.75
_WIDTHS = (32, 64, 128)
_SEED = 0


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    is_log: bool = False


_EVERY = {
    "learning_rate": _Range(1e-5, 5e-3, is_log=True),
    "gamma": _Range(0.9, 0.999),
}
_ON_POLICY = _EVERY | {
    "gae_lambda": _Range(0.8, 0.99),
    "ent_coef": _Range(1e-4, 3e-2, is_log=True),
}
_OFF_POLICY = _EVERY | {"exploration_fraction": _Range(5e-3, 0.5, is_log=True)}

Tried = Callable[[int, Recipe, float], None]
"""Told of a trial: its number, the recipe, and its excess Sharpe ratio per bar."""


class Search:
    """A search for the settings of one recipe on one tape.

    What the first fold of the study learns from is cut once more: the first three
    quarters to learn from, the rest to judge by. No bar of a test is looked at.

    Args:
        tape: What is traded.
        recipe: What is varied; the first trial is itself.
        plan: Of the study that follows.
        notes: Folder of the ledger and of what was found so far.
        watch: Who sees what happens.

    Raises:
        FixSetup: The tape is too short to be cut once more.
    """

    def __init__(
        self, tape: Tape, recipe: Recipe, plan: Plan, notes: Path, watch: Watch
    ) -> None:
        self._recipe, self._plan, self._watch = recipe, plan, watch
        first = walk_forward(len(tape), plan.folds, plan.embargo, plan.first_share)[0]
        cut = walk_forward(first.train_stop, 1, plan.embargo, _LEARNING_SHARE)[0]
        if cut.train_stop <= plan.episode_bars:
            raise FixSetup(
                "history",
                f"{len(tape)} bars leave {cut.train_stop} to search on, less than one"
                f" episode of {plan.episode_bars}",
                "Take a longer history, or do without SEARCH",
            )
        self._past = tape.part(0, cut.train_stop)
        self._rest = tape.part(cut.test_first, cut.test_stop)
        self._ledger = Ledger(notes / LEDGER)
        self._key = f"search-{key_of(recipe, plan, tape.digest)}"
        self._journal = notes / f"{self._key}.journal"

    def run(self, trials: int, tried: Tried) -> Recipe:
        """Try settings until there are so many trials; return the best one's recipe.

        Args:
            trials: Those of earlier runs included.
            tried: Called after each.
        """
        study = self._open()
        done = len(study.get_trials(states=[TrialState.COMPLETE]))

        def score(trial: Any) -> float:  # noqa: ANN401 (Optuna's, where installed)
            found = self._score(trial)
            tried(trial.number, varied(self._recipe, trial.params), found)
            return found

        study.optimize(score, n_trials=max(trials - done, 0))
        self._watch.tell(f"best of {trials}: {as_json(study.best_params)}")
        return varied(self._recipe, study.best_params)

    def _open(self) -> Any:  # noqa: ANN401 (Optuna's, where installed)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(self._journal))),
            study_name=self._key,
            direction="maximize",
            load_if_exists=True,
        )
        begun = len(study.trials)
        # A sampler that goes on must not draw again what it drew at first.
        study.sampler = optuna.samplers.TPESampler(seed=_SEED + begun)
        if not begun:
            study.enqueue_trial(usual(self._recipe))
        return study

    def _score(self, trial: Any) -> float:  # noqa: ANN401
        for name, among in _ranges(self._recipe).items():
            trial.suggest_float(name, among.low, among.high, log=among.is_log)
        trial.suggest_categorical("net_width", _WIDTHS)
        recipe = varied(self._recipe, trial.params)
        episodes = stretches(self._past, self._plan.episode_bars)
        lesson = Lesson(self._past, episodes, self._plan.rules())
        with self._watch.training(f"trial {trial.number}", recipe.steps) as on_step:
            folder = self._watch.folder(f"{self._key}/trial_{trial.number}")
            network = train(recipe, lesson, _SEED, folder, on_step)
        trace = play(deciding(network), self._rest, self._plan.rules())
        found = sharpe(trace.excess)
        spoken = f"{self._plan.configuration} search {as_json(trial.params)}"
        tried = Trial(self._plan.name, spoken, _SEED, found, self._plan.data)
        self._ledger.add([tried])
        self._watch.tell(f"trial {trial.number}: {found:.5f} a bar")
        return found


def usual(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe sets, or its class's defaults, of all that is searched."""
    defaults = inspect.signature(recipe.algorithm).parameters
    held: dict[str, Any] = {
        name: recipe.settings.get(name, defaults[name].default)
        for name in _ranges(recipe)
    }
    rate = held["learning_rate"]
    if isinstance(rate, Falling):
        held["learning_rate"] = rate.start
    return held | {"net_width": recipe.settings["policy_kwargs"]["net_arch"][0]}


def varied(recipe: Recipe, params: Mapping[str, Any]) -> Recipe:
    """Return a recipe with what a trial chose; what it did not is the recipe's."""
    settings = recipe.settings | {name: params[name] for name in _ranges(recipe)}
    if isinstance(recipe.settings.get("learning_rate"), Falling):
        settings["learning_rate"] = Falling(params["learning_rate"])
    net = {"net_arch": [params["net_width"]] * 2}
    settings["policy_kwargs"] = recipe.settings["policy_kwargs"] | net
    return replace(recipe, settings=settings)


def _ranges(recipe: Recipe) -> Mapping[str, _Range]:
    is_on_policy = "gae_lambda" in inspect.signature(recipe.algorithm).parameters
    return _ON_POLICY if is_on_policy else _OFF_POLICY
