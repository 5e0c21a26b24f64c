"""Splits and merges on a real store, with a clock that the test moves."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.errors import ApiError
from infra.local.kinesis.get_operations import get_records, get_shard_iterator
from infra.local.kinesis.limits import UNLIMITED
from infra.local.kinesis.listing_operations import list_shards
from infra.local.kinesis.put_operations import put_records
from infra.local.kinesis.record_messages import (
    Entry,
    GetRecords,
    GetRecordsResult,
    GetShardIterator,
    PutRecords,
)
from infra.local.kinesis.reshard_operations import (
    merge_shards,
    split_shard,
    update_shard_count,
)
from infra.local.kinesis.retention import trim_once
from infra.local.kinesis.store import Store
from infra.local.kinesis.stream_messages import (
    CreateStream,
    ListShards,
    MergeShards,
    SplitShard,
    UpdateShardCount,
)
from infra.local.kinesis.stream_operations import create_stream
from infra.local.kinesis.streams import Stream

NOON_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
TOP = 2**128 - 1


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def emulator(tmp_path: Path, clock: Clock) -> AsyncIterator[Emulator]:
    with closing(Store(tmp_path)) as store:
        emulator = Emulator(store, limits=UNLIMITED, now_ms=clock)
        commits = asyncio.create_task(emulator.commits.run())
        await create_stream(emulator, CreateStream(stream_name="ticks", shard_count=2))
        yield emulator
        commits.cancel()


def shard_id(index: int) -> str:
    return f"shardId-{index:012d}"


def stream_of(emulator: Emulator) -> Stream:
    return emulator.streams.stream("ticks")


async def split(emulator: Emulator, index: int, at: int) -> None:
    request = SplitShard(
        stream_name="ticks",
        shard_to_split=shard_id(index),
        new_starting_hash_key=str(at),
    )
    await split_shard(emulator, request)


async def merge(emulator: Emulator, index: int, adjacent: int) -> None:
    request = MergeShards(
        stream_name="ticks",
        shard_to_merge=shard_id(index),
        adjacent_shard_to_merge=shard_id(adjacent),
    )
    await merge_shards(emulator, request)


async def scale(emulator: Emulator, target: int) -> None:
    request = UpdateShardCount(
        stream_name="ticks", target_shard_count=target, scaling_type="UNIFORM_SCALING"
    )
    await update_shard_count(emulator, request)


async def put(emulator: Emulator, *keys: str) -> list[str | None]:
    entries = [Entry(data=key.encode(), partition_key=key) for key in keys]
    answer = await put_records(
        emulator, PutRecords(stream_name="ticks", records=entries)
    )
    return [result.shard_id for result in answer.records]


async def read(emulator: Emulator, index: int) -> GetRecordsResult:
    request = GetShardIterator(
        stream_name="ticks",
        shard_id=shard_id(index),
        shard_iterator_type="TRIM_HORIZON",
    )
    token = (await get_shard_iterator(emulator, request)).shard_iterator
    return await get_records(emulator, GetRecords(shard_iterator=token))


def ranges(stream: Stream) -> list[tuple[int, int]]:
    return [(shard.hash_start, shard.hash_end) for shard in stream.open_shards]


async def test_a_split_shard_ends_and_names_its_children(emulator: Emulator):
    await put(emulator, *[f"key {number}" for number in range(20)])
    before = await read(emulator, 0)
    assert before.next_shard_iterator

    await split(emulator, 0, TOP // 4)
    end = await read(emulator, 0)

    assert end.records == before.records
    assert end.next_shard_iterator is None
    children = [(c.shard_id, c.parent_shards) for c in end.child_shards or []]
    assert children == [(shard_id(2), [shard_id(0)]), (shard_id(3), [shard_id(0)])]


async def test_a_merged_shard_names_both_parents(emulator: Emulator):
    await merge(emulator, 1, 0)

    merged = stream_of(emulator).shard(shard_id(2))

    assert (merged.parent_id, merged.adjacent_parent_id) == (shard_id(1), shard_id(0))
    assert ranges(stream_of(emulator)) == [(0, TOP)]
    for parent in (0, 1):
        end = await read(emulator, parent)
        assert [child.shard_id for child in end.child_shards or []] == [shard_id(2)]


async def test_records_go_to_the_children(emulator: Emulator):
    keys = [f"key {number}" for number in range(50)]
    assert set(await put(emulator, *keys)) == {shard_id(0), shard_id(1)}

    await split(emulator, 0, TOP // 4)

    assert set(await put(emulator, *keys)) == {shard_id(1), shard_id(2), shard_id(3)}


async def test_what_a_put_has_not_stored_yet_is_read_before_the_end(
    emulator: Emulator,
):
    keys = [f"key {number}" for number in range(50)]

    answer, _ = await asyncio.gather(put(emulator, *keys), split(emulator, 0, TOP // 4))

    end = await read(emulator, 0)
    assert len(end.records) == answer.count(shard_id(0)) > 0
    assert end.next_shard_iterator is None


async def test_the_children_are_there_after_a_restart(emulator: Emulator):
    await split(emulator, 0, TOP // 4)

    (reopened,) = emulator.store.load_streams(UNLIMITED)

    assert [s.shard_id for s in reopened.open_shards] == [
        shard_id(2),
        shard_id(3),
        shard_id(1),
    ]
    assert reopened.shard(shard_id(0)).is_closed
    assert reopened.shard(shard_id(3)).parent_id == shard_id(0)


@pytest.mark.parametrize(("start", "target"), [(2, 3), (2, 4), (2, 1), (2, 2)])
async def test_scaling_makes_equal_ranges(emulator: Emulator, start: int, target: int):
    assert stream_of(emulator).open_shard_count == start

    await scale(emulator, target)

    widths = {end - first + 1 for first, end in ranges(stream_of(emulator))}
    assert len(ranges(stream_of(emulator))) == target
    assert max(widths) - min(widths) <= target


async def test_scaling_beyond_half_and_double_is_refused(emulator: Emulator):
    with pytest.raises(ApiError, match="cannot scale up over double"):
        await scale(emulator, 5)
    await scale(emulator, 4)
    with pytest.raises(ApiError, match="cannot scale down below half"):
        await scale(emulator, 1)


async def test_a_stream_is_resharded_by_one_request_at_a_time(emulator: Emulator):
    first, second = await asyncio.gather(
        split(emulator, 0, TOP // 4), merge(emulator, 0, 1), return_exceptions=True
    )

    assert first is None
    assert isinstance(second, ApiError)
    assert stream_of(emulator).open_shard_count == 3


async def test_a_reshard_that_cannot_be_stored_changes_nothing(emulator: Emulator):
    def breaks(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO no_such_table VALUES (1)")

    async def submit_it() -> None:
        await emulator.commits.submit(breaks)

    outcomes = await asyncio.gather(
        split(emulator, 0, TOP // 4),
        put(emulator, "to a child"),
        submit_it(),
        return_exceptions=True,
    )

    assert all(isinstance(outcome, sqlite3.Error) for outcome in outcomes)
    assert len(stream_of(emulator).shards) == stream_of(emulator).open_shard_count == 2
    assert set(await put(emulator, "after", "wards")) <= {shard_id(0), shard_id(1)}


async def test_a_record_for_a_shard_that_was_never_stored_is_not_acknowledged(
    emulator: Emulator,
):
    await put(emulator, "before")
    with closing(sqlite3.connect(emulator.store.path)) as db, db:
        db.execute("DELETE FROM shards")

    with pytest.raises(sqlite3.IntegrityError, match="to append to"):
        await put(emulator, "after")


async def test_a_closed_shard_is_forgotten_once_its_records_have_expired(
    emulator: Emulator, clock: Clock
):
    await put(emulator, *[f"key {number}" for number in range(20)])
    await split(emulator, 0, TOP // 4)
    listing = ListShards(stream_name="ticks")
    clock.now_ms += 24 * HOUR_MS
    await trim_once(emulator)
    assert len((await list_shards(emulator, listing)).shards) == 4

    clock.now_ms += 1
    await trim_once(emulator)

    ids = [shard.shard_id for shard in (await list_shards(emulator, listing)).shards]
    assert ids == [shard_id(1), shard_id(2), shard_id(3)]
    await split(emulator, 1, TOP // 4 * 3)
    assert stream_of(emulator).shards[-1].shard_id == shard_id(5)


async def reshard_at_random(data: st.DataObject, folder: Path) -> None:
    with closing(Store(folder)) as store:
        emulator = Emulator(store, limits=UNLIMITED, now_ms=Clock())
        commits = asyncio.create_task(emulator.commits.run())
        name = f"stream-{data.draw(st.uuids())}"
        await create_stream(emulator, CreateStream(stream_name=name, shard_count=2))
        stream = emulator.streams.stream(name)
        for _ in range(data.draw(st.integers(1, 5))):
            count = stream.open_shard_count
            target = data.draw(st.integers((count + 1) // 2, count * 2))
            await update_shard_count(
                emulator,
                UpdateShardCount(
                    stream_name=name,
                    target_shard_count=target,
                    scaling_type="UNIFORM_SCALING",
                ),
            )
            bounds = ranges(stream)
            assert len(bounds) == target
            assert (bounds[0][0], bounds[-1][1]) == (0, TOP)
            assert all(end + 1 == start for (_, end), (start, _) in pairwise(bounds))
        open_ids = {shard.shard_id for shard in stream.open_shards}
        parents = {s.parent_id for s in stream.shards} | {
            s.adjacent_parent_id for s in stream.shards
        }
        assert {s.shard_id for s in stream.shards} - open_ids == parents - {None}
        commits.cancel()


@settings(max_examples=20)
@given(st.data())
def test_open_shards_hold_every_key_once_and_closed_ones_have_children(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    asyncio.run(reshard_at_random(data, tmp_path_factory.mktemp("reshard")))
