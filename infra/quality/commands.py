"""``python -m infra quality`` and ``python -m infra rejects``: parsing and printing."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from conf import logs
from conf.settings import Settings, load

if TYPE_CHECKING:
    from infra.quality.results import Verdict

quality = typer.Typer(
    help="Whether the tables hold what they promise.", no_args_is_help=True
)
rejects = typer.Typer(help="Messages that could not be accepted.", no_args_is_help=True)
Everything = Annotated[
    bool, typer.Option("--all", help="All rows; else those since the last results.")
]
Profile = Annotated[
    str | None, typer.Option(metavar="local|small|aws", help="conf/<profile>.toml")
]


@quality.command()
def run(*, everything: Everything = False, profile: Profile = None) -> None:
    """Validate each table; exit code 1 if a rule is broken."""
    from infra.quality import runner

    settings = _settings(profile)
    verdicts, is_written = runner.run_once(settings, everything=everything)
    _print(verdicts)
    if not verdicts:
        typer.echo("nothing is new since the last results; --all looks at everything")
    if not is_written:
        typer.echo("not written to quality.results: the pipeline's own run does that")
    raise typer.Exit(1 if any(verdict.is_critical for verdict in verdicts) else 0)


@quality.command()
def docs(*, everything: Everything = False, profile: Profile = None) -> None:
    """Validate each table, write the Data Docs, and print where they are."""
    from infra.quality import runner

    settings = _settings(profile)
    runner.run_once(settings, everything=everything)
    index = settings.data_docs / "index.html"
    typer.echo(index if index.exists() else "nothing is validated yet: --all")


@rejects.command()
def replay(
    *,
    reason: Annotated[
        str | None, typer.Option(help="Only those whose reason holds this text.")
    ] = None,
    profile: Profile = None,
) -> None:
    """Judge rejects again by the rules of today; the pipeline must not run.

    What is accepted now is added to its table, each event once however often this is
    run. The reject stays, as a fact of its time.
    """
    from silver import replay as rejected

    for told, counted in rejected.replay(_settings(profile), reason).items():
        typer.echo(f"{counted:>10,} {told}")


def _print(verdicts: "list[Verdict]") -> None:
    table = Table("suite", "versions", "rows", "rules", "verdict", "note")
    for verdict in verdicts:
        rows = max(finding.rows_checked for finding in verdict.findings)
        span = "" if verdict.version is None else f"{verdict.after}..{verdict.version}"
        table.add_row(
            verdict.suite,
            span,
            f"{rows:,}",
            str(len(verdict.findings)),
            _state(verdict),
            verdict.note,
        )
    console = Console()
    if verdicts:
        console.print(table)
    for verdict in verdicts:
        for finding in verdict.failed:
            failed = finding.rows_failed
            share = "" if failed is None else f"{failed:,} of "
            console.print(
                f"{finding.severity}: {verdict.suite}: {finding.rule}: "
                f"{share}{finding.rows_checked:,} rows",
                finding.error or finding.examples or "",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )


def _state(verdict: "Verdict") -> str:
    if verdict.is_critical:
        return f"[red]{len(verdict.failed)} failed[/red]"
    return "[yellow]warning[/yellow]" if verdict.failed else "ok"


def _settings(profile: str | None) -> Settings:
    settings = load(profile=profile)
    logs.configure("infra", level=settings.log_level)
    return settings
