"""PutRecord and PutRecords: validate, route, spend the shard's budget, store."""

from functools import partial

from infra.local.kinesis import changes
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.errors import (
    AnswerLost,
    ApiError,
    internal_failure,
    invalid_argument,
    invalid_request,
    throughput_exceeded,
)
from infra.local.kinesis.faults import Action
from infra.local.kinesis.limits import MIB
from infra.local.kinesis.record_messages import (
    Entry,
    EntryResult,
    PutRecord,
    PutRecordResult,
    PutRecords,
    PutRecordsResult,
)
from infra.local.kinesis.streams import HASH_KEYS, Shard, Stream, hash_key

MAX_REQUEST_BYTES = 10 * MIB

AnyEntry = Entry | PutRecord


async def put_record(emulator: Emulator, request: PutRecord) -> PutRecordResult:
    """Store one record."""
    stream = emulator.stream_of(request)
    shard = _checked_route(stream, request)
    size_bytes = _size_bytes(request)
    if not shard.budget.admit_write(size_bytes, emulator.now_ms()):
        shard.counters.write_provisioned_throughput_exceeded += 1
        raise throughput_exceeded(shard.shard_id, stream.name)
    batch = _Batch(emulator, stream, "PutRecord")
    position = batch.add(shard, request)
    await batch.store()
    return PutRecordResult(
        shard_id=shard.shard_id, sequence_number=shard.sequence_number(position)
    )


async def put_records(emulator: Emulator, request: PutRecords) -> PutRecordsResult:
    """Store up to 500 records; each succeeds or fails for itself."""
    stream = emulator.stream_of(request)
    shards = [_checked_route(stream, entry) for entry in request.records]
    if sum(map(_size_bytes, request.records)) > MAX_REQUEST_BYTES:
        raise invalid_argument("Records size exceeds 10 MiB limit")
    batch = _Batch(emulator, stream, "PutRecords")
    results = [
        batch.try_add(shard, entry)
        for shard, entry in zip(shards, request.records, strict=True)
    ]
    await batch.store()
    return PutRecordsResult(
        failed_record_count=sum(result.error_code is not None for result in results),
        records=results,
    )


def _size_bytes(entry: AnyEntry) -> int:
    return len(entry.data) + len(entry.partition_key.encode())


def _checked_route(stream: Stream, entry: AnyEntry) -> Shard:
    """Return the shard of an entry that the stream accepts."""
    if _size_bytes(entry) > stream.max_record_bytes:
        raise invalid_request(
            "partition key and data must have a length of at most"
            f" {stream.max_record_bytes} bytes together"
        )
    if entry.explicit_hash_key is None:
        return stream.route(hash_key(entry.partition_key))
    key = int(entry.explicit_hash_key)
    if key >= HASH_KEYS:
        raise invalid_argument(
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range:"
            f" [0, 2^128-1]. Specified value was {key}"
        )
    return stream.route(key)


class _Batch:
    """The admitted records of one request, stored by one change."""

    def __init__(self, emulator: Emulator, stream: Stream, operation: str) -> None:
        self._emulator, self._stream = emulator, stream
        self._resets = emulator.faults.strikes(
            "emulator:put-then-reset", operation, stream.name
        )
        self._now_ms = emulator.now_ms()
        self._appends: dict[int, changes.Append] = {}
        self._duplicates: list[changes.InjectedDuplicate] = []

    def try_add(self, shard: Shard, entry: Entry) -> EntryResult:
        if not shard.budget.admit_write(_size_bytes(entry), self._now_ms):
            shard.counters.write_provisioned_throughput_exceeded += 1
            return _failed(throughput_exceeded(shard.shard_id, self._stream.name))
        if self._strikes("emulator:put-records-entry-failure"):
            return _failed(internal_failure())
        position = self.add(shard, entry)
        if self._strikes("emulator:put-records-entry-stored"):
            if not self._resets:
                self._note_duplicate(shard, position)
            return _failed(internal_failure())
        return EntryResult(
            shard_id=shard.shard_id, sequence_number=shard.sequence_number(position)
        )

    def _strikes(self, action: Action) -> bool:
        return self._emulator.faults.strikes(action, "PutRecords", self._stream.name)

    def _note_duplicate(self, shard: Shard, position: int) -> None:
        self._duplicates.append(
            changes.InjectedDuplicate(
                self._stream.name, shard.shard_id, shard.sequence_number(position)
            )
        )

    def add(self, shard: Shard, entry: AnyEntry) -> int:
        append = self._appends.get(shard.key)
        if append is None:
            append = self._appends[shard.key] = changes.Append(shard)
        position = shard.take_position(self._now_ms)
        append.add(position, entry.partition_key, entry.data)
        if self._resets:
            self._note_duplicate(shard, position)
        return position

    async def store(self) -> None:
        """Return once every record of the batch is durable.

        Raises:
            AnswerLost: They are, and nobody may be told.
        """
        await self._emulator.commits.submit(
            partial(
                changes.append,
                appends=self._appends.values(),
                duplicates=self._duplicates,
            )
        )
        for append in self._appends.values():
            append.shard.stored(append.tip, len(append.rows), append.payload_bytes)
        if self._resets:
            raise AnswerLost


def _failed(error: ApiError) -> EntryResult:
    return EntryResult(error_code=error.code, error_message=error.message)
