"""Create and delete streams; change their retention."""

import sqlite3
from functools import partial

from infra.local.kinesis import changes
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.errors import (
    ACCOUNT_ID,
    ApiError,
    invalid_argument,
    shard_limit_exceeded,
)
from infra.local.kinesis.stream_messages import (
    ChangeRetention,
    CreateStream,
    DeleteStream,
)
from infra.local.kinesis.streams import MAX_SHARDS, Stream, even_hash_ranges, new_shard

MIN_RETENTION_HOURS, MAX_RETENTION_HOURS = 24, 8_760
_ON_DEMAND_SHARDS = 4


async def create_stream(emulator: Emulator, request: CreateStream) -> None:
    """Create a stream; it is ACTIVE when the answer leaves."""
    if request.stream_name in emulator.streams:
        raise ApiError(
            "ResourceInUseException",
            f"Stream {request.stream_name} under account {ACCOUNT_ID} already exists.",
        )
    stream = _new_stream(emulator, request)
    # known at once: the name is taken, and records put now are stored after it
    emulator.streams.add(stream)
    try:
        await emulator.commits.submit(partial(changes.insert_stream, stream=stream))
    except sqlite3.Error:
        emulator.streams.remove(stream)
        raise


def _new_stream(emulator: Emulator, request: CreateStream) -> Stream:
    created_ms = emulator.streams.creation_ms(emulator.now_ms())
    shards = [
        new_shard(
            created_ms, index, bounds, created_ms=created_ms, limits=emulator.limits
        )
        for index, bounds in enumerate(even_hash_ranges(_shard_count(request)))
    ]
    return Stream(
        name=request.stream_name,
        created_ms=created_ms,
        retention_hours=MIN_RETENTION_HOURS,
        mode=request.stream_mode_details.stream_mode,
        max_record_bytes=request.max_record_size_in_kib << 10,
        shards=shards,
    )


def _shard_count(request: CreateStream) -> int:
    if request.stream_mode_details.stream_mode == "ON_DEMAND":
        return _ON_DEMAND_SHARDS
    if request.shard_count is None:
        raise invalid_argument("ShardCount must be given for a PROVISIONED stream.")
    if request.shard_count > MAX_SHARDS:
        raise shard_limit_exceeded(MAX_SHARDS)
    return request.shard_count


async def delete_stream(emulator: Emulator, request: DeleteStream) -> None:
    """Delete a stream; the space of its records is freed in the background."""
    stream = emulator.stream_of(request)
    # forgotten at once: no record is acknowledged that goes with the stream
    emulator.streams.remove(stream)
    try:
        await emulator.commits.submit(
            partial(changes.delete_stream, stream_name=stream.name)
        )
    except sqlite3.Error:
        emulator.streams.add(stream)
        raise


async def increase_retention(emulator: Emulator, request: ChangeRetention) -> None:
    """Keep records longer."""
    stream, hours = _retention_change(emulator, request)
    if hours < stream.retention_hours:
        raise invalid_argument(
            f"Requested retention period ({hours} hours) for stream {stream.name}"
            " can not be shorter than existing retention period"
            f" ({stream.retention_hours} hours). Use DecreaseRetentionPeriod API."
        )
    await _set_retention(emulator, stream, hours)


async def decrease_retention(emulator: Emulator, request: ChangeRetention) -> None:
    """Keep records for a shorter time; older ones are gone at once."""
    stream, hours = _retention_change(emulator, request)
    if hours > stream.retention_hours:
        raise invalid_argument(
            f"Requested retention period ({hours} hours) for stream {stream.name}"
            " can not be longer than existing retention period"
            f" ({stream.retention_hours} hours). Use IncreaseRetentionPeriod API."
        )
    await _set_retention(emulator, stream, hours)


def _retention_change(
    emulator: Emulator, request: ChangeRetention
) -> tuple[Stream, int]:
    hours = request.retention_period_hours
    if hours < MIN_RETENTION_HOURS:
        raise invalid_argument(
            f"Minimum allowed retention period is {MIN_RETENTION_HOURS} hours."
            f" Requested retention period ({hours} hours) is too short."
        )
    if hours > MAX_RETENTION_HOURS:
        raise invalid_argument(
            f"Maximum allowed retention period is {MAX_RETENTION_HOURS} hours."
            f" Requested retention period ({hours} hours) is too long."
        )
    return emulator.stream_of(request), hours


async def _set_retention(emulator: Emulator, stream: Stream, hours: int) -> None:
    await emulator.commits.submit(
        partial(changes.set_retention, stream_name=stream.name, hours=hours)
    )
    stream.retention_hours = hours
