"""``make train``: study a material, write down every seed, and perhaps keep a model.

Needs the dependency group ``rl``.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conf.lake.manifest import pin
from models.lake_study import read_versions
from models.material import Material
from models.publish import keep_model
from models.records import Run, as_json, new_run_id, record_runs
from models.registry import Registry
from models.search import Search, usual
from models.serving import NAME
from models.study import Study
from models.train import RECIPES, Recipe, hyperparameters, libraries
from models.walk import Walk
from models.watch import Watch
from models.workers import Workers


@dataclass(frozen=True)
class Course:
    """What was asked for.

    Attributes:
        algorithm: Name of the recipe.
        steps: Decisions of a training; None: as many as the recipe says.
        seeds: Trainings per fold.
        folds: Tests, walking forward.
        trials: Of a search for better settings before; 0: none.
        keep: Add a version to the registry.
        lake: Where ``models.runs`` is, and the pins.
        registry: URI or folder of the models.
        notes: Folder of what was found so far.
        processes: Seeds that are trained at the same time.
        fresh: Forget what the seeds of this study did before; trials still count.
    """

    algorithm: str
    steps: int | None
    seeds: int
    folds: int
    trials: int
    keep: bool
    lake: str
    registry: str
    notes: Path
    processes: int = 1
    fresh: bool = False

    def recipe(self) -> Recipe:
        """Return how each agent is trained."""
        usual = RECIPES[self.algorithm]
        return usual if self.steps is None else replace(usual, steps=self.steps)


def run(material: Material, course: Course, watch: Watch) -> dict[str, Any]:
    """Walk forward over a material and say whether there is an edge.

    Returns:
        The findings, and ``run_id`` in ``models.runs``; of a version that was kept also
        its name and whether it was promoted.

    Raises:
        FixSetup: ``models.runs`` or the registry cannot be written.
    """
    recipe, run_id = course.recipe(), new_run_id(datetime.now(UTC))
    configuration = f"{course.algorithm} {recipe.steps} steps"
    if course.trials:
        recipe = _searched(material, course, watch, run_id)
        configuration += f" {as_json(usual(recipe))}"
    plan = material.plan(configuration, course.seeds, course.folds)
    workers = Workers(watch, course.processes)
    study = Study(Walk(material.tape, recipe, plan), course.notes, workers)
    if course.fresh:
        study.forget()
    found = study.run()
    watch.tell(found.evidence.verdict)
    shared = {"study": found.evidence.card(), "setting": _setting(material, course)}
    row = replace(
        _row(material, course, recipe, shared), verdict=found.evidence.verdict
    )
    rows = [
        replace(row, seed=seed, scores=asdict(scores) | shared)
        for seed, scores in enumerate(found.seeds)
    ]
    record_runs(course.lake, run_id, rows, datetime.now(UTC))
    told = {
        "data": material.source,
        "algorithm": course.algorithm,
        "run_id": run_id,
        **asdict(found),
    }
    if not course.keep:
        return told
    kept = keep_model(material, recipe, plan, found.evidence, course.registry, workers)
    if material.manifest is not None:
        reason = f"what {kept['version']} learnt from"
        name = f"model-{kept['version']}"
        pin(course.lake, name, reason=reason, cut=material.manifest)
    rows = _of_version(kept["version"], course.registry, row)
    record_runs(course.lake, run_id, rows, datetime.now(UTC))
    return told | kept


def _searched(material: Material, course: Course, watch: Watch, run_id: str) -> Recipe:
    """Return the best recipe of a search; each trial is written down as it ends."""
    recipe = course.recipe()
    plan = material.plan(
        f"{course.algorithm} {recipe.steps} steps", course.seeds, course.folds
    )

    def write(trial: int, tried: Recipe, excess_sharpe: float) -> None:
        scores = {
            "excess_sharpe_per_bar": excess_sharpe,
            "setting": _setting(material, course),
        }
        row = _row(material, course, tried, scores)
        searched = replace(row, purpose="search", trial=trial)
        record_runs(course.lake, run_id, [searched], datetime.now(UTC))

    search = Search(material.tape, recipe, plan, course.notes, watch)
    return search.run(course.trials, write)


def _setting(material: Material, course: Course) -> dict[str, Any]:
    """Return what figures follow from beside recipe, seed and versions."""
    told = {"data": material.data, "folds": course.folds, "embargo": material.embargo}
    return material.setting | told


def _row(
    material: Material, course: Course, recipe: Recipe, scores: dict[str, Any]
) -> Run:
    return Run(
        purpose="study",
        seed=0,
        algorithm=course.algorithm,
        data=material.source,
        versions=read_versions(material.manifest),
        hyperparameters=hyperparameters(recipe),
        scores=scores,
        libraries=libraries(),
    )


def _of_version(version: str, registry: str, studied: Run) -> list[Run]:
    model = Registry(registry, NAME).load(version)
    row = replace(
        studied,
        purpose="version",
        model_version=model.version,
        model_sha256=model.sha256,
    )
    return [replace(row, seed=seed) for seed in model.card.seeds]
