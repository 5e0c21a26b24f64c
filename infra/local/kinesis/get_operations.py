"""GetShardIterator and GetRecords: where a reader starts, and what comes next."""

from infra.local.kinesis import iterators
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.errors import (
    ApiError,
    invalid_argument,
    throughput_exceeded,
)
from infra.local.kinesis.iterators import ShardIterator
from infra.local.kinesis.limits import MIB
from infra.local.kinesis.listing_operations import hash_key_range
from infra.local.kinesis.record_messages import (
    ChildShard,
    GetRecords,
    GetRecordsResult,
    GetShardIterator,
    GetShardIteratorResult,
    Record,
)
from infra.local.kinesis.sequence import arrival_ms, position_at
from infra.local.kinesis.store import StoredRecord
from infra.local.kinesis.streams import Shard, Stream

MAX_RESPONSE_BYTES = 10 * MIB


async def get_shard_iterator(
    emulator: Emulator, request: GetShardIterator
) -> GetShardIteratorResult:
    """Return an iterator at the requested place, valid for five minutes."""
    stream = emulator.stream_of(request)
    shard = stream.shard(request.shard_id)
    now_ms = emulator.now_ms()
    position = _start(request, shard, now_ms)
    if not shard.budget.admit_iterator(now_ms):
        raise throughput_exceeded(shard.shard_id, stream.name)
    iterator = ShardIterator(shard.key, position, issued_ms=now_ms)
    return GetShardIteratorResult(shard_iterator=iterators.encode(iterator))


def _start(request: GetShardIterator, shard: Shard, now_ms: int) -> int:
    """Return the first position to read."""
    match request.shard_iterator_type:
        case "TRIM_HORIZON":
            return shard.start_position
        case "LATEST":
            return shard.tip + 1
        case "AT_TIMESTAMP":
            return position_at(_timestamp_ms(request, now_ms))
        case "AT_SEQUENCE_NUMBER":
            return _starting_position(request, shard)
        case "AFTER_SEQUENCE_NUMBER":
            return _starting_position(request, shard) + 1


def _timestamp_ms(request: GetShardIterator, now_ms: int) -> int:
    if request.timestamp is None:
        raise invalid_argument(
            "Must specify timestampInMillis parameter for iterator of type"
            " AT_TIMESTAMP. Current request has no timestamp parameter."
        )
    timestamp_ms = round(request.timestamp * 1000)
    if timestamp_ms > now_ms:
        raise invalid_argument(
            "The timestampInMillis parameter cannot be greater than the"
            f" currentTimestampInMillis. timestampInMillis: {timestamp_ms},"
            f" currentTimestampInMillis: {now_ms}"
        )
    return max(0, timestamp_ms)


def _starting_position(request: GetShardIterator, shard: Shard) -> int:
    number = request.starting_sequence_number
    if number is None:
        raise invalid_argument(
            f"StartingSequenceNumber must be given for {request.shard_iterator_type}."
        )
    try:
        return shard.position_of(number)
    except ValueError as error:
        raise invalid_argument(
            f"StartingSequenceNumber {number} used in GetShardIterator on shard"
            f" {shard.shard_id} in stream {request.stream_name} is invalid because it"
            " did not come from this shard."
        ) from error


async def get_records(emulator: Emulator, request: GetRecords) -> GetRecordsResult:
    """Return the next records of a shard, at most ``limit`` and 10 MiB."""
    now_ms = emulator.now_ms()
    iterator = _valid_iterator(request.shard_iterator, now_ms)
    stream, shard = _shard_of(emulator, iterator)
    if not shard.budget.admit_read(now_ms):
        shard.counters.read_provisioned_throughput_exceeded += 1
        raise throughput_exceeded(shard.shard_id, stream.name)
    start = max(iterator.position, emulator.trim_horizon(stream))
    rows = _read(emulator, shard, start, request.limit)
    shard.budget.charge_read(sum(len(key) + len(data) for _, key, data in rows))
    answer = _records(stream, shard, rows, start=start, now_ms=now_ms)
    _count(shard, answer)
    return answer


def _count(shard: Shard, answer: GetRecordsResult) -> None:
    counters = shard.counters
    counters.outgoing_records += len(answer.records)
    counters.outgoing_bytes += sum(len(record.data) for record in answer.records)
    counters.iterator_age_milliseconds = answer.millis_behind_latest


def _valid_iterator(token: str, now_ms: int) -> ShardIterator:
    try:
        iterator = iterators.decode(token)
    except ValueError as error:
        raise invalid_argument("Invalid ShardIterator.") from error
    if iterator.has_expired(now_ms):
        raise ApiError(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {iterator.issued_ms}"
            f" ms while right now it is {now_ms} ms which is further in the future than"
            f" the tolerated delay of {iterators.LIFETIME_MS} milliseconds.",
        )
    return iterator


def stream_name(emulator: Emulator, request: GetRecords) -> str | None:
    """Return the name of the stream an iterator is of, None if it is none of ours."""
    try:
        iterator = iterators.decode(request.shard_iterator)
    except ValueError:
        return None
    found = emulator.streams.shard(iterator.shard_key)
    return found and found[0].name


def _shard_of(emulator: Emulator, iterator: ShardIterator) -> tuple[Stream, Shard]:
    found = emulator.streams.shard(iterator.shard_key)
    if found is None:
        raise ApiError(
            "ResourceNotFoundException",
            "The stream of this ShardIterator does not exist any more.",
        )
    return found


def _read(
    emulator: Emulator, shard: Shard, start: int, limit: int
) -> list[StoredRecord]:
    if start > shard.tip:
        return []
    return emulator.store.read(
        shard.key, start, limit=limit, max_bytes=MAX_RESPONSE_BYTES
    )


def _records(
    stream: Stream,
    shard: Shard,
    rows: list[StoredRecord],
    *,
    start: int,
    now_ms: int,
) -> GetRecordsResult:
    next_position = rows[-1][0] + 1 if rows else start
    at_tip = not rows or next_position > shard.tip
    at_end = at_tip and shard.is_closed
    iterator = ShardIterator(shard.key, next_position, issued_ms=now_ms)
    return GetRecordsResult(
        records=[
            Record(
                sequence_number=shard.sequence_number(position),
                approximate_arrival_timestamp=arrival_ms(position) / 1000,
                data=data,
                partition_key=partition_key,
            )
            for position, partition_key, data in rows
        ],
        next_shard_iterator=None if at_end else iterators.encode(iterator),
        millis_behind_latest=0
        if at_tip
        else max(0, now_ms - arrival_ms(next_position)),
        child_shards=_children(stream, shard) if at_end else None,
    )


def _children(stream: Stream, parent: Shard) -> list[ChildShard]:
    return [
        ChildShard(
            shard_id=shard.shard_id,
            parent_shards=[
                parent_id
                for parent_id in (shard.parent_id, shard.adjacent_parent_id)
                if parent_id is not None
            ],
            hash_key_range=hash_key_range(shard),
        )
        for shard in stream.shards
        if parent.shard_id in (shard.parent_id, shard.adjacent_parent_id)
    ]
