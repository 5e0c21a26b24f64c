"""The command line: ``python -m producer.simulator``, alone or beside a pipeline.

Without a command it serves until it is stopped; settings that are not given come from
the environment, see docs/reference/configuration.md. The commands speak to a simulator
that runs. Exit codes: 0 done, 1 refused by the simulator, 2 wrong usage, 3 a person
must act (one line says what).
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from conf.errors import FixSetup
from conf.logs import configure
from conf.settings import load
from producer.simulator import control
from producer.simulator.disturbances import Fault, scripted
from producer.simulator.server import serve

EXIT_REFUSED = 1
EXIT_FIX_SETUP = 3

app = typer.Typer(
    name="python -m producer.simulator",
    help="A simulated Alpaca: market data, REST history, a paper account, faults.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)

Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Of the simulator.")]


@app.callback()
def main(
    context: typer.Context,
    *,
    port: Port = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Messages a second.")] = None,
    symbols: Annotated[
        str | None, typer.Option(metavar="AAPL,MSFT", help="Symbols it knows.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, resolve_path=True, help="Recorded *.jsonl.gz."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting."),
    ] = None,
) -> None:
    """Serve until stopped, unless there is a command."""
    context.obj = port
    if context.invoked_subcommand is not None:
        return
    configure("simulator")
    given = {"port": port, "rate_per_s": rate, "symbols": symbols, "replay": replay}
    given |= _pairs(settings)
    chosen = load(**{f"simulator__{name}": value for name, value in given.items()})
    configure("simulator", level=chosen.log_level)
    asyncio.run(serve(chosen.simulator))


@app.command()
def status(context: typer.Context) -> None:
    """Show the market's clock and counts."""
    _show(context, "GET", "/sim/status")


@app.command()
def missed(context: typer.Context) -> None:
    """Show what subscribers did not get: per symbol and channel, from when to when."""
    _show(context, "GET", "/sim/missed")


@app.command()
def faults(context: typer.Context) -> None:
    """Show the faults: waiting, running and over."""
    _show(context, "GET", "/sim/faults")


@app.command()
def fault(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="cut, mute, error … see the docs page.")],
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="for_s=5 code=406 symbols=KO"),
    ] = None,
) -> None:
    """Order one fault."""
    _show(context, "POST", "/sim/faults", control.fault(kind, _pairs(given)))


@app.command()
def clear(
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(help="One of them; else all.")] = None,
) -> None:
    """End and forget faults."""
    path = "/sim/faults" if number is None else f"/sim/faults/{number}"
    _show(context, "DELETE", path)


@app.command()
def script(
    context: typer.Context,
    *,
    seed: Annotated[int, typer.Option(help="Chooses everything.")] = 7,
    count: Annotated[int, typer.Option(min=1, help="How many faults.")] = 10,
    over: Annotated[float, typer.Option(min=0, help="Within so many seconds.")] = 300,
    kinds: Annotated[
        str, typer.Option(metavar="cut,mute", help="Among these kinds.")
    ] = "cut,mute,half_open,torn_frame",
    send: Annotated[bool, typer.Option("--send", help="Order them, too.")] = False,
) -> None:
    """Make a script of faults from a seed."""
    among = control.kinds(kinds.split(","))
    made: list[Fault] = scripted(seed, count, over, among)
    if send:
        _show(context, "POST", "/sim/faults", made)
    else:
        typer.echo(control.as_text(made))


def _pairs(given: list[str] | None) -> dict[str, str]:
    return dict(each.partition("=")[::2] for each in given or [])


def _show(context: typer.Context, method: str, path: str, body: object = None) -> None:
    port = context.obj or load().simulator.port
    is_accepted, answer = control.ask(port, method, path, body)
    typer.echo(answer)
    raise typer.Exit(0 if is_accepted else EXIT_REFUSED)


def run() -> int:
    """Return the process's exit code."""
    try:
        app(standalone_mode=True)
    except FixSetup as wrong:
        typer.echo(f"error: {wrong}", err=True)
        return EXIT_FIX_SETUP
    return 0


if __name__ == "__main__":
    sys.exit(run())
