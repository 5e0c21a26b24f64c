"""The operations on a real store, with a clock that the test moves."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.errors import ApiError
from infra.local.kinesis.get_operations import get_records, get_shard_iterator
from infra.local.kinesis.limits import MIB, Limits
from infra.local.kinesis.put_operations import put_records
from infra.local.kinesis.record_messages import (
    Entry,
    GetRecords,
    GetRecordsResult,
    GetShardIterator,
    PutRecords,
)
from infra.local.kinesis.retention import trim_once
from infra.local.kinesis.store import DATABASE_NAME, Store
from infra.local.kinesis.stream_messages import CreateStream, DeleteStream
from infra.local.kinesis.stream_operations import create_stream, delete_stream

HOUR_MS = 3_600_000
NOON_MS = 1_795_000_000_000


class Clock:
    """A wall clock that stands still until it is moved."""

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
        emulator = Emulator(store, limits=Limits(), now_ms=clock)
        commits = asyncio.create_task(emulator.commits.run())
        await create_stream(emulator, CreateStream(stream_name="ticks", shard_count=1))
        yield emulator
        commits.cancel()


def stored_rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as db:
        (count,) = db.execute("SELECT COUNT(*) FROM records").fetchone()
    return count


async def put(emulator: Emulator, *payloads: bytes) -> None:
    entries = [Entry(data=payload, partition_key="AAPL") for payload in payloads]
    result = await put_records(
        emulator, PutRecords(stream_name="ticks", records=entries)
    )
    assert result.failed_record_count == 0


async def iterator(emulator: Emulator, kind: str = "TRIM_HORIZON") -> str:
    request = GetShardIterator(
        stream_name="ticks", shard_id="shardId-000000000000", shard_iterator_type=kind
    )
    return (await get_shard_iterator(emulator, request)).shard_iterator


async def read(emulator: Emulator, limit: int = 10_000) -> GetRecordsResult:
    token = await iterator(emulator)
    return await get_records(emulator, GetRecords(shard_iterator=token, limit=limit))


async def test_records_older_than_the_retention_are_not_read(
    emulator: Emulator, clock: Clock
):
    await put(emulator, b"old")
    clock.now_ms += 12 * HOUR_MS
    await put(emulator, b"new")
    assert [r.data for r in (await read(emulator)).records] == [b"old", b"new"]

    clock.now_ms += 12 * HOUR_MS + 1
    assert [r.data for r in (await read(emulator)).records] == [b"new"]


async def test_the_trimmer_deletes_what_is_not_read_any_more(
    emulator: Emulator, clock: Clock, tmp_path: Path
):
    for _ in range(3):
        await put(emulator, *[b"x" * 10] * 150)
        clock.now_ms += 10 * HOUR_MS
    shard = emulator.streams.stream("ticks").shards[0]

    await trim_once(emulator)

    assert stored_rows(tmp_path) == 300
    assert (shard.records, shard.payload_bytes) == (300, 3_000)
    assert emulator.store.load_streams(Limits())[0].shards[0].records == 300


async def test_the_trimmer_clears_deleted_streams(emulator: Emulator, tmp_path: Path):
    await put(emulator, *[b"x"] * 450)
    await delete_stream(emulator, DeleteStream(stream_name="ticks"))

    await trim_once(emulator)

    assert stored_rows(tmp_path) == 0


async def test_a_stream_that_comes_again_starts_empty(emulator: Emulator):
    await put(emulator, b"first life")
    earlier = await iterator(emulator)
    await delete_stream(emulator, DeleteStream(stream_name="ticks"))
    await create_stream(emulator, CreateStream(stream_name="ticks", shard_count=1))

    assert (await read(emulator)).records == []
    with pytest.raises(ApiError, match="ResourceNotFoundException"):
        await get_records(emulator, GetRecords(shard_iterator=earlier))


async def test_iterators_expire(emulator: Emulator, clock: Clock):
    token = await iterator(emulator)
    clock.now_ms += 300_001

    with pytest.raises(ApiError, match="ExpiredIteratorException"):
        await get_records(emulator, GetRecords(shard_iterator=token))


async def test_a_response_of_ten_mib_blocks_the_shard_for_five_seconds(
    emulator: Emulator, clock: Clock
):
    for _ in range(12):
        await put(emulator, b"x" * (MIB - 4))
        clock.now_ms += 1_000

    assert len((await read(emulator)).records) == 10
    clock.now_ms += 4_999
    with pytest.raises(ApiError, match="ProvisionedThroughputExceededException"):
        await read(emulator)
    clock.now_ms += 1
    assert len((await read(emulator)).records) == 10


async def test_millis_behind_latest_is_the_age_of_what_was_read_last(
    emulator: Emulator, clock: Clock
):
    await put(emulator, b"1", b"2")
    clock.now_ms += 700
    await put(emulator, b"3")
    clock.now_ms += 300

    assert (await read(emulator, limit=2)).millis_behind_latest == 1_000
    assert (await read(emulator, limit=3)).millis_behind_latest == 0


async def test_an_empty_shard_is_not_behind(emulator: Emulator, clock: Clock):
    clock.now_ms += 60_000

    assert (await read(emulator)).millis_behind_latest == 0


async def test_latest_starts_after_what_is_acknowledged(emulator: Emulator):
    await put(emulator, b"before")
    token = await iterator(emulator, "LATEST")
    await put(emulator, b"after")

    records = (await get_records(emulator, GetRecords(shard_iterator=token))).records

    assert [record.data for record in records] == [b"after"]


async def test_changes_that_wait_share_one_commit(emulator: Emulator):
    log: list[str] = []
    emulator.store.writer.set_trace_callback(log.append)

    await asyncio.gather(*[put(emulator, b"x") for _ in range(20)])

    assert log.count("COMMIT") == 1


async def test_a_stream_keeps_what_was_put_before_a_pause(
    emulator: Emulator, clock: Clock
):
    emulator.note_alive()
    await put(emulator, b"friday")
    clock.now_ms += 60 * HOUR_MS
    assert [r.data for r in (await read(emulator)).records] == [b"friday"]

    emulator.note_alive()
    clock.now_ms += 23 * HOUR_MS
    emulator.note_alive()
    assert [r.data for r in (await read(emulator)).records] == [b"friday"]


async def test_counters_name_what_went_in_and_out(emulator: Emulator):
    await put(emulator, b"123", b"45")
    await read(emulator, limit=1)

    counters = emulator.streams.stream("ticks").shards[0].counters

    assert (counters.incoming_records, counters.incoming_bytes) == (2, 5)
    assert (counters.outgoing_records, counters.outgoing_bytes) == (1, 3)
    assert counters.read_provisioned_throughput_exceeded == 0


async def test_a_failed_commit_stores_nothing_and_the_next_works(emulator: Emulator):
    def breaks(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO no_such_table VALUES (1)")

    async def submit_it() -> None:
        await emulator.commits.submit(breaks)

    outcomes = await asyncio.gather(
        put(emulator, b"lost"), submit_it(), return_exceptions=True
    )
    await put(emulator, b"kept")

    assert all(isinstance(outcome, sqlite3.Error) for outcome in outcomes)
    assert [record.data for record in (await read(emulator)).records] == [b"kept"]
