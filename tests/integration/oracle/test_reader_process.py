"""The reader as smoke starts it: a process that notes commits until SIGTERM."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conf.settings import ROOT
from infra.local.reader import read_sightings
from tests.integration.oracle.example_market import trade_row, write_table


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    out = tmp_path / "sightings.jsonl"
    options = ["--lake", str(tmp_path / "lake"), "--out", str(out)]
    command = [sys.executable, "-m", "infra.local.reader", *options]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            until(out.exists)
            yield out
        finally:
            process.terminate()
    assert process.returncode == 0


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_sees_a_commit_within_moments(log: Path, tmp_path: Path):
    write_table(tmp_path / "lake", "silver.trades", [trade_row(0)])
    committed_ns = time.time_ns()
    until(lambda: len(read_sightings(log)) == 2)
    created, first = read_sightings(log)
    assert (created.version, created.rows) == (0, 0)
    assert (first.version, first.rows) == (1, 1)
    assert -1 < (first.seen_ns - committed_ns) / 1e9 < 5
    assert (tmp_path / "lake" / "silver" / "trades" / first.added[0]).exists()
