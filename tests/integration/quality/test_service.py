"""The process beside the pipeline, and the command line."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import RESULTS, TRADES
from conf.settings import ROOT, QualitySettings, environment
from infra.__main__ import app
from infra.local.state import QualityStatus, read, run_folder
from tests.integration.quality.rows import good, settings_of
from tests.integration.research import lakes

DEADLINE_S = 60.0


def failures(root: Path) -> list[str]:
    if not DeltaTable.is_deltatable(table_uri(str(root), RESULTS)):
        return []
    rows = scan(str(root), RESULTS, where="NOT success AND severity = 'critical'")
    return [rule for rule in rows["rule"].to_pylist() if "age_s" not in rule]


def test_a_failure_is_in_the_results_soon_and_the_process_goes_on(tmp_path: Path):
    root = tmp_path / "lake"
    settings = settings_of(tmp_path, quality=QualitySettings(every_s=0.2))
    lakes.write(root, TRADES, good(TRADES, trade_id=1))
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.quality.service"],
        cwd=ROOT,
        env=environment(settings),
    )
    try:
        lakes.write(root, TRADES, good(TRADES, trade_id=2, price=-1.0))
        deadline = time.monotonic() + DEADLINE_S
        while not failures(root):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        lakes.write(root, TRADES, good(TRADES, trade_id=3, size=-1))
    finally:
        process.terminate()
    # What came last is checked once more before it ends.
    assert process.wait(DEADLINE_S) == 0
    assert sorted(failures(root)) == ["0 < price", "0 <= size"]
    status = read(run_folder(settings) / "quality.json", QualityStatus)
    assert status is not None
    assert status.failed == ["silver.trades: 0 <= size"]
    assert (settings.data_docs / "index.html").exists()


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name, value in environment(settings_of(tmp_path)).items():
        monkeypatch.setenv(name, value)
    return CliRunner()


def test_the_command_tells_what_is_broken_by_table_and_exit_code(
    line: CliRunner, tmp_path: Path
):
    lakes.write(tmp_path / "lake", TRADES, good(TRADES, trade_id=1))
    sound = line.invoke(app, ["quality", "run"])
    lakes.write(tmp_path / "lake", TRADES, good(TRADES, trade_id=2, price=-1.0))
    broken = line.invoke(app, ["quality", "run"])
    nothing = line.invoke(app, ["quality", "run"])
    docs = line.invoke(app, ["quality", "docs", "--all"])

    assert sound.exit_code == nothing.exit_code == docs.exit_code == 0
    assert broken.exit_code == 1
    assert "critical: silver.trades: 0 < price: 1 of 1 rows" in broken.output
    assert '"trade_id": "2"' in broken.output
    assert "nothing is new" in nothing.output
    assert "index.html" in docs.output
