"""Delete what retention no longer keeps, a little at a time."""

import asyncio
import sqlite3
from functools import partial

from conf import logs
from infra.local.kinesis import changes
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.streams import Stream

_RECORDS_PER_STEP = 200
_PAUSE_AFTER_STEP_S = 0.02
_PAUSE_AFTER_SWEEP_S = 10
_EVERYTHING = (1 << 63) - 1

_log = logs.get_logger("infra.local.kinesis.retention")


async def trim_forever(emulator: Emulator) -> None:
    """Sweep all shards, again and again, until cancelled.

    The steps are small, because puts wait while one runs; at full steps they still
    delete faster than the shards of one stream fill.
    """
    while True:
        try:
            await note_alive(emulator)
            await trim_once(emulator)
        except sqlite3.Error:
            # a full disk; the next sweep tries again
            _log.exception("trim_failed")
        await asyncio.sleep(_PAUSE_AFTER_SWEEP_S)


async def note_alive(emulator: Emulator) -> None:
    """Store that the process runs, and the pause before, if there was one."""
    at_ms, pause = emulator.note_alive()
    await emulator.commits.submit(partial(changes.note_alive, at_ms=at_ms, pause=pause))


async def trim_once(emulator: Emulator) -> None:
    """Delete all expired records and shards, and all records of deleted streams."""
    for shard_key in emulator.store.shard_keys_with_records():
        while await _trim_step(emulator, shard_key) == _RECORDS_PER_STEP:
            await asyncio.sleep(_PAUSE_AFTER_STEP_S)
    for stream in emulator.streams:
        await _forget_shards(emulator, stream)


async def _trim_step(emulator: Emulator, shard_key: int) -> int:
    found = emulator.streams.shard(shard_key)
    horizon = _EVERYTHING if found is None else emulator.trim_horizon(found[0])
    records, payload_bytes = await emulator.commits.submit(
        partial(
            changes.trim, shard_key=shard_key, before=horizon, limit=_RECORDS_PER_STEP
        )
    )
    if found is not None:
        found[1].trimmed(records, payload_bytes)
    return records


async def _forget_shards(emulator: Emulator, stream: Stream) -> None:
    """Forget the closed shards whose records have all expired, as AWS does."""
    horizon = emulator.trim_horizon(stream)
    forgotten = [
        shard
        for shard in stream.shards
        if shard.is_closed
        and shard.records == 0
        and (shard.end_position or horizon) < horizon
    ]
    if not forgotten:
        return
    keys = [shard.key for shard in forgotten]
    await emulator.commits.submit(partial(changes.delete_shards, shard_keys=keys))
    stream.replace_shards([shard for shard in stream.shards if shard.key not in keys])
    emulator.streams.update_shards(stream, forgotten)
