"""The disk budget: oldest closed days go first, open ones stay."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from conf.lake.create import ensure_tables
from conf.lake.maintenance import drop_oldest_day
from conf.lake.roots import table_uri
from conf.lake.tables import RECORDS, TRADES


@pytest.fixture
def root(tmp_path: Path) -> str:
    ensure_tables(str(tmp_path), [RECORDS, TRADES])
    return str(tmp_path)


def land(root: str, *days: int) -> None:
    for day in days:
        time = datetime(2026, 11, day, 12, tzinfo=UTC)
        row = dict.fromkeys(RECORDS.column_names, "x") | {
            "arrival_time": time,
            "ingest_time": time,
            "sequence_number": str(day),
            "data": b"payload",
            "day": time.date(),
        }
        rows = pa.Table.from_pylist([row], schema=RECORDS.schema)
        write_deltalake(table_uri(root, RECORDS), rows, mode="append")


def held_days(root: str) -> list[str]:
    table = DeltaTable(table_uri(root, RECORDS))
    return sorted(partition["day"] for partition in table.partitions())


def test_the_oldest_closed_day_goes_first_and_the_two_newest_stay(root):
    land(root, 3, 1, 2, 4)

    assert [drop_oldest_day(root, [RECORDS, TRADES]) for _ in range(3)] == [
        "2026-11-01",
        "2026-11-02",
        None,
    ]
    assert held_days(root) == ["2026-11-03", "2026-11-04"]


def test_a_dropped_day_leaves_no_file_on_the_disk(root):
    land(root, 1, 2, 3)
    drop_oldest_day(root, [RECORDS])
    folders = {path.name for path in Path(table_uri(root, RECORDS)).glob("day=*")}

    assert folders == {"day=2026-11-02", "day=2026-11-03"}
