"""The whole pipeline, short: every row compared, nothing lost, doubled or altered."""

from pathlib import Path

import pytest

from conf.settings import load
from infra.local.smoke import smoke

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("engine", ["embedded", "spark"])
def test_a_short_smoke_run_breaks_no_bound(tmp_path: Path, engine: str):
    settings = load(engine=engine).model_copy(update={"var": tmp_path})
    result = smoke(settings, seconds=45, rate=500)
    assert result["broken"] == []
    assert result["silver_rows"] == result["silver_expected"] > 20_000
