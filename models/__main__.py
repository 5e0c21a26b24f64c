"""The agent's command line: ``python -m models``."""

import os
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from conf.errors import FixSetup
from conf.lake.roots import absolute
from conf.settings import ROOT, load
from models.planted_table import QUICK_ROWS, broken, markets
from models.records import as_json, record_backtest
from models.watch import Watch
from models.workers import Workers

if TYPE_CHECKING:
    from models.registry import Registry

app = typer.Typer(no_args_is_help=True, add_completion=False)
_ROOT = ROOT / "var" / "models"
_NOTES = _ROOT / "planted"
ALGORITHMS = ("maskable-ppo", "ppo", "dqn", "qr-dqn")
QUICK_STEPS = 200_000
_NEEDED = ("torch", "stable_baselines3", "sb3_contrib", "optuna", "tensorboard")
_AsOf = Annotated[
    str, typer.Option(help="Time, pin or table@version; by default the newest")
]
_LakeOption = Annotated[
    str, typer.Option(help="URI or folder; by default lake.root of the settings")
]
_RegistryOption = Annotated[
    str, typer.Option(help="URI or folder of the models; by default agent.registry")
]
_Processes = Annotated[
    int, typer.Option(help="Trainings at the same time; by default one a core", min=1)
]
_CORES = os.cpu_count() or 1
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
    processes: _Processes = _CORES,
) -> None:
    """Train where the best policy is known; the last line is one JSON object."""
    _require_known(algo)
    _require_the_group()
    from models.planted_suite import NOISE_SETS, Suite
    from models.train import RECIPES

    chosen = tuple(only.split(",")) if only else QUICK_ROWS if quick else (*markets(),)
    unknown = set(chosen) - set(markets())
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: {', '.join(markets())}"
        )
    notes = _NOTES / algo
    if fresh and notes.exists():
        rmtree(notes)
    recipe = RECIPES[algo]
    if quick:
        recipe = replace(recipe, steps=min(recipe.steps, QUICK_STEPS))
    workers = Workers(Watch(_told), processes)
    suite = Suite(recipe, seeds, notes, workers)
    table = suite.run(chosen, noise_sets=0 if quick else NOISE_SETS)
    failed = broken(table)
    for line in failed:
        _told.print(f"broken: {line}")
    _end({"algorithm": algo, **table, "broken": failed}, out)
    raise typer.Exit(1 if failed else 0)


@app.command()
def train(
    bars: Annotated[
        Path | None, typer.Option(help="Parquet file of one symbol's bars")
    ] = None,
    lake: _LakeOption = "",
    symbol: Annotated[str, typer.Option(help="Of the lake")] = "AAPL",
    as_of: _AsOf = "",
    algo: Annotated[str, typer.Option(help="maskable-ppo, ppo, dqn, qr-dqn")] = (
        "maskable-ppo"
    ),
    seeds: Annotated[int, typer.Option(help="Trainings per fold", min=1)] = 10,
    folds: Annotated[int, typer.Option(help="Tests, walking forward", min=2)] = 4,
    steps: Annotated[
        int | None, typer.Option(help="Decisions each; else the algorithm's", min=1)
    ] = None,
    spread_bps: Annotated[float, typer.Option(help="At the next open", min=0)] = 4.0,
    session_days: Annotated[
        int, typer.Option(help="Days that the indicators take for one session", min=1)
    ] = 21,
    search: Annotated[
        int, typer.Option(help="Settings to try first with Optuna; all count", min=0)
    ] = 0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Add the model to the registry")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train again; trials still count")
    ] = False,
    registry: _RegistryOption = "",
    tensorboard: Annotated[
        str, typer.Option(help="Folder of TensorBoard's files; empty: none")
    ] = str(_ROOT / "tensorboard"),
    processes: _Processes = _CORES,
    out: Annotated[Path | None, typer.Option(help="File for the last line")] = None,
) -> None:
    """Walk forward over recorded bars or the lake and say whether there is an edge."""
    from models.history import study_of_bars
    from models.lake_study import study_of_lake

    _require_known(algo)
    if bars is not None:
        data = study_of_bars(bars, spread_bps, session_days)
    else:
        data = study_of_lake(_lake(lake), symbol, as_of, spread_bps)
    # What there is to learn from is told before torch is asked for.
    _require_the_group()
    from models.course import Course, run

    places = _lake(lake), _registry(registry), _ROOT / "studies"
    course = Course(algo, steps, seeds, folds, search, keep, *places, processes, fresh)
    folder = Path(tensorboard) if tensorboard else None
    _end(run(data, course, Watch(_told, folder)), out)


