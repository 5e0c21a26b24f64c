"""Streams and their shards: which shard a record goes to, and its next position."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from infra.local.kinesis import sequence
from infra.local.kinesis.errors import ACCOUNT_ID, shard_not_found, stream_not_found
from infra.local.kinesis.limits import Limits, ShardBudget

REGION = "us-east-1"
HASH_KEYS = 1 << 128
MAX_SHARDS = 500
"""Open ones of one stream; AWS's default in most regions."""
HOUR_MS = 3_600_000

StreamMode = Literal["PROVISIONED", "ON_DEMAND"]


def hash_key(partition_key: str) -> int:
    """Return the MD5 of the key as a 128-bit integer, which is AWS's definition."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


def even_hash_ranges(count: int) -> list[tuple[int, int]]:
    """Split the hash keys into ``count`` ranges, both ends inclusive."""
    width = HASH_KEYS // count
    starts = [width * index for index in range(count)]
    ends = [start - 1 for start in [*starts[1:], HASH_KEYS]]
    return list(zip(starts, ends, strict=True))


def shard_key(stream_created_ms: int, index: int) -> int:
    """Return a shard's number in the store, which no later stream's shard has."""
    return stream_created_ms << 16 | index


def new_shard(
    stream_created_ms: int,
    index: int,
    hash_range: tuple[int, int],
    *,
    created_ms: int,
    limits: Limits,
) -> "Shard":
    """Return an open shard without records."""
    hash_start, hash_end = hash_range
    return Shard(
        key=shard_key(stream_created_ms, index),
        index=index,
        hash_start=hash_start,
        hash_end=hash_end,
        created_ms=created_ms,
        last_position=sequence.position_at(created_ms),
        tip=sequence.position_at(created_ms),
        budget=ShardBudget(limits),
    )


class ShardCounters(Struct, rename="pascal"):
    """Sums since the start, named as the shard-level metrics of CloudWatch."""

    incoming_bytes: int = 0
    incoming_records: int = 0
    outgoing_bytes: int = 0
    outgoing_records: int = 0
    write_provisioned_throughput_exceeded: int = 0
    read_provisioned_throughput_exceeded: int = 0
    iterator_age_milliseconds: int = 0
    """Of the last GetRecords: how old what it read last is; 0 at the tip."""


@dataclass(slots=True, kw_only=True)
class Shard:
    """One shard; a range of hash keys, closed once it has been split or merged."""

    key: int
    """The shard in the store; see ``shard_key``."""
    index: int
    hash_start: int
    hash_end: int
    created_ms: int
    last_position: int
    """The highest position given out."""
    tip: int
    """The highest position that is stored."""
    budget: ShardBudget
    records: int = 0
    payload_bytes: int = 0
    end_position: int | None = None
    """Above all records of a closed shard; None while it is open."""
    is_closed: bool = False
    """The end is stored: nothing will follow the tip."""
    parent_id: str | None = None
    adjacent_parent_id: str | None = None
    counters: ShardCounters = field(default_factory=ShardCounters)
    shard_id: str = field(init=False)
    _sequence_base: int = field(init=False)

    def __post_init__(self) -> None:
        self.shard_id = f"shardId-{self.index:012d}"
        self._sequence_base = sequence.sequence_base(self.index, self.created_ms)

    @property
    def start_position(self) -> int:
        """A position below those of all records."""
        return sequence.position_at(self.created_ms)

    def sequence_number(self, position: int) -> str:
        """Return the sequence number of a position."""
        return sequence.sequence_number(self._sequence_base, position)

    def position_of(self, number: str) -> int:
        """Return the position of a sequence number.

        Raises:
            ValueError: The number is not of this shard.
        """
        return sequence.position_of(self._sequence_base, number)

    def take_position(self, now_ms: int) -> int:
        """Give out the next position."""
        self.last_position = sequence.next_position(self.last_position, now_ms)
        return self.last_position

    def set_parents(self, parents: Sequence["Shard"]) -> None:
        """Name the one or two shards that this one continues."""
        self.parent_id = parents[0].shard_id
        if len(parents) > 1:
            self.adjacent_parent_id = parents[1].shard_id

    def close(self) -> None:
        """Note that the end is stored, and with it all that came before it."""
        self.is_closed = True

    def stored(self, tip: int, records: int, payload_bytes: int) -> None:
        """Note that records up to ``tip`` are durable and can be read."""
        self.tip = max(self.tip, tip)
        self.records += records
        self.payload_bytes += payload_bytes
        self.counters.incoming_records += records
        self.counters.incoming_bytes += payload_bytes

    def trimmed(self, records: int, payload_bytes: int) -> None:
        """Note that expired records are gone."""
        self.records -= records
        self.payload_bytes -= payload_bytes


@dataclass(slots=True, kw_only=True)
class Stream:
    """A named stream and its shards in the order of their index."""

    name: str
    created_ms: int
    retention_hours: int
    mode: StreamMode
    max_record_bytes: int
    shards: list[Shard]
    is_updating: bool = False
    _open_shards: list[Shard] = field(init=False)
    _range_starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.replace_shards(self.shards)

    def replace_shards(self, shards: list[Shard]) -> None:
        """Take these shards, in the order of their index, from now on."""
        self.shards = shards
        self._open_shards = sorted(
            (shard for shard in shards if shard.end_position is None),
            key=lambda shard: shard.hash_start,
        )
        self._range_starts = [shard.hash_start for shard in self._open_shards]

    @property
    def open_shards(self) -> list[Shard]:
        """The shards that take records, in the order of their hash ranges."""
        return list(self._open_shards)

    @property
    def arn(self) -> str:
        """The Amazon resource name."""
        return f"arn:aws:kinesis:{REGION}:{ACCOUNT_ID}:stream/{self.name}"

    @property
    def open_shard_count(self) -> int:
        """How many shards take records."""
        return len(self._open_shards)

    def route(self, key: int) -> Shard:
        """Return the open shard whose range holds the hash key."""
        return self._open_shards[bisect_right(self._range_starts, key) - 1]

    def shard(self, shard_id: str) -> Shard:
        """Return a shard by its id.

        Raises:
            ApiError: ResourceNotFoundException.
        """
        for shard in self.shards:
            if shard.shard_id == shard_id:
                return shard
        raise shard_not_found(shard_id, self.name)


class Registry:
    """All streams of the emulator, by name and by shard key."""

    def __init__(self, streams: Iterable[Stream]) -> None:
        self._by_name: dict[str, Stream] = {}
        self._by_shard_key: dict[int, tuple[Stream, Shard]] = {}
        self._latest_created_ms = 0
        for stream in streams:
            self.add(stream)

    def add(self, stream: Stream) -> None:
        """Make a stream known."""
        self._latest_created_ms = max(self._latest_created_ms, stream.created_ms)
        self._by_name[stream.name] = stream
        self.update_shards(stream)

    def update_shards(self, stream: Stream, forgotten: Iterable[Shard] = ()) -> None:
        """Make a stream's new shards known, and forget others."""
        self._by_shard_key |= {shard.key: (stream, shard) for shard in stream.shards}
        for shard in forgotten:
            self._by_shard_key.pop(shard.key, None)

    def creation_ms(self, now_ms: int) -> int:
        """Return a creation time that no stream has had, deleted ones included."""
        return max(now_ms, self._latest_created_ms + 1)

    def remove(self, stream: Stream) -> None:
        """Forget a stream, if it is still known."""
        self._by_name.pop(stream.name, None)
        self.update_shards(stream, forgotten=stream.shards)

    def __iter__(self) -> Iterator[Stream]:
        """Iterate over the streams in the order of their names."""
        return iter(sorted(self._by_name.values(), key=lambda stream: stream.name))

    def __contains__(self, name: str) -> bool:
        """Tell whether a stream has this name."""
        return name in self._by_name

    def stream(self, name: str) -> Stream:
        """Return a stream by its name.

        Raises:
            ApiError: ResourceNotFoundException.
        """
        if name not in self._by_name:
            raise stream_not_found(name)
        return self._by_name[name]

    def shard(self, key: int) -> tuple[Stream, Shard] | None:
        """Return the shard with this key and its stream, None once it is deleted."""
        return self._by_shard_key.get(key)
