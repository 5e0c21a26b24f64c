"""SplitShard, MergeShards and UpdateShardCount: the shards of a stream are replaced.

The stream is UPDATING only while the change is being stored, and ACTIVE with its new
shards when the answer leaves. A parent keeps its records until they expire; its reader
comes to an end there and is told the children.
"""

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
from infra.local.kinesis.sequence import arrival_ms
from infra.local.kinesis.stream_messages import (
    MergeShards,
    ShardCounts,
    SplitShard,
    UpdateShardCount,
)
from infra.local.kinesis.streams import (
    MAX_SHARDS,
    Shard,
    Stream,
    even_hash_ranges,
    new_shard,
)


async def split_shard(emulator: Emulator, request: SplitShard) -> None:
    """Replace a shard by two, at a hash key inside its range."""
    stream = emulator.stream_of(request)
    shard = _open_shard(stream, request.shard_to_split)
    at = int(request.new_starting_hash_key)
    if not shard.hash_start + 1 < at < shard.hash_end:
        raise invalid_argument(
            f"NewStartingHashKey {at} used in SplitShard() on shard {shard.shard_id} in"
            f" stream {stream.name} under account {ACCOUNT_ID} is not both greater than"
            f" one plus the shard's StartingHashKey {shard.hash_start} and less than"
            f" the shard's EndingHashKey {shard.hash_end}."
        )
    if stream.open_shard_count + 1 > MAX_SHARDS:
        raise shard_limit_exceeded(MAX_SHARDS)
    resharding = _Resharding(emulator, stream)
    resharding.split(shard, at)
    await resharding.store()


async def merge_shards(emulator: Emulator, request: MergeShards) -> None:
    """Replace two neighbours by one."""
    stream = emulator.stream_of(request)
    merged = _open_shard(stream, request.shard_to_merge)
    adjacent = _open_shard(stream, request.adjacent_shard_to_merge)
    lower, upper = sorted((merged, adjacent), key=lambda shard: shard.hash_start)
    if lower.hash_end + 1 != upper.hash_start:
        raise invalid_argument(
            f"Shards {merged.shard_id} and {adjacent.shard_id} in stream"
            f" {stream.name} under account {ACCOUNT_ID} are not an adjacent pair of"
            " shards eligible for merging"
        )
    resharding = _Resharding(emulator, stream)
    resharding.merge(merged, adjacent)
    await resharding.store()


async def update_shard_count(
    emulator: Emulator, request: UpdateShardCount
) -> ShardCounts:
    """Split and merge until as many shards as asked for have equal ranges."""
    stream = emulator.stream_of(request)
    current, target = stream.open_shard_count, request.target_shard_count
    _check_target(current, target)
    ranges = even_hash_ranges(target)
    resharding = _Resharding(emulator, stream)
    for start, _ in ranges:
        resharding.cut(start)
    for start, end in ranges:
        resharding.join(start, end)
    await resharding.store()
    return ShardCounts(
        stream_name=stream.name,
        current_shard_count=current,
        target_shard_count=target,
        stream_arn=stream.arn,
    )


def _check_target(current: int, target: int) -> None:
    if target > MAX_SHARDS:
        raise shard_limit_exceeded(MAX_SHARDS)
    if current / 2 <= target <= current * 2:
        return
    bound = "up over double" if target > current else "down below half"
    raise ApiError(
        "LimitExceededException",
        f"UpdateShardCount cannot scale {bound} your current open shard count. Current"
        f" open shard count: {current}, Target shard count: {target}",
    )


def _open_shard(stream: Stream, shard_id: str) -> Shard:
    shard = stream.shard(shard_id)
    if shard.end_position is not None:
        raise invalid_argument(
            f"Shard {shard_id} in stream {stream.name} under account {ACCOUNT_ID} has"
            " already been merged or split, and thus is not eligible for merging or"
            " splitting."
        )
    return shard


class _Resharding:
    """Splits and merges of one request: known at once, stored in one commit.

    Records that come while it is being stored go to the new shards and are stored
    after them. If it cannot be stored, all is as before.
    """

    def __init__(self, emulator: Emulator, stream: Stream) -> None:
        if stream.is_updating:
            raise ApiError(
                "ResourceInUseException",
                f"Stream {stream.name} under account {ACCOUNT_ID} not ACTIVE, instead"
                " in state UPDATING",
            )
        self._emulator, self._stream = emulator, stream
        self._before = stream.shards
        self._closed: list[Shard] = []
        self._born: list[Shard] = []

    def split(self, shard: Shard, at: int) -> None:
        """Replace a shard by two; ``at`` is the first key of the second."""
        self._replace([shard], [(shard.hash_start, at - 1), (at, shard.hash_end)])

    def merge(self, shard: Shard, adjacent: Shard) -> None:
        """Replace two neighbours by one."""
        start = min(shard.hash_start, adjacent.hash_start)
        end = max(shard.hash_end, adjacent.hash_end)
        self._replace([shard, adjacent], [(start, end)])

    def cut(self, at: int) -> None:
        """Let a shard begin with a key."""
        shard = self._stream.route(at)
        if shard.hash_start != at:
            self.split(shard, at)

    def join(self, start: int, end: int) -> None:
        """Let one shard have all the keys of a range that shards begin and end."""
        while (shard := self._stream.route(start)).hash_end != end:
            self.merge(shard, self._stream.route(shard.hash_end + 1))

    def _replace(self, parents: list[Shard], ranges: list[tuple[int, int]]) -> None:
        now_ms = self._emulator.now_ms()
        ends = [parent.take_position(now_ms) for parent in parents]
        for parent, end in zip(parents, ends, strict=True):
            parent.end_position = end
        first_index = self._stream.shards[-1].index + 1
        children = [
            new_shard(
                self._stream.created_ms,
                index,
                bounds,
                created_ms=max(map(arrival_ms, ends)),
                limits=self._emulator.limits,
            )
            for index, bounds in enumerate(ranges, first_index)
        ]
        for child in children:
            child.set_parents(parents)
        self._closed += parents
        self._born += children
        self._stream.replace_shards([*self._stream.shards, *children])

    async def store(self) -> None:
        """Return once it is durable."""
        change = partial(
            changes.reshard,
            stream_name=self._stream.name,
            closed=self._closed,
            born=self._born,
        )
        self._emulator.streams.update_shards(self._stream)
        self._stream.is_updating = True
        try:
            await self._emulator.commits.submit(change)
        except sqlite3.Error:
            self._undo()
            raise
        finally:
            self._stream.is_updating = False
        for shard in self._closed:
            shard.close()

    def _undo(self) -> None:
        for shard in self._closed:
            shard.end_position = None
        self._stream.replace_shards(self._before)
        self._emulator.streams.update_shards(self._stream, forgotten=self._born)