@app.command()
def backtest(
    lake: _LakeOption = "",
    model: Annotated[
        str, typer.Option(help="Version, or challenger; by default the champion")
    ] = "",
    as_of: _AsOf = "",
    symbols: Annotated[str, typer.Option(help="By commas; by default all")] = "",
    first: Annotated[
        datetime | None, typer.Option(help="UTC day; by default the lake's newest")
    ] = None,
    last: Annotated[datetime | None, typer.Option(help="UTC day, inclusive")] = None,
    registry: _RegistryOption = "",
    pin_name: Annotated[
        str, typer.Option("--pin", help="Keep the versions readable by this name")
    ] = "",
    history_spread_bps: Annotated[
        float | None, typer.Option(help="Trade loaded history too, with this spread")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the last line")] = None,
) -> None:
    """Play a model over a version of the lake, beside its rivals and hindsight."""
    from conf.lake.manifest import pin, tie
    from models.backtest import backtest as play_back
    from models.backtest import summary
    from models.lake_rows import newest_day
    from models.lake_tape import Span
    from models.serving import champion_of, find_version

    lake, registry = _lake(lake), _registry(registry)
    chosen = find_version(registry, model) if model else champion_of(registry)
    manifest = tie(lake, as_of or None)
    if pin_name:
        pin(lake, pin_name, reason=f"backtest of {chosen.version}", cut=manifest)
    given = [day.date() for day in (first or last, last or first) if day]
    days = given or [newest_day(lake, manifest)] * 2
    span = Span([name for name in symbols.split(",") if name], *days)
    found = play_back(lake, manifest, chosen, span, history_spread_bps)
    _told.print(found.label or f"model {found.model_version}")
    if found.in_sample_share:
        _told.print(
            f"warning: the model learnt from {found.in_sample_share:.0%} of these "
            "bars: figures of them are in sample and show no skill"
        )
    told = {"mean": summary(found.figures), **asdict(found)}
    record_backtest(lake, found, span, history_spread_bps, datetime.now(UTC))
    _end(told | {"result_sha256": found.result_sha256}, out)


@app.command()
def replay(
    signal_id: Annotated[
        str, typer.Argument(help="<symbol>/<window_start>/<model_version>")
    ] = "",
    lake: _LakeOption = "",
    registry: _RegistryOption = "",
    sample: Annotated[
        int, typer.Option(help="Without an id: so many random signals", min=1)
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of the sample")] = 0,
) -> None:
    """Derive signals again from the tables as known then; every byte must be equal."""
    from models.replay import Replay

    again = Replay(_lake(lake), _registry(registry))
    ids = [signal_id] if signal_id else again.sample(sample, seed)
    found = [again.replay(name) for name in ids]
    broken_ones = [one for one in found if not one.is_identical]
    for one in broken_ones:
        _told.print(f"{one.signal_id}: {one.differences}")
    last: dict[str, Any] = {"replayed": len(found), "identical": not broken_ones}
    if signal_id:
        last |= asdict(found[0]) | {"differences": str(found[0].differences)}
    _end(last)
    raise typer.Exit(1 if broken_ones or not found else 0)


@app.command()
def demo(
    seeds: Annotated[int, typer.Option(help="Agents of the model", min=1)] = 5,
    steps: Annotated[int, typer.Option(help="Decisions each", min=1)] = 300_000,
    name: Annotated[str, typer.Option(help="Model in the registry")] = "trader",
    registry: _RegistryOption = "",
    processes: _Processes = _CORES,
) -> None:
    """Train a small model on a simulated market and let it serve, labelled as such."""
    _require_the_group()
    from models.demo_market import demo_tape, recipe
    from models.environment import Rules
    from models.planted import DAY_BARS, hidden
    from models.planted_table import leaks_of
    from models.publish import Origin, publish
    from models.registry import Registry
    from models.tape import stretches
    from models.train import Lesson

    tape = demo_tape()
    kept = Registry(_registry(registry), name)
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
    workers = Workers(Watch(_told), processes)
    version = publish(kept, lesson, recipe(steps), origin, now, workers)
    kept.promote(version, now)
    _end({"name": name, "version": version, "label": kept.load(version).card.label})


@app.command()
def models(registry: _RegistryOption = "") -> None:
    """List the versions, newest last, who is champion, and the last promotions."""
    from models.listing import listing

    for line in listing(_kept(registry)):
        typer.echo(line)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="As `models` lists it")],
    registry: _RegistryOption = "",
) -> None:
    """Make a version champion, if the gate lets it pass."""
    kept = _kept(registry)
    kept.promote(version, datetime.now(UTC))
    _end({"champion": version, "reason": kept.roles().promotions[-1].reason})


@app.command()
def roll_back(
    reason: Annotated[str, typer.Option(help="Kept with the promotion")],
    registry: _RegistryOption = "",
) -> None:
    """Make the champion before this one champion again; the gate is not asked."""
    kept = _kept(registry)
    version = kept.roll_back(datetime.now(UTC), reason)
    _end({"champion": version, "reason": kept.roles().promotions[-1].reason})


def _kept(registry: str) -> "Registry":
    from models.registry import Registry
    from models.serving import NAME

    return Registry(_registry(registry), NAME)


def _lake(given: str) -> str:
    return given or absolute(load().lake.root)


def _registry(given: str) -> str:
    return given or absolute(load().agent.registry)


def _require_known(algo: str) -> None:
    if algo not in ALGORITHMS:
        raise typer.BadParameter(f"{algo}: {', '.join(ALGORITHMS)}")


def _require_the_group() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise FixSetup(
            "training", f"{', '.join(missing)} not installed", "`uv sync --group rl`"
        )


def _end(last: dict[str, Any], out: Path | None = None) -> None:
    line = as_json(last)
    if out is not None:
        out.write_text(line + "\n", encoding="utf-8")
    typer.echo(line)


if __name__ == "__main__":
    try:
        app()
    except FixSetup as error:
        _told.print(str(error))
        raise SystemExit(3) from error
