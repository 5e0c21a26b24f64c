"""A backup is a lake: whole, at one instant, and cheap to make again."""

import shutil
from pathlib import Path

import pytest

from conf.lake.backup import back_up
from conf.lake.manifest import pins
from conf.lake.read import open_lake, scan
from conf.lake.roots import table_uri
from conf.lake.splits import splits_path
from conf.lake.tables import BARS, TRADES
from conf.lake.versions import commits, log_files
from tests.integration.research.lakes import OPEN, delta, row, write


def ids(root: str | Path) -> list[int]:
    return sorted(scan(str(root), TRADES)["trade_id"].to_pylist())


@pytest.fixture
def root(tmp_path: Path) -> str:
    root = tmp_path / "lake"
    for trade_id in (1, 2, 3):
        write(root, TRADES, row(TRADES, OPEN, trade_id=trade_id))
    write(root, BARS, row(BARS, OPEN))
    splits = Path(splits_path(str(root)))
    splits.parent.mkdir()
    splits.write_text("symbol,ex_date,new_shares,old_shares\nAAPL,2026-11-24,4,1\n")
    return str(root)


def test_a_lost_lake_comes_back_with_its_history(root: str, tmp_path: Path):
    copy = tmp_path / "copy"
    manifest = back_up(root, copy)
    held = commits(log_files(table_uri(root, TRADES)))
    shutil.rmtree(root)
    shutil.copytree(copy, root)
    lake = open_lake(root)

    assert manifest.versions == {"silver.trades": 3, "silver.bars": 1}
    assert ids(root) == [1, 2, 3]
    assert len(lake.trades(as_of=held[1].time).arrow()) == 1
    assert lake.bars_adjusted().arrow()["split_factor"].to_pylist() == [4.0]
    write(root, TRADES, row(TRADES, OPEN, trade_id=4))
    assert ids(root) == [1, 2, 3, 4]


def test_a_backup_of_an_older_cut_shows_that_one(root: str, tmp_path: Path):
    back_up(root, tmp_path / "copy", "silver.trades@2")

    assert ids(tmp_path / "copy") == [1, 2]
    assert pins(root) == []


def test_the_next_backup_copies_only_what_is_new(root: str, tmp_path: Path):
    copy = tmp_path / "copy"
    back_up(root, copy)
    before = {path: path.stat().st_ino for path in copy.rglob("*.parquet")}
    delta(root, TRADES).create_checkpoint()
    write(root, TRADES, row(TRADES, OPEN, trade_id=4))
    back_up(root, copy)

    assert ids(copy) == [1, 2, 3, 4]
    assert {path: path.stat().st_ino for path in before} == before
