"""The DuckDB shell: every table of the lake is a view ``layer.table``, newest rows."""

import json
import readline  # noqa: F401 (gives input() a history)
import sys
from collections.abc import Iterator

import duckdb
import typer

from conf.lake.read import connect, refresh

_GREETING = (
    "One statement ends with `;`. Ctrl-D leaves. SHOW ALL TABLES; lists the lake."
)


def run_statement(root: str, statement: str, *, as_json: bool = False) -> int:
    """Print the rows of one statement, as a table or as one JSON array.

    Returns the exit code: 1, and the reason on stderr, if DuckDB refuses it.
    """
    with connect(root) as lake:
        try:
            _show(lake, statement, as_json=as_json)
        except duckdb.Error as error:
            typer.echo(f"error: {error}", err=True)
            return 1
    return 0


def run_shell(root: str) -> None:
    """Answer statements from standard input until it ends; errors are only printed."""
    typer.echo(_GREETING, err=True)
    with connect(root) as lake:
        for statement in _statements():
            refresh(lake, root)
            try:
                _show(lake, statement)
            except duckdb.Error as error:
                typer.echo(error, err=True)


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
