"""The agent's command line: ``python -m models``."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conf.settings import ROOT
from models.planted_table import QUICK_ROWS, broken, markets

app = typer.Typer(no_args_is_help=True, add_completion=False)
_NOTES = ROOT / "var" / "models" / "planted"
QUICK_STEPS = 200_000
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
    last = json.dumps({"algorithm": algo, **table, "broken": failed})
    if out is not None:
        out.write_text(last + "\n", encoding="utf-8")
    typer.echo(last)
    raise typer.Exit(1 if failed else 0)


if __name__ == "__main__":
    app()
