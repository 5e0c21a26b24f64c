"""`make sql` as of a version, and the snippets that it prints."""

import json
from pathlib import Path

import pytest

from conf.errors import FixSetup
from conf.lake.manifest import pin, tie
from conf.lake.read import open_lake
from conf.lake.tables import TRADES
from infra import sql
from tests.integration.research.lakes import OPEN, row, write

COUNT = "SELECT count(*) AS n FROM silver.trades"


@pytest.fixture
def root(tmp_path: Path) -> str:
    for trade_id in (1, 2, 3):
        write(tmp_path, TRADES, row(TRADES, OPEN, trade_id=trade_id))
    return str(tmp_path)


def test_one_statement_as_of_a_version_a_pin_and_now(
    root: str, capsys: pytest.CaptureFixture[str]
):
    pin(root, "study", reason="a test", cut={"silver.trades": 2})
    for as_of in ("silver.trades@1", "study", None):
        assert sql.run_statement(root, COUNT, as_json=True, as_of=as_of) == 0

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert answers == [[{"n": 1}], [{"n": 2}], [{"n": 3}]]


def test_a_cut_that_means_nothing_is_named(root: str):
    with pytest.raises(FixSetup, match=r"'monday' is no time with a zone, no pin"):
        sql.run_statement(root, COUNT, as_of="monday")


def test_the_printed_snippet_shows_what_the_shell_shows(root: str):
    as_of = "silver.trades@2"
    told = sql.greeting(root, as_of, tie(root, as_of))
    (line,) = (text for text in told.splitlines() if "open_lake(" in text)

    call = line.strip().rpartition(".trades(")[0]
    lake = eval(call, {"open_lake": open_lake})  # noqa: S307 (our own text)
    assert len(lake.trades("AAPL").arrow()) == 2
    assert '.option("versionAsOf", 2)' in told
