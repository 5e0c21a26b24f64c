"""Two tables as multisets: the SQL counts as plain Python does."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import duckdb
import pyarrow as pa
import pytest

from infra.local.comparison import compare

Row = tuple[str, int | None]

SCHEMA = pa.schema({"symbol": pa.string(), "value": pa.int64()})


def some_rows(random: Random) -> list[Row]:
    values = (None, 1, 2, 3)
    return [
        (random.choice("AB"), random.choice(values)) for _ in range(random.randrange(9))
    ]


def table(found: list[Row]) -> pa.Table:
    columns = {"symbol": [s for s, _ in found], "value": [v for _, v in found]}
    return pa.table(columns, SCHEMA)


def counts(expected: list[Row], stored: list[Row]) -> tuple[int, int, int]:
    """Return lost, duplicated and altered, by definition."""
    owed, held = Counter(expected), Counter(stored)
    lost = duplicated = altered = 0
    for symbol in "AB":
        keys = {row for row in owed | held if row[0] == symbol}
        missing = sum(max(0, owed[key] - held[key]) for key in keys)
        strangers = sum(held[key] for key in keys if not owed[key])
        duplicated += sum(max(0, held[key] - owed[key]) for key in keys if owed[key])
        altered += strangers
        lost += max(0, missing - strangers)
    return lost, duplicated, altered


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("seed", range(100))
def test_faults_are_counted_as_defined(db: duckdb.DuckDBPyConnection, seed: int):
    random = Random(seed)
    expected, stored = some_rows(random), some_rows(random)
    db.register("expected", table(expected))
    db.register("stored", table(stored))
    found = compare(db, "t", expected="expected", stored="stored", columns=SCHEMA.names)
    assert (found.expected, found.stored) == (len(expected), len(stored))
    assert (found.lost, found.duplicated, found.altered) == counts(expected, stored)
    assert bool(found.examples["lost"]) == (found.lost > 0)
    assert bool(found.examples["altered"]) == (found.altered > 0)
    assert bool(found.examples["duplicated"]) == (found.duplicated > 0)
