"""Manifests cut all tables at one instant; what is pinned stays, the rest goes."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from conf.errors import FixSetup
from conf.lake.maintenance import clean_log, drop_oldest_day, tidy
from conf.lake.manifest import Manifest, pin, pins, tie, unpin
from conf.lake.read import connect, open_lake, scan
from conf.lake.tables import BARS, SYMBOL_STATS, TRADES
from conf.lake.versions import version_at
from tests.integration.research.lakes import (
    OPEN,
    SECOND,
    date_commits,
    delta,
    row,
    versions,
    write,
)

T0 = datetime(2025, 11, 24, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def trades(root: Path, *trade_ids: int) -> None:
    for trade_id in trade_ids:
        write(root, TRADES, row(TRADES, OPEN, trade_id=trade_id))


def trade_ids(root: Path, version: int | None = None) -> list[int]:
    found = scan(str(root), TRADES, columns=["trade_id"], version=version)
    return sorted(found["trade_id"].to_pylist())


def compact_and_forget(root: Path) -> None:
    """Let the files that compaction replaced be older than any retention."""
    table = delta(root, TRADES)
    table.optimize.compact()
    age = {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    table.alter.set_table_properties(age)


class TestManifest:
    def test_it_cuts_every_table_at_one_instant(self, tmp_path: Path):
        #  T0+      0       1       2       3       4
        #  trades   created 1       2       3
        #  stats                    created 1       2
        trades(tmp_path, 1, 2, 3)
        write(tmp_path, SYMBOL_STATS, row(SYMBOL_STATS, OPEN))
        write(tmp_path, SYMBOL_STATS, row(SYMBOL_STATS, OPEN))
        date_commits(tmp_path, T0)
        for version in range(3):
            log = tmp_path / "gold/symbol_stats/_delta_log" / f"{version:020}.json"
            time = (T0 + (2 + version) * SECOND).timestamp()
            os.utime(log, (time, time))
        root = str(tmp_path)

        assert tie(root, T0 + SECOND).versions == {"silver.trades": 1}
        assert tie(root, T0 + 3 * SECOND).versions == {
            "silver.trades": 3,
            "gold.symbol_stats": 1,
        }
        assert tie(root).versions == {"silver.trades": 3, "gold.symbol_stats": 2}
        assert tie(root, {"silver.trades": 2}).versions == {
            "silver.trades": 2,
            "gold.symbol_stats": 2,
        }
        typed = tie(root, "silver.trades@2")
        assert typed.versions == tie(root, {"silver.trades": 2}).versions
        assert tie(root, typed) is typed

    def test_a_lake_at_a_cut_shows_only_its_versions(self, tmp_path: Path):
        trades(tmp_path, 1)
        pinned = pin(str(tmp_path), "backtest-1", reason="a test")
        trades(tmp_path, 2)
        write(tmp_path, BARS, row(BARS, OPEN))
        lake = open_lake(str(tmp_path), "backtest-1")

        assert lake.manifest == pinned
        assert lake.trades().arrow()["trade_id"].to_pylist() == [1]
        count = lake.sql("SELECT count(*) AS n FROM silver.trades").arrow()
        assert count.to_pylist() == [{"n": 1}]
        with pytest.raises(FixSetup, match=r"silver.bars: is not in the manifest"):
            lake.bars()


class TestPins:
    def test_they_are_listed_kept_and_let_go(self, tmp_path: Path):
        trades(tmp_path, 1)
        root = str(tmp_path)
        kept = pin(root, "model-a", reason="promoted")

        assert isinstance(kept, Manifest)
        assert pins(root) == [kept]
        with pytest.raises(FixSetup, match="taken"):
            pin(root, "model-a", reason="another")
        with pytest.raises(FixSetup, match="no name of a pin"):
            pin(root, "../model", reason="escapes")
        unpin(root, "model-a")
        assert pins(root) == []

    def test_vacuum_leaves_the_files_of_a_pinned_version(self, tmp_path: Path):
        trades(tmp_path, 1, 2)
        root = str(tmp_path)
        pin(root, "backtest", reason="a test", cut={"silver.trades": 1})
        compact_and_forget(tmp_path)

        tidy(root, TRADES)
        assert trade_ids(tmp_path, version=1) == [1]
        with pytest.raises(FixSetup, match="1 of its 2 files were removed already"):
            pin(root, "late", reason="too late", cut={"silver.trades": 2})

        unpin(root, "backtest")
        tidy(root, TRADES)
        with pytest.raises(FixSetup, match=r"(?s)lake: .*\.parquet.*pin what you need"):
            open_lake(root).trades(as_of=1).arrow()
        with pytest.raises(FixSetup, match="pin what you need"):
            connect(root, tie(root, "silver.trades@1"))
        assert trade_ids(tmp_path) == [1, 2]

    def test_a_dropped_day_stays_in_a_pinned_version(self, tmp_path: Path):
        for day in range(4):
            write(tmp_path, TRADES, row(TRADES, OPEN + day * DAY, trade_id=day))
        root = str(tmp_path)
        pin(root, "backtest", reason="a test", cut={"silver.trades": 1})
        folder = tmp_path / "silver" / "trades"

        assert drop_oldest_day(root, [TRADES]) == "2026-11-23"
        assert drop_oldest_day(root, [TRADES]) == "2026-11-24"
        assert trade_ids(tmp_path, version=1) == [0]
        assert trade_ids(tmp_path) == [2, 3]
        assert sorted(path.name for path in folder.glob("day=*")) == [
            "day=2026-11-23",
            "day=2026-11-25",
            "day=2026-11-26",
        ]


class TestLogCleanup:
    @pytest.fixture
    def root(self, tmp_path: Path) -> str:
        """Twenty commits a day apart, a checkpoint at every fifth."""
        for version in range(1, 21):
            trades(tmp_path, version)
            if version % 5 == 0:
                delta(tmp_path, TRADES).create_checkpoint()
        date_commits(tmp_path, T0, step=DAY)
        return str(tmp_path)

    def test_what_is_younger_than_the_retention_can_be_read(self, root: str):
        # two days before day 19 is 17, which is read from checkpoint 15
        assert clean_log(root, TRADES, T0 + 19 * DAY) == 15 + 2
        assert versions(root, TRADES) == list(range(15, 21))
        assert trade_ids(Path(root), version=17) == list(range(1, 18))
        assert trade_ids(Path(root)) == list(range(1, 21))

    def test_a_pinned_version_keeps_just_what_it_is_read_from(self, root: str):
        pin(root, "backtest", reason="a test", cut={"silver.trades": 7})
        tidy(root, TRADES, now=T0 + 19 * DAY)

        assert versions(root, TRADES)[:4] == [5, 6, 7, 15]
        assert trade_ids(Path(root), version=7) == list(range(1, 8))
        assert version_at(root, TRADES, T0 + 6.5 * DAY) == 6
        # whoever asks for a time in the hole is not shown an older version
        with pytest.raises(FixSetup, match="a version of 2025-12-03"):
            version_at(root, TRADES, T0 + 9 * DAY)

    def test_nothing_is_old_in_a_young_lake(self, root: str):
        assert clean_log(root, TRADES, T0 + DAY) == 0
        assert DeltaTable(f"{root}/silver/trades", version=0).version() == 0
