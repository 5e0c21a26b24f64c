"""The command line: ``python -m infra``; each `make` target is one line of it.

It parses, loads the settings and hands over. Bodies are imported when they are called,
so that help and completion answer at once.

Exit codes: 0 done, 1 a bound or a check failed, 2 wrong usage, 3 something on this
machine or in the settings must be mended first (one line says what).
"""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from conf import logs
from conf.errors import FixSetup
from conf.settings import Settings, explain, load
from infra.quality.commands import quality, rejects

app = typer.Typer(
    name="python -m infra",
    help="Tickhouse: live US-equity ticks to gold tables, on one machine or on AWS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
config = typer.Typer(help="What was chosen, and where.", no_args_is_help=True)
app.add_typer(config, name="config")
app.add_typer(quality, name="quality")
app.add_typer(rejects, name="rejects")

Rate = Annotated[int | None, typer.Option(min=1, help="Messages per second.")]
Symbols = Annotated[str | None, typer.Option(metavar="AAPL,MSFT", help="Symbols.")]
Feed = Annotated[str | None, typer.Option(metavar="iex|sip|test", help="Feed.")]
Replay = Annotated[
    Path | None,
    typer.Option(
        exists=True, file_okay=False, resolve_path=True, help="Recorded *.jsonl.gz."
    ),
]
Speed = Annotated[float | None, typer.Option(help="Replay speed; 1 is real time.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Of the page.")]
Profile = Annotated[
    str | None,
    typer.Option(metavar="local|small|aws", help="Names conf/<profile>.toml"),
]
Engine = Annotated[
    str | None, typer.Option(metavar="embedded|spark", help="Who commits silver, gold.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Seconds = Annotated[int, typer.Option(min=1, help="How long the market runs.")]
Out = Annotated[
    Path | None, typer.Option(dir_okay=False, help="Write the JSON here too.")
]


@app.command()
def run(
    *,
    rate: Rate = None,
    symbols: Symbols = None,
    replay: Replay = None,
    speed: Speed = None,
    port: Port = None,
    profile: Profile = None,
) -> None:
    """Run the whole pipeline on the simulator until Ctrl-C."""
    from infra.local import run as supervisor

    settings = _settings(
        rate=rate,
        symbols=symbols,
        replay=replay,
        speed=speed,
        port=port,
        profile=profile,
    )
    raise typer.Exit(supervisor.run(settings))


@app.command()
def smoke(
    *,
    seconds: Seconds = 300,
    rate: Annotated[int, typer.Option(min=1, help="Messages per second.")] = 4096,
    symbols: Symbols = None,
    feed: Feed = None,
    replay: Replay = None,
    speed: Speed = None,
    engine: Engine = None,
    profile: Profile = None,
    page: Annotated[
        bool, typer.Option("--page", help="Hold the page open in Chromium.")
    ] = False,
    out: Out = None,
) -> None:
    """Run the pipeline, drain it, compare every row with the truth.

    The last line is one JSON object; its `broken` lists the bounds that did not hold.
    """
    from infra.local import smoke as experiment

    settings = _settings(
        rate=rate,
        symbols=symbols,
        feed=feed,
        replay=replay,
        speed=speed,
        engine=engine,
        profile=profile,
    )
    result = experiment.smoke(settings, seconds=seconds, rate=rate, with_page=page)
    _print_json(result, out)
    raise typer.Exit(1 if result["broken"] else 0)


@app.command()
def faults(
    *,
    seed: Annotated[int, typer.Option(help="Same seed, same faults.")] = 7,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Only this fault; repeatable."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folders.")] = False,
    out: Out = None,
) -> None:
    """Let everything go wrong, one after the other; then judge every row.

    The last line is one JSON object; its `broken` lists the bounds that did not hold.
    """
    from infra.local.campaign import run as campaign

    result = campaign.run(_settings(), seed=seed, only=only, keep=keep)
    _print_json(result, out)
    raise typer.Exit(1 if result["broken"] else 0)


@app.command()
def bench(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            resolve_path=True,
            help="Recorded *.jsonl.gz instead of the simulated market.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same recording.")] = 7,
    quick: Annotated[
        bool, typer.Option("--quick", help="A minute, without the Spark rivals.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Only this one; repeatable."),
    ] = None,
    out: Out = None,
) -> None:
    """Run this pipeline and what one would pick instead on one recording.

    Each is killed once, and no speed is told without what it lost, doubled or altered.
    The last line is one JSON object; its `broken` says what this pipeline did wrong.
    """
    from infra.local.bench import run as benchmark

    plan = benchmark.QUICK if quick else benchmark.FULL
    plan = plan.only(only) if only else plan
    result = benchmark.bench(_settings(), plan, typer.echo, data=data, seed=seed)
    _print_json(result, out)
    raise typer.Exit(1 if result["broken"] else 0)


