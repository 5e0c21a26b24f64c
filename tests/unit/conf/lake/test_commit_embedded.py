"""Few times bound a MERGE of many rows; two processes may write one table."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from conf.lake.commit import COMPACTIONS_PER_TIDYING, Transaction, ranges_of
from conf.lake.commit_embedded import EmbeddedCommitter, event_times
from conf.lake.create import ensure_tables
from conf.lake.fence import Fence
from conf.lake.roots import table_uri
from conf.lake.tables import RECORDS, TRADES
from conf.settings import LakeSettings
from tests.unit.conf.lake.rows import records, trades

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
offsets = st.timedeltas(timedelta(hours=-13), timedelta(hours=13))


@given(st.lists(offsets.map(lambda offset: NOON + offset), min_size=1, max_size=40))
def test_they_yield_the_ranges_of_all_times(times: list[datetime]):
    few = event_times(TRADES, trades(*times))

    assert set(few) <= set(times)
    assert ranges_of(few) == ranges_of(times)


def test_they_are_two_per_minute_in_utc():
    seconds = [NOON + timedelta(seconds=i) for i in range(120)]
    few = event_times(TRADES, trades(*seconds))

    assert sorted(few) == [seconds[i] for i in (0, 59, 60, 119)]
    assert {time.utcoffset() for time in few} == {timedelta(0)}


def test_two_processes_merge_into_one_table_and_compact_it(tmp_path: Path):
    """Each has a lease of its own, as the two writers of ``silver.bars`` have."""

    def write(committer: EmbeddedCommitter, name: str, batch: int) -> None:
        rows = trades(NOON + timedelta(minutes=batch), NOON)
        committer.insert_missing(TRADES, rows, Transaction(name, batch))

    assert keys_after(tmp_path, write) == 9


def test_what_another_process_has_committed_is_not_written_again(tmp_path: Path):
    """A batch of a driver that was replaced and wakes up between look and commit."""

    def write(committer: EmbeddedCommitter, _: str, batch: int) -> None:
        rows = trades(NOON + timedelta(minutes=batch))
        committer.append(TRADES, rows, Transaction("query", batch))

    assert keys_after(tmp_path, write) == 8


def test_the_log_of_a_table_that_is_not_compacted_is_cleaned_too(tmp_path: Path):
    """Bronze gets a commit a second: 86,400 entries a day that nobody reads again."""
    lake = LakeSettings(root=str(tmp_path / "lake"), compact_every=1)
    ensure_tables(lake.root, [RECORDS])
    log = Path(table_uri(lake.root, RECORDS)) / "_delta_log"
    first = log / f"{0:020d}.json"
    fence = Fence(tmp_path / "bronze.json", lake.lease_s, lambda _: None)
    fence.acquire()
    committer = EmbeddedCommitter(lake, fence)
    for batch in range(COMPACTIONS_PER_TIDYING):
        if batch == COMPACTIONS_PER_TIDYING - 1:
            for entry in log.iterdir():
                os.utime(entry, (0, 0))
        record = records(("shardId-0", str(batch)))
        committer.append(RECORDS, record, Transaction("bronze", batch))
    fence.release()

    deadline = time.monotonic() + 30
    while first.exists():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    held = DeltaTable(table_uri(lake.root, RECORDS)).to_pyarrow_table()
    assert held.num_rows == COMPACTIONS_PER_TIDYING


def keys_after(
    folder: Path, write: Callable[[EmbeddedCommitter, str, int], None]
) -> int:
    """Let two processes write eight batches at once; count the keys, each there once.

    Both compact at every second commit.
    """
    lake = LakeSettings(root=str(folder / "lake"), compact_every=2)
    ensure_tables(lake.root, [TRADES])
    start, failures = threading.Barrier(2), []

    def run(name: str) -> None:
        fence = Fence(folder / f"{name}.json", lake.lease_s, failures.append)
        fence.acquire()
        committer = EmbeddedCommitter(lake, fence)
        try:
            for batch in range(8):
                start.wait(30)
                write(committer, name, batch)
        except Exception as error:
            failures.append(error)
            start.abort()
        finally:
            fence.release()

    writers = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert failures == []
    held = DeltaTable(table_uri(lake.root, TRADES)).to_pyarrow_table()
    keys = held.select(["event_time_ns", "trade_id"]).to_pylist()
    assert len(keys) == len({tuple(key.values()) for key in keys})
    return len(keys)
