"""Silver has recovered when it shows what came after the fault, not before."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from infra.local.campaign.recovery import Silver

NOW = datetime.now(UTC)


def commit(lake: Path, arrived: datetime) -> None:
    rows = pa.table({"arrival_time": pa.array([arrived], pa.timestamp("us", "UTC"))})
    write_deltalake(lake / "silver" / "trades", rows, mode="append")


@pytest.mark.parametrize(("after_s", "counts"), [(-5, False), (0.9, False), (1, True)])
def test_a_row_counts_a_second_after_the_fault(
    tmp_path: Path, after_s: float, counts: bool
):
    commit(tmp_path, NOW + timedelta(seconds=after_s))
    found = Silver(tmp_path).recovery_s(NOW, 0.05, lambda: False)
    assert (found is not None) is counts


def test_nobody_waits_for_a_pipeline_that_has_ended(tmp_path: Path):
    commit(tmp_path, NOW + timedelta(seconds=5))
    assert Silver(tmp_path).recovery_s(NOW, 5, lambda: True) is None
