"""``python -m infra.local.kinesis``: run the emulator until it is told to stop."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from conf import logs
from conf.errors import FixSetup
from infra.local.kinesis.limits import UNLIMITED, Limits
from infra.local.kinesis.server import Options, run

EXIT_FIX_SETUP = 3


def main(
    data: Annotated[Path, Option(help="Folder of the database; made if missing.")],
    host: Annotated[str, Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65_535, help="0: any free port.")] = 4567,
    duplicate_rate: Annotated[
        float,
        Option(min=0, max=1, help="Share of entries stored but answered as failed."),
    ] = 0,
    seed: Annotated[int, Option(help="Seed that chooses what faults strike.")] = 0,
    limits: Annotated[
        bool, Option("--limits/--no-limits", help="AWS's limits of each shard.")
    ] = True,
) -> None:
    """Run a local Amazon Kinesis Data Streams."""
    logs.configure("kinesis")
    options = Options(
        host=host,
        port=port,
        folder=data,
        limits=Limits() if limits else UNLIMITED,
        duplicate_rate=duplicate_rate,
        seed=seed,
    )
    try:
        run(options)
    except FixSetup as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_FIX_SETUP) from error


if __name__ == "__main__":
    typer.run(main)
