"""The DuckDB shell: every table of the lake is a view ``layer.table``.

Views show the newest rows, or those of one cut (``--as-of``).
"""

import json
import readline  # noqa: F401 (gives input() a history)
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb
import typer

from conf.lake.manifest import Manifest, tie
from conf.lake.read import connect, refresh
from conf.lake.roots import table_uri
from conf.lake.tables import TRADES

_GREETING = """\
One statement ends with `;`. Ctrl-D leaves. SHOW ALL TABLES; lists the lake.
The same rows in Python, from the checkout:
  from conf.lake.read import open_lake
  open_lake({root!r}{cut}).trades("AAPL", "{day}").pandas()
and in Spark:
  spark.read.format("delta"){version}.load("{uri}")
"""
_SHOWN = TRADES


def run_statement(
    root: str, statement: str, *, as_json: bool = False, as_of: str | None = None
) -> int:
    """Print the rows of one statement, as a table or as one JSON array.

    Args:
        root: The lake.
        statement: SQL.
        as_json: Print JSON.
        as_of: A time, a pin or versions, see ``conf.lake.manifest.tie``.

    Returns:
        The exit code: 1, and the reason on stderr, if DuckDB refuses it.
    """
    with connect(root, None if as_of is None else tie(root, as_of)) as lake:
        try:
            _show(lake, statement, as_json=as_json)
        except duckdb.Error as error:
            typer.echo(f"error: {error}", err=True)
            return 1
    return 0


def run_shell(root: str, as_of: str | None = None) -> None:
    """Answer statements from standard input until it ends; errors are only printed.

    Args:
        root: The lake.
        as_of: See ``run_statement``.
    """
    manifest = None if as_of is None else tie(root, as_of)
    typer.echo(greeting(root, as_of, manifest), err=True)
    with connect(root, manifest) as lake:
        for statement in _statements():
            if manifest is None:
                refresh(lake, root)
            try:
                _show(lake, statement)
            except duckdb.Error as error:
                typer.echo(error, err=True)


def greeting(root: str, as_of: str | None, manifest: Manifest | None) -> str:
    """Return how to leave, and how to have the same rows in pandas and Spark."""
    version = manifest and manifest.versions.get(_SHOWN.name)
    return _GREETING.format(
        root=root,
        cut="" if as_of is None else f", {as_of!r}",
        day=(manifest.as_of if manifest else datetime.now(UTC)).date(),
        version="" if version is None else f'.option("versionAsOf", {version})',
        uri=table_uri(root, _SHOWN),
    )


def _show(
    lake: duckdb.DuckDBPyConnection, statement: str, *, as_json: bool = False
) -> None:
    rows = lake.sql(statement)
    if rows is None:
        return  # a statement without rows, such as SET
    if as_json:
        typer.echo(json.dumps(rows.to_arrow_table().to_pylist(), default=str))
    else:
        typer.echo(rows)


def _statements() -> Iterator[str]:
    """Yield what stands before each line that ends with a semicolon, and the rest."""
    lines: list[str] = []
    while (line := _read_line("      ...> " if lines else "tickhouse> ")) is not None:
        lines.append(line)
        if line.rstrip().endswith(";"):
            yield "\n".join(lines)
            lines.clear()
    if lines:
        yield "\n".join(lines)


def _read_line(prompt: str) -> str | None:
    try:
        return input(prompt if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        return None
