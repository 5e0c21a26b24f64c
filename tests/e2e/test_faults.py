"""Kill, freeze and forget: whatever happens, no row is lost, doubled or altered."""

from pathlib import Path

import pytest

from conf.settings import load
from infra.local import faults

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("name", faults.FAULTS)
def test_no_row_is_lost_or_doubled(tmp_path: Path, name: str):
    settings = load().model_copy(update={"var": tmp_path})
    result = faults.run(settings, name, seconds=90, rate=500)
    assert (result["lost"], result["duplicated"], result["altered"]) == (0, 0, 0)
    assert result["silver_rows"] > 20_000
