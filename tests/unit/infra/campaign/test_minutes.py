"""Minutes that were not built, or twice, are seen."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import BARS, FEATURES
from infra.local.campaign.minutes import judge_minutes

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def row(minute, source="trades", kind=None, revision=0):
    begin = START + minute * timedelta(minutes=1)
    return {
        "symbol": "KO",
        "window_start": begin,
        "bar_length_s": 60,
        "revision": revision,
        "source": source,
        "kind": kind,
        "day": begin.date(),
    }


def anything(field):
    """Return what a column holds that is not looked at."""
    if field.nullable or pa.types.is_date(field.type):
        return field.name, None
    if pa.types.is_string(field.type):
        return field.name, ""
    return field.name, pa.scalar(0, pa.int64()).cast(field.type).as_py()


BUILT = [row(minute) for minute in range(3)]
REPORTED = [row(minute, "alpaca", "data") for minute in range(4)]


@pytest.mark.parametrize(
    ("bars", "features", "missing", "twice"),
    [
        (BUILT + REPORTED, BUILT, 0, 0),
        (BUILT[::2] + REPORTED, BUILT, 1, 0),
        (BUILT + REPORTED, BUILT[:2], 1, 0),
        (BUILT + REPORTED, [*BUILT, row(1, revision=1)], 0, 0),
        ([*BUILT, BUILT[0], *REPORTED], [*BUILT, BUILT[2]], 0, 2),
    ],
)
def test_minutes_are_judged(tmp_path, bars, features, missing, twice):
    lake = tmp_path / "lake"
    ensure_tables(str(lake), [BARS, FEATURES])
    for contract, rows in ((BARS, bars), (FEATURES, features)):
        full = [dict(map(anything, contract.schema)) | each for each in rows]
        table = pa.Table.from_pylist(full, schema=contract.schema)
        write_deltalake(table_uri(str(lake), contract), table, mode="append")
    found = judge_minutes(lake)
    assert (found["minutes_missing"], found["minutes_twice"]) == (missing, twice)
