"""Where bronze goes on when its checkpoint is gone."""

from pathlib import Path

import pytest
from deltalake import write_deltalake

from bronze.resume import last_positions
from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import RECORDS
from conf.settings import LakeSettings
from tests.unit.conf.lake.rows import ARRIVAL, records

ARRIVAL_S = f"{ARRIVAL.timestamp():.3f}"


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    """A lake with an empty bronze table."""
    chosen = LakeSettings(
        root=str(tmp_path / "lake"), checkpoints=str(tmp_path / "checkpoints")
    )
    ensure_tables(chosen.root, [RECORDS])
    return chosen


def write(lake: LakeSettings, *places: tuple[str, str]) -> None:
    write_deltalake(table_uri(lake.root, RECORDS), records(*places), mode="append")


def test_numbers_of_different_lengths_are_compared_as_numbers(lake: LakeSettings):
    #  as text "9" > "10" and "100" < "99"
    write(lake, ("s0", "9"), ("s0", "10"), ("s1", "100"))
    write(lake, ("s1", "99"), ("s0", "2"), ("s2", "4962" * 14))

    assert last_positions(lake, "bronze") == {
        "s0": f"10@{ARRIVAL_S}",
        "s1": f"100@{ARRIVAL_S}",
        "s2": f"{'4962' * 14}@{ARRIVAL_S}",
    }


def test_an_empty_bronze_remembers_nothing(lake: LakeSettings):
    assert last_positions(lake, "bronze") == {}


def test_a_checkpoint_that_has_planned_a_batch_knows_better(lake: LakeSettings):
    write(lake, ("s0", "9"))
    offsets = Path(lake.checkpoints) / "bronze" / "offsets"
    offsets.mkdir(parents=True)
    # Spark makes folders and its own hidden files before it plans anything.
    (offsets / ".0.crc").touch()
    assert last_positions(lake, "bronze") == {"s0": f"9@{ARRIVAL_S}"}

    (offsets / "0").touch()
    assert last_positions(lake, "bronze") == {}
