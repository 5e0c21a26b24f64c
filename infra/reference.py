"""Pages that follow from the code: a contract test keeps them equal to it."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from api.app import create_app
from conf.lake.tables import TABLES, TableContract
from conf.loading import fields
from conf.settings import ROOT, Settings, as_text, variable
from conf.sources import FLAGS

_CONFIGURATION = """\
# Configuration

Written by `make docs` from `conf/settings.py`; do not edit.

A value comes from the strongest place that gives it: flag, environment variable,
`.env`, `conf/<profile>.toml`, default. `python -m infra config show` prints every value
and its place. An unknown key is refused, and so is a value that is not allowed.

A list is written with commas (`AAPL,MSFT`), and empty means none. A relative path is
relative to the checkout. Alpaca's keys may also be given by its own names,
`ALPACA_API_KEY` and `ALPACA_SECRET_KEY` (or the older `APCA_API_KEY_ID` and
`APCA_API_SECRET_KEY`). AWS credentials come by boto3's own chain, which sees the
`AWS_…` lines of `.env` too.
"""

_ENV_EXAMPLE = """\
# Copy to .env and uncomment what you want to change; every line shows its default.
# The profiles local and small set two of them: ALPACA__URL to the simulator and
# KINESIS__ENDPOINT_URL to the emulator (conf/<profile>.toml); a line here is stronger.
# docs/reference/configuration.md says what each one allows. Never commit .env.

# Alpaca's keys, for its own feed only: the simulator needs none.
# ALPACA_API_KEY=
# ALPACA_SECRET_KEY=

# AWS, read by boto3.
# AWS_PROFILE=
# AWS_REGION=
"""

_TABLES = """\
# Tables

Written by `make docs` from `conf/lake/tables.py`; do not edit.

Types are Arrow's. Times are UTC. A table has one writer process, which alone commits to
it and maintains it; `make sql` shows every table as a view.
"""


def write_pages(root: Path = ROOT) -> list[str]:
    """Write every page below ``root``; return their paths relative to it."""
    for path, page in PAGES.items():
        (root / path).write_text(page(), encoding="utf-8")
    return list(PAGES)


def configuration_page() -> str:
    """Return docs/reference/configuration.md."""
    sections = [_CONFIGURATION, *_section("", Settings)]
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(
            field.annotation, BaseModel
        ):
            sections += _section(name, field.annotation)
    return "\n".join(sections)


def env_example() -> str:
    """Return .env.example: every setting, commented out, with its default."""
    lines = [_ENV_EXAMPLE]
    for key, field in fields(Settings).items():
        lines += [f"# {field.description}", f"# {variable(key)}={_default(field)}", ""]
    return "\n".join(lines)


def tables_page() -> str:
    """Return docs/reference/tables.md."""
    return "\n".join([_TABLES, *(_table(table) for table in TABLES.values())])


def openapi_schema() -> str:
    """Return docs/reference/openapi.json, of which the dashboard's client is made."""
    return json.dumps(create_app(Settings()).openapi(), indent=2) + "\n"


def _section(name: str, section: type[BaseModel]) -> Iterator[str]:
    schemas = section.model_json_schema()["properties"]
    flag_of = {key: f"`--{flag}`" for flag, keys in FLAGS.items() for key in keys}
    yield f"## {name or 'General'}\n"
    if name:
        yield f"{(section.__doc__ or '').splitlines()[0]}\n"
    yield "| setting | default | allowed | meaning | variable | flag |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for field_name, field in section.model_fields.items():
        if "$ref" in schemas[field_name]:
            continue
        key = f"{name}.{field_name}" if name else field_name
        yield _row(
            f"`{key}`",
            _code(_default(field)),
            _allowed(schemas[field_name]),
            (field.description or "").replace("<", "&lt;"),
            f"`{variable(key)}`",
            flag_of.get(key, ""),
        )
    yield ""


def _default(field: FieldInfo) -> str:
    if isinstance(field.default, SecretStr):
        return field.default.get_secret_value()
    return as_text(field.default)


def _allowed(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema of one setting allows."""
    if "anyOf" in schema:
        return f"{_allowed(schema['anyOf'][0])}, or empty"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    words = [{"array": "list"}.get(schema["type"], schema["type"])]
    if "exclusiveMinimum" in schema:
        words.append(f"over {schema['exclusiveMinimum']}")
    if "minimum" in schema:
        words.append(f"at least {schema['minimum']}")
    if "maximum" in schema:
        words.append(f"at most {schema['maximum']}")
    if "pattern" in schema:
        words.append(_code(schema["pattern"]))
    return ", ".join(words)


def _table(table: TableContract) -> str:
    facts = {
        "One row is": table.grain,
        "Key": _codes(table.key),
        "Partitioned by": _codes(table.partition_by),
        "Bounded by": f"`{table.event_column}`",
        "Writer": table.writer,
        "Contract": f"version {table.version}",
    }
    columns = (
        _row(f"`{c.name}`", f"`{c.type}`", "yes" if c.nullable else "", c.meaning)
        for c in table.columns
    )
    return "\n".join(
        [
            f"## {table.name}\n",
            *(f"- {name}: {fact}" for name, fact in facts.items()),
            "\n| column | type | null | meaning |\n| --- | --- | --- | --- |",
            *columns,
            "",
        ]
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    # A bar would end the cell of a Markdown table, even inside code.
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


PAGES: dict[str, Callable[[], str]] = {
    ".env.example": env_example,
    "docs/reference/configuration.md": configuration_page,
    "docs/reference/openapi.json": openapi_schema,
    "docs/reference/tables.md": tables_page,
}
"""Path below the checkout -> what it must hold."""