@app.command()
def status(*, profile: Profile = None, as_json: Json = False) -> None:
    """Show what runs, its rates, lag and disk."""
    from infra.local import run as supervisor
    from infra.local import state, view

    settings = _settings(profile=profile)
    found = supervisor.status(settings)
    if as_json:
        _print_json(found)
    else:
        logs_folder = state.log_file(settings, "any").parent
        Console().print(view.draw(found, logs_folder, settings.storage))


@app.command()
def stop(*, profile: Profile = None) -> None:
    """Drain the running pipeline and end it."""
    from infra.local import run as supervisor

    supervisor.stop(_settings(profile=profile))


@app.command()
def reset(
    *,
    profile: Profile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the local lake, stream, checkpoints and logs. Jars stay."""
    from infra.local import run as supervisor

    settings = _settings(profile=profile)
    if not yes:
        typer.confirm(f"Delete everything in {settings.var} but the jars?", abort=True)
    supervisor.reset(settings)


@app.command()
def doctor(
    *,
    profile: Profile = None,
    as_json: Json = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Only say what is missing.")
    ] = False,
) -> None:
    """Say what this machine has and lacks, each lack with the line that mends it."""
    from infra import doctor as machine

    settings = _settings(profile=profile)
    findings = machine.examine(settings)
    if as_json:
        _print_json(findings)
    elif not quiet:
        for finding in findings:
            typer.echo(finding)
    machine.require(findings)


@app.command()
def sql(
    *,
    statement: Annotated[
        str | None, typer.Option("--command", "-c", help="One statement; else a shell.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(help="A time, a pin, or silver.trades@41; else the newest rows."),
    ] = None,
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Ask the lake in SQL (DuckDB); every table is a view such as silver.trades."""
    from infra import sql as duck

    root = _settings(profile=profile).lake.root
    if statement is None:
        duck.run_shell(root, as_of)
    else:
        done = duck.run_statement(root, statement, as_json=as_json, as_of=as_of)
        raise typer.Exit(done)


@app.command()
def evidence(
    issue: Annotated[str, typer.Argument(help="Name of an issue, such as main-job.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this run; repeatable.")
    ] = None,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Also what is measured already.")
    ] = False,
) -> None:
    """Measure an issue's bounds, one after another; goes on where it stopped."""
    from infra import evidence as measurements

    raise typer.Exit(0 if measurements.run(issue, only=only, again=again) else 1)


@config.command()
def show(*, profile: Profile = None, as_json: Json = False) -> None:
    """Show every setting with its value and where it came from."""
    rows = explain(profile=profile)
    if as_json:
        _print_json({key: {"value": v, "origin": o} for key, v, o in rows})
    else:
        for key, value, origin in rows:
            typer.echo(f"{key:<30} {value or '-'}  [{origin}]")


@config.command()
def docs() -> None:
    """Write the pages that follow from the code: .env.example, docs/reference."""
    from infra import reference

    for path in reference.write_pages():
        typer.echo(path)


def _settings(**flags: object) -> Settings:
    settings = load(**flags)
    logs.configure("infra", level=settings.log_level)
    return settings


def _print_json(value: object, out: Path | None = None) -> None:
    text = msgspec.json.encode(value).decode()
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    typer.echo(text)


def main() -> None:
    """Run the command line; an error that a person must mend is one line."""
    try:
        app()
    except FixSetup as error:
        for line in (str(error), *getattr(error, "__notes__", [])):
            typer.echo(f"error: {line}", err=True)
        sys.exit(3)


if __name__ == "__main__":
    main()
