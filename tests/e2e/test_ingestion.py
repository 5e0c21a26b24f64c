"""Whatever is done to the feed, the producer or Kinesis: nothing is lost unnamed."""

from pathlib import Path

import pytest

from conf.settings import load
from infra.local.ingestion import cuts, kills

pytestmark = pytest.mark.faults


def test_50_cuts_mutes_and_slow_client_events(tmp_path: Path):
    settings = load().model_copy(update={"var": tmp_path})
    result = cuts.run(settings, events=50, seed=1)
    assert result["broken"] == []
    assert result["expected"] > 50_000
    assert result["withheld"] > 0


def test_30_killed_producers_and_10_killed_emulators(tmp_path: Path):
    settings = load().model_copy(update={"var": tmp_path})
    result = kills.run(settings, kills.script(1, 30, 10))
    assert result["broken"] == []
    assert result["expected"] > 30_000
    assert result["causes"] == ["new_disk", "restart"]
