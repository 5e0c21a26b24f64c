"""The command line: ``python -m producer``: the feed into Kinesis, and looks at it.

Each command takes ``--json``: its last line is then one JSON object. Logs are on
standard error. Bodies are imported when they are called, so that help answers at once.

Exit codes: 0 done; 1 done, with a problem that was said (messages unsent, a lack that
the doctor found, holes in a recording, records that are none of ours); 2 wrong usage,
or keys that the server refuses; 3 something else a person must change (one line says
what).
"""

import asyncio
import signal
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from conf import logs
from conf.errors import FixSetup
from conf.settings import Settings, load
from producer.reactions import AuthFailed

EXIT_PROBLEM, EXIT_REFUSED_KEYS, EXIT_FIX_SETUP = 1, 2, 3

app = typer.Typer(
    name="python -m producer",
    help="Alpaca's feed, or the simulator's, into Kinesis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]
Seconds = Annotated[
    float | None, typer.Option(min=0.1, help="Stop after so long; else by Ctrl-C.")
]


@app.callback()
def read_settings(
    context: typer.Context,
    *,
    profile: Annotated[
        str | None,
        typer.Option(metavar="local|small|aws", help="Names conf/<profile>.toml"),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.NAME=VALUE", help="Any setting."),
    ] = None,
) -> None:
    """Read the settings."""
    pairs = (pair.partition("=")[::2] for pair in given or [])
    flags = {key.replace(".", "__"): value for key, value in pairs}
    settings = load(profile=profile, **flags)
    logs.configure("producer", level=settings.log_level)
    context.obj = settings


@app.command()
def run(context: typer.Context, *, as_json: Json = False) -> None:
    """Send the feed to Kinesis until Ctrl-C or SIGTERM, then drain.

    The state of each second is in var/run/producer.json; --json prints the last one.
    """
    from producer.main import produce

    settings: Settings = context.obj
    code = asyncio.run(produce(settings))
    if as_json:
        path = settings.var / "run" / "producer.json"
        state = path.read_bytes() if path.exists() else b"{}"
        typer.echo(msgspec.json.format(state, indent=0))
    raise typer.Exit(code)


@app.command()
def doctor(
    context: typer.Context,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Listen to FAKEPACA on /v2/test, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what the producer needs and lacks: keys, plan, clock, stream, disk."""
    from producer import doctor as feed

    settings: Settings = context.obj
    findings, sample = feed.examine(settings), None
    if live:
        finding, sample = asyncio.run(feed.live(settings.alpaca))
        findings.append(finding)
    lacks = [finding.name for finding in findings if finding.state == "missing"]
    if as_json:
        _print_json({"findings": findings, "lacks": lacks, "live": sample})
    else:
        for finding in findings:
            typer.echo(finding)
    raise typer.Exit(EXIT_PROBLEM if lacks else 0)


@app.command()
def tail(
    context: typer.Context,
    *,
    shard: Annotated[
        list[str] | None, typer.Option(help="Its id; repeatable. All if left out.")
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="trim_horizon|latest|TIME", help="TIME is RFC 3339."
        ),
    ] = "latest",
    limit: Annotated[int, typer.Option(min=1, help="Records in all.")] = 100,
    wait: Annotated[
        float, typer.Option(min=0, help="End when nothing came for so many seconds.")
    ] = 10.0,
    heads: Annotated[
        bool, typer.Option("--heads", help="The records, not their messages.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what is in the stream; reads each shard once a second.

    With --json each record is one line, and the last one counts them.
    """
    from conf.kinesis import open_client
    from producer import tail as stream
    from producer.tail_view import TailView

    try:
        begin = stream.start_at(start)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from error
    kinesis = context.obj.kinesis
    client = open_client(kinesis)
    known = stream.shards(client, kinesis)
    if unknown := sorted(set(shard or ()) - set(known)):
        raise typer.BadParameter(
            f"{unknown[0]} is none of {', '.join(known)}", param_hint="--shard"
        )
    view = TailView(typer.echo, as_json=as_json, heads=heads)
    records = stream.tail(client, kinesis, shard or known, begin, wait_s=wait)
    try:
        for seen in islice(records, limit):
            view.show(seen)
    except KeyboardInterrupt:
        pass  # the usual end
    view.end()
    raise typer.Exit(EXIT_PROBLEM if view.unreadable else 0)


@app.command()
def record(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(file_okay=False, help="A new one.")],
    *,
    seconds: Seconds = None,
    as_json: Json = False,
) -> None:
    """Save the feed as a recording that the simulator can replay, until Ctrl-C."""
    from producer.recorder import Recorder, Session

    async def until_stopped() -> Session:
        recorder, stop = Recorder(context.obj.alpaca, folder), asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop.set)
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        return await recorder.run(stop)

    session = asyncio.run(until_stopped())
    if as_json:
        _print_json(session)
    else:
        typer.echo(
            f"{session.messages:,} messages in {len(session.files)} files of {folder}"
        )
        for hole in session.interruptions:
            typer.echo(f"nothing came from {hole.start} to {hole.end}: {hole.cause}")
    raise typer.Exit(0 if session.is_whole else EXIT_PROBLEM)


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.encode(value).decode())


def main() -> int:
    """Return the process's exit code; an error that a person must mend is one line."""
    try:
        app()
    except FixSetup as error:
        typer.echo(f"error: {error}", err=True)
        is_refused = isinstance(error, AuthFailed)
        return EXIT_REFUSED_KEYS if is_refused else EXIT_FIX_SETUP
    return 0


if __name__ == "__main__":
    sys.exit(main())
