"""What the documents say must be what the code does."""

import re
import tomllib

import duckdb
import pytest
import typer

from conf.lake.create import ensure_tables
from conf.lake.read import connect
from conf.lake.tables import TABLES
from conf.loading import fields
from conf.settings import ROOT, Settings, variable
from infra.__main__ import app
from infra.reference import PAGES

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LATER = "(planned)"


def section(title: str) -> str:
    """Return the text of one README section, up to the next heading."""
    return re.split(r"^##+ ", README.partition(f" {title}\n")[2], flags=re.M)[0]


def make_targets() -> dict[str, str]:
    """Return the recipe of each documented make target."""
    rules = re.findall(r"^([a-z0-9]+):.*##.*\n((?:\t.*\n)*)", MAKEFILE, flags=re.M)
    return dict(rules)


def commands() -> dict[str, set[str]]:
    """Return the options of each command of ``python -m infra``."""
    group = typer.main.get_group(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in group.commands.items()
    }


@pytest.mark.parametrize("path", PAGES)
def test_a_generated_page_is_current(path: str):
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path](), "run `make docs`"


def test_every_setting_is_in_the_template_and_in_the_reference():
    template = (ROOT / ".env.example").read_text(encoding="utf-8")
    reference = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    for key in fields(Settings):
        assert f"# {variable(key)}=" in template
        assert f"| `{key}` |" in reference


def test_every_table_is_in_the_reference():
    reference = (ROOT / "docs/reference/tables.md").read_text(encoding="utf-8")
    for table in TABLES.values():
        assert f"## {table.name}\n" in reference
        assert all(f"| `{name}` |" in reference for name in table.column_names)


def test_the_readme_lists_the_make_targets_in_their_order():
    listed = re.findall(r"^\| `make ([a-z0-9]+)`", section("Commands"), flags=re.M)
    assert listed == list(make_targets())


def test_every_command_has_a_make_target_and_the_other_way_round():
    run_by_make = re.findall(r"\$\(INFRA\) ([a-z]+)", MAKEFILE)
    assert set(run_by_make) == set(commands())


def test_the_variables_of_make_are_options_of_their_command():
    for name, recipe in make_targets().items():
        flags = re.findall(r"\$\(call flag,([A-Z]+),([a-z]+)\)", recipe)
        for variable_name, flag in flags:
            if "$(INFRA)" in recipe:
                assert f"--{flag}" in commands()[name]
            assert re.search(rf"\b{variable_name}=", section("Commands"))


def test_the_brief_s_file_names_lead_to_files_that_exist():
    rows = re.findall(
        r"^\| `.*\| (.*) \|$", section("The brief's file names and ours"), re.M
    )
    assert len(rows) == 17
    for row in rows:
        paths = re.findall(r"`([a-z_/A-Z]+\.\w+)`", row)
        exist = [(ROOT / path).exists() for path in paths]
        assert not any(exist) if LATER in row else all(exist), row


def test_the_rooms_are_the_folders():
    named = re.findall(r"^\| (`.*?/`(?: `.*?/`)*) \|", section("The rooms"), flags=re.M)
    rooms = {path.rstrip("/") for row in named for path in re.findall(r"`(.*?)`", row)}
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms == folders | {"dashboard", "tests", "docs", "var"}


def test_every_decision_is_in_the_list():
    listed = re.findall(
        r"\]\((\d{4}-.*\.md)\)", (ROOT / "docs/adr/README.md").read_text()
    )
    assert listed == sorted(path.name for path in ROOT.glob("docs/adr/0*.md"))


def test_the_changelog_knows_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^## (\S+)", changelog, flags=re.M)[:2]
    assert (first, second) == ("Unreleased", PROJECT["version"])


def test_links_between_documents_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.fixture(scope="module")
def empty_lake(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    root = str(tmp_path_factory.mktemp("lake"))
    ensure_tables(root, TABLES.values())
    return connect(root)


def documented_sql() -> list[str]:
    guide = (ROOT / "docs/how-to/ask-the-lake.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sql\n(.*?)```", guide, flags=re.S)
    return [s for block in blocks for s in block.split(";") if s.strip()]


@pytest.mark.parametrize("statement", documented_sql())
def test_documented_sql_runs(empty_lake: duckdb.DuckDBPyConnection, statement: str):
    assert empty_lake.sql(statement).fetchall() == []
