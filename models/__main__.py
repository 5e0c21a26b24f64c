"""The agent's command line: ``python -m models``."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from conf.errors import FixSetup
from conf.settings import ROOT
from models.account import Costs
from models.history import proves_honest, read_bars, tape_of
from models.planted_table import QUICK_ROWS, broken, markets

app = typer.Typer(no_args_is_help=True, add_completion=False)
_ROOT = ROOT / "var" / "models"
_NOTES = _ROOT / "planted"
_REGISTRY = str(_ROOT / "registry")
QUICK_STEPS = 200_000
_RegistryOption = Annotated[str, typer.Option(help="URI or folder of the models")]
_told = Console(stderr=True, highlight=False)


@app.callback()
def agent() -> None:
    """Train, judge and keep agents."""


@app.command()
def planted(
    algo: Annotated[str, typer.Option(help="maskable-ppo, ppo, dqn, qr-dqn")] = (
        "maskable-ppo"
    ),
    seeds: Annotated[int, typer.Option(help="Trainings per market", min=1)] = 10,
    quick: Annotated[
        bool, typer.Option("--quick", help="Three markets, fewer steps")
    ] = False,
    only: Annotated[str, typer.Option(help="Markets, divided by commas")] = "",
    out: Annotated[Path | None, typer.Option(help="File for the last line")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what was trained before")
    ] = False,
) -> None:
    """Train where the best policy is known; the last line is one JSON object."""
    from models.planted_suite import NOISE_SETS, Suite
    from models.train import RECIPES

    chosen = tuple(only.split(",")) if only else QUICK_ROWS if quick else (*markets(),)
    unknown = set(chosen) - set(markets())
    if algo not in RECIPES or unknown:
        wrong = ", ".join(sorted(unknown)) or algo
        raise typer.BadParameter(f"{wrong}: {', '.join([*RECIPES, *markets()])}")
    notes = _NOTES / f"{algo}.jsonl"
    if fresh:
        notes.unlink(missing_ok=True)
    recipe = RECIPES[algo]
    if quick:
        recipe = replace(recipe, steps=min(recipe.steps, QUICK_STEPS))
    suite = Suite(recipe, seeds, notes, _told.print)
    table = suite.run(chosen, noise_sets=0 if quick else NOISE_SETS)
    failed = broken(table)
    for line in failed:
        _told.print(f"broken: {line}")
    _end({"algorithm": algo, **table, "broken": failed}, out)
    raise typer.Exit(1 if failed else 0)


@app.command()
def train(
    bars: Annotated[Path, typer.Option(help="Parquet file of one symbol's bars")],
    algo: Annotated[str, typer.Option(help="maskable-ppo, ppo, dqn, qr-dqn")] = (
        "maskable-ppo"
    ),
    seeds: Annotated[int, typer.Option(help="Trainings per fold", min=1)] = 10,
    folds: Annotated[int, typer.Option(help="Tests, walking forward", min=2)] = 4,
    steps: Annotated[int, typer.Option(help="Decisions each", min=1)] = 300_000,
    spread_bps: Annotated[float, typer.Option(help="At the next open", min=0)] = 4.0,
    session_days: Annotated[
        int, typer.Option(help="Days that the indicators take for one session", min=1)
    ] = 21,
    out: Annotated[Path | None, typer.Option(help="File for the last line")] = None,
) -> None:
    """Walk forward over recorded bars and say whether there is an edge."""
    from models.study import Plan, Study
    from models.train import RECIPES

    if algo not in RECIPES:
        raise typer.BadParameter(f"{algo}: {', '.join(RECIPES)}")
    known = read_bars(bars)
    leaks = proves_honest(known, spread_bps, session_days)
    if leaks:
        raise FixSetup(str(bars), f"looks ahead: {leaks}", "Mend models/history.py")
    tape = tape_of(known, spread_bps, session_days)
    bars_a_day = round(len(tape) / len(np.unique(tape.session)))
    plan = Plan(
        name=bars.stem,
        configuration=f"{algo} {steps} steps",
        costs=Costs(),
        seeds=seeds,
        folds=folds,
        embargo=2 * session_days * bars_a_day,
        first_share=0.5,
        episode_bars=21 * bars_a_day,
        bars_a_day=bars_a_day,
        bars_a_year=252.0 * bars_a_day,
    )
    recipe = replace(RECIPES[algo], steps=steps)
    found = Study(tape, recipe, plan, _ROOT / "studies", _told.print).run()
    _told.print(found.evidence.verdict)
    _end({"bars": bars.stem, "algorithm": algo, **_readable(asdict(found))}, out)


@app.command()
def demo(
    seeds: Annotated[int, typer.Option(help="Agents of the model", min=1)] = 5,
    steps: Annotated[int, typer.Option(help="Decisions each", min=1)] = 300_000,
    name: Annotated[str, typer.Option(help="Model in the registry")] = "trader",
    registry: _RegistryOption = _REGISTRY,
) -> None:
    """Train a small model on a simulated market and let it serve, labelled as such."""
    from models.demo_market import demo_tape, recipe
    from models.environment import Rules
    from models.planted import DAY_BARS, hidden
    from models.planted_table import leaks_of
    from models.publish import Origin, publish
    from models.registry import Registry
    from models.tape import stretches
    from models.train import Lesson

    tape = demo_tape()
    kept = Registry(registry, name)
    origin = Origin(
        name=name,
        algorithm="maskable-ppo",
        data=f"python -m models demo --seeds {seeds} --steps {steps}",
        is_simulated=True,
        trials=seeds,
        seeds=list(range(seeds)),
        evidence={},
        is_leak_free=not leaks_of(hidden()),
    )
    lesson = Lesson(tape, stretches(tape, DAY_BARS), Rules())
    now = datetime.now(UTC)
    version = publish(kept, lesson, recipe(steps), origin, now, _told.print)
    kept.promote(version, now)
    _end({"name": name, "version": version, "label": kept.load(version).card.label})


def _readable(value: object) -> Any:  # noqa: ANN401
    """Return figures as JSON can hold them: NaN as null, keys as text."""
    if isinstance(value, dict):
        return {str(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _end(last: dict[str, Any], out: Path | None = None) -> None:
    line = json.dumps(_readable(last))
    if out is not None:
        out.write_text(line + "\n", encoding="utf-8")
    typer.echo(line)


if __name__ == "__main__":
    try:
        app()
    except FixSetup as error:
        _told.print(str(error))
        raise SystemExit(3) from error
