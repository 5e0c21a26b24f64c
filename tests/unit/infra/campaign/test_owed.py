"""What was missed is owed, but for what no history has and the ledger names."""

import json
from pathlib import Path

import duckdb
import pytest

from infra.local import owed

SECOND_NS = 10**9
BEGAN = 1_700_000_000 * SECOND_NS
OUTAGE = {"T": "gap", "from": "2023-11-14T22:13:30Z", "to": "2023-11-14T22:13:40Z"}
"""From 10 to 20 s after the beginning."""


def line(after_s: float, flag: str, text: str) -> str:
    return f"{BEGAN + int(after_s * SECOND_NS)}\t{flag}\t{text}\n"


def message(kind: str, number: int) -> str:
    return json.dumps({"T": kind, "S": "KO", "i": number})


@pytest.fixture
def db() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE TABLE lines (kind VARCHAR, text VARCHAR)")
    connection.execute("INSERT INTO lines VALUES ('gap', ?)", [json.dumps(OUTAGE)])
    return connection


def left(db: duckdb.DuckDBPyConnection, folder: Path) -> list[str]:
    owed.load(db, folder)
    owed.forgive_what_is_named(db)
    owed.follow_restated_minutes(db)
    rows = db.execute("SELECT text FROM sent ORDER BY place").fetchall()
    return [text for (text,) in rows]


def test_what_was_missed_stands_where_it_was_due(
    db: duckdb.DuckDBPyConnection, tmp_path: Path
):
    first, missed, last = (message("t", number) for number in range(3))
    sent = line(1, "n", first) + line(30, "n", last)
    (tmp_path / "messages-00001.tsv").write_text(sent)
    (tmp_path / "missed-00001.tsv").write_text(line(15, "n", missed))
    assert left(db, tmp_path) == [first, missed, last]


@pytest.mark.parametrize("text", ['[{"T":"t"', message("s", 1), message("d", 2)])
def test_what_no_history_has_may_be_missing_in_a_gap_only(
    db: duckdb.DuckDBPyConnection, tmp_path: Path, text: str
):
    flag = "m" if text.startswith("[") else "n"
    (tmp_path / "messages-00001.tsv").write_text(line(15, flag, text))
    assert left(db, tmp_path) == []
    (tmp_path / "messages-00001.tsv").write_text(line(25, flag, text))
    assert left(db, tmp_path) == [text]


def test_what_is_stored_is_owed_although_a_gap_names_its_time(
    db: duckdb.DuckDBPyConnection, tmp_path: Path
):
    status = message("s", 1)
    db.execute("INSERT INTO lines VALUES ('data', ?)", [status])
    (tmp_path / "messages-00001.tsv").write_text(line(15, "n", status))
    assert left(db, tmp_path) == [status]


def bar(kind: str, trades: int, minute: str = "22:13") -> str:
    return json.dumps({"T": kind, "S": "KO", "t": f"2023-11-14T{minute}Z", "n": trades})


@pytest.mark.parametrize(
    ("stored", "owed_bars"),
    [
        ([bar("b", 4), bar("u", 5)], [bar("b", 4), bar("u", 5)]),
        ([bar("b", 5)], [bar("b", 5)]),
        ([bar("b", 5), bar("u", 5)], [bar("b", 5), bar("u", 5)]),
        ([bar("u", 5)], [bar("u", 5)]),
        ([bar("b", 4)], [bar("b", 4), bar("u", 5)]),
        ([bar("b", 6)], [bar("b", 4), bar("u", 5)]),
        ([], [bar("b", 4), bar("u", 5)]),
    ],
    ids=["both", "last as bar", "last as both", "last", "first", "neither", "nothing"],
)
def test_a_restated_minute_is_owed_in_its_last_state(
    db: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    stored: list[str],
    owed_bars: list[str],
):
    rows = [("backfill", text) for text in (*stored, "[{", bar("b", 9, "22:14"))]
    db.executemany("INSERT INTO lines VALUES (?, ?)", rows)
    other = bar("b", 9, "22:14")
    sent = [line(1, "n", bar("b", 4)), line(2, "n", other), line(3, "r", other)]
    (tmp_path / "messages-00001.tsv").write_text("".join(sent))
    (tmp_path / "missed-00001.tsv").write_text(line(30, "n", bar("u", 5)))
    assert sorted(left(db, tmp_path)) == sorted([*owed_bars, other, other])
