"""What is committed through the end of a log is in the whole log, or nowhere."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable, PostCommitHookProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from conf.errors import FixSetup
from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.short_log import ShortLog
from conf.lake.tables import TRADES
from tests.unit.conf.lake.rows import trades

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
INTERVAL = 20
HOLD = """
import sys
from conf.lake.short_log import ShortLog
from conf.lake.tables import TRADES
log = ShortLog(sys.argv[1], TRADES)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A lake with one empty table."""
    root = str(tmp_path / "lake")
    ensure_tables(root, [TRADES])
    return root


def append(table: DeltaTable | str, second: int) -> None:
    hook = PostCommitHookProperties(create_checkpoint=False)
    fresh = trades(NOON + timedelta(seconds=second))
    write_deltalake(table, fresh, mode="append", post_commithook_properties=hook)


def commit(
    log: ShortLog, second: int, meanwhile: Callable[[], object] = lambda: None
) -> None:
    log.follow()
    log.make_room([NOON.date()])
    with log.commit() as table:
        append(table, second)
        meanwhile()


def seconds(root: str, version: int | None = None) -> list[int]:
    """Return which seconds' trades a reader finds."""
    table = DeltaTable(table_uri(root, TRADES), version=version)
    times = table.to_pyarrow_table()["event_time"].to_pylist()
    return sorted((time - NOON).seconds for time in times)


def log_of(folder: Path | str) -> set[str]:
    return {path.name for path in (Path(folder) / "_delta_log").iterdir()}


def writing(root: str) -> list[Path]:
    return [path for path in Path(root, "_writing").iterdir() if path.is_dir()]


def test_every_version_is_in_the_table_and_the_end_of_them_here(root: str):
    log, commits = ShortLog(root, TRADES), 2 * INTERVAL + 5
    for number in range(commits):
        commit(log, number)

    whole = log_of(table_uri(root, TRADES))
    assert {f"{number:020d}.json" for number in range(commits + 1)} <= whole
    assert {name for name in whole if "parquet" in name} == {
        f"{number:020d}.checkpoint.parquet" for number in (20, 40)
    }
    assert len(log_of(writing(root)[0])) < 2 * INTERVAL
    for version in (0, 19, 20, 21, 39, 40, commits):
        assert seconds(root, version) == list(range(version))


def test_it_opens_at_the_newest_checkpoint(root: str):
    log = ShortLog(root, TRADES)
    for number in range(INTERVAL + 2):
        commit(log, number)
    del log
    gc.collect()

    again = ShortLog(root, TRADES)
    commit(again, INTERVAL + 2)

    assert seconds(root) == list(range(INTERVAL + 3))
    assert f"{INTERVAL - 1:020d}.json" not in log_of(writing(root)[0])


def test_a_commit_that_another_was_before_is_undone_and_sees_it(root: str):
    log = ShortLog(root, TRADES)
    with pytest.raises(CommitFailedError, match="version 1"):
        commit(log, 7, meanwhile=lambda: append(table_uri(root, TRADES), 1))
    assert seconds(root) == [1]

    commit(log, 2)
    assert seconds(root) == [1, 2]
    assert log.table.version() == 2


def test_days_that_another_writer_began_are_read(root: str):
    log, tomorrow = ShortLog(root, TRADES), 24 * 60 * 60
    append(table_uri(root, TRADES), tomorrow)
    log.follow()

    assert log.table.to_pyarrow_table().num_rows == 1


def test_what_fails_after_it_was_written_is_not_published_by_the_next(root: str):
    def fail() -> None:
        raise OSError("the disk is full")

    log = ShortLog(root, TRADES)
    with pytest.raises(OSError, match="full"):
        commit(log, 7, meanwhile=fail)

    commit(log, 1)
    assert seconds(root) == [1]


def test_files_that_readers_would_not_find_are_not_published(root: str):
    log = ShortLog(root, TRADES)
    with pytest.raises(FixSetup, match="no link"), log.commit() as table:
        append(table, 7)  # without room for its day

    assert seconds(root) == []


def test_what_a_killed_process_left_is_removed_but_nothing_in_use(root: str):
    log = ShortLog(root, TRADES)
    (mine,) = writing(root)
    command = [sys.executable, "-c", HOLD, root]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"open\n"
        assert len(writing(root)) == 2
        os.kill(other.pid, signal.SIGKILL)

    second = ShortLog(root, TRADES)
    assert len(writing(root)) == 2
    assert mine in writing(root)
    commit(log, 0)
    commit(second, 1)
    assert seconds(root) == [0, 1]


def go_ahead(root: str, first: int) -> None:
    """Let another writer commit beyond two checkpoints, then clean the log."""
    other = ShortLog(root, TRADES)
    for number in range(first, first + 2 * INTERVAL):
        commit(other, number)
    folder = Path(table_uri(root, TRADES), "_delta_log")
    newest = max(folder.glob("*.checkpoint.parquet")).name
    for entry in folder.glob("*.json"):
        if entry.name < newest:
            entry.unlink()


def test_who_is_behind_a_cleaned_log_does_not_commit_into_the_hole(root: str):
    behind = ShortLog(root, TRADES)
    commit(behind, 0)
    (mine,) = writing(root)
    go_ahead(root, 1)

    commit(behind, 99)
    assert seconds(root) == [*range(2 * INTERVAL + 1), 99]
    assert len(log_of(mine)) < INTERVAL


def test_who_was_frozen_while_writing_does_not_either(root: str):
    frozen = ShortLog(root, TRADES)
    commit(frozen, 0)
    with pytest.raises(CommitFailedError, match="far ahead"):
        commit(frozen, 7, meanwhile=lambda: go_ahead(root, 1))

    commit(frozen, 99)
    assert seconds(root) == [*range(2 * INTERVAL + 1), 99]


def test_a_commit_is_published_though_its_checkpoint_fails(
    root: str, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    log = ShortLog(root, TRADES)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", fail)
        for number in range(INTERVAL):
            commit(log, number)
    hint = Path(table_uri(root, TRADES), "_delta_log", "_last_checkpoint")
    assert not hint.exists()

    commit(log, INTERVAL)
    assert hint.exists()
    assert seconds(root) == list(range(INTERVAL + 1))
