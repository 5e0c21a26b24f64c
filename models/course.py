"""``make train``: study a material, write down every seed, and perhaps keep a model.

Needs the dependency group ``rl``.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conf.lake.manifest import pin
from models.lake_study import read_versions
from models.material import Material
from models.publish import keep_model
from models.records import Run, new_run_id, record_runs
from models.registry import Registry
from models.serving import NAME
from models.study import Findings, Study
from models.train import RECIPES, Recipe, hyperparameters, libraries
from models.watch import Watch


@dataclass(frozen=True)
class Course:
    """What was asked for.

    Attributes:
        algorithm: Name of the recipe.
        steps: Decisions of a training; None: as many as the recipe says.
        seeds: Trainings per fold.
        folds: Tests, walking forward.
        keep: Add a version to the registry.
        lake: Where ``models.runs`` is, and the pins.
        registry: URI or folder of the models.
        notes: Folder of what was found so far.
    """

    algorithm: str
    steps: int | None
    seeds: int
    folds: int
    keep: bool
    lake: str
    registry: str
    notes: Path

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
    plan = material.plan(
        f"{course.algorithm} {recipe.steps} steps", course.seeds, course.folds
    )
    found = Study(material.tape, recipe, plan, course.notes, watch).run()
    watch.tell(found.evidence.verdict)
    rows = list(_rows(material, course.algorithm, recipe, found))
    record_runs(course.lake, run_id, rows, datetime.now(UTC))
    told = {
        "data": material.source,
        "algorithm": course.algorithm,
        "run_id": run_id,
        **asdict(found),
    }
    if not course.keep:
        return told
    kept = keep_model(material, recipe, found.evidence, course.registry, watch)
    if material.manifest is not None:
        reason = f"what {kept['version']} learnt from"
        name = f"model-{kept['version']}"
        pin(course.lake, name, reason=reason, cut=material.manifest)
    record_runs(
        course.lake, run_id, _of_version(kept, course, rows[0]), datetime.now(UTC)
    )
    return told | kept


def _rows(
    material: Material, algorithm: str, recipe: Recipe, found: Findings
) -> Iterator[Run]:
    for seed, scores in enumerate(found.seeds):
        yield Run(
            purpose="study",
            seed=seed,
            algorithm=algorithm,
            data=material.source,
            versions=read_versions(material.manifest),
            hyperparameters=hyperparameters(recipe),
            scores=asdict(scores) | {"study": found.evidence.card()},
            libraries=libraries(),
            verdict=found.evidence.verdict,
        )


def _of_version(kept: dict[str, str], course: Course, studied: Run) -> list[Run]:
    model = Registry(course.registry, NAME).load(kept["version"])
    scores = {"study": studied.scores["study"]}
    return [
        replace(
            studied,
            purpose="version",
            seed=seed,
            scores=scores,
            model_version=model.version,
            model_sha256=model.sha256,
        )
        for seed in model.card.seeds
    ]
