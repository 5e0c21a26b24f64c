"""Requests and responses about records: put them, find a place, get them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from infra.local.kinesis.messages import (
    Arn,
    Count,
    HashKey,
    HashKeyRange,
    Name,
    OfStream,
    Request,
    Response,
)

PartitionKey = Annotated[str, Meta(min_length=1, max_length=256)]
SequenceNumber = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,128})\Z")]


class Entry(
    Struct, rename="pascal", forbid_unknown_fields=True, kw_only=True, gc=False
):
    """A record to be put; the payload is base64 on the wire."""

    data: bytes
    partition_key: PartitionKey
    explicit_hash_key: HashKey | None = None


class PutRecord(OfStream, kw_only=True):
    """One record; positions rise anyway, so the number for ordering is not needed."""

    data: bytes
    partition_key: PartitionKey
    explicit_hash_key: HashKey | None = None
    sequence_number_for_ordering: SequenceNumber | None = None


class PutRecords(OfStream, kw_only=True):
    """Up to 500 records."""

    records: Annotated[list[Entry], Meta(min_length=1, max_length=500)]


class PutRecordResult(Response, kw_only=True):
    """Where the record was stored."""

    shard_id: str
    sequence_number: str


class EntryResult(Response, kw_only=True, gc=False):
    """Where an entry was stored, or why not."""

    shard_id: str | None = None
    sequence_number: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class PutRecordsResult(Response, kw_only=True):
    """One result for each entry, in their order."""

    failed_record_count: int
    records: list[EntryResult]


class GetShardIterator(OfStream, kw_only=True):
    """``timestamp`` is in seconds since the epoch."""

    shard_id: Name
    shard_iterator_type: Literal[
        "AT_SEQUENCE_NUMBER",
        "AFTER_SEQUENCE_NUMBER",
        "TRIM_HORIZON",
        "LATEST",
        "AT_TIMESTAMP",
    ]
    starting_sequence_number: SequenceNumber | None = None
    timestamp: float | None = None


class GetShardIteratorResult(Response, kw_only=True):
    """The answer to GetShardIterator."""

    shard_iterator: str


class GetRecords(Request, kw_only=True):
    """The iterator names the shard; the ARN may come along."""

    shard_iterator: Annotated[str, Meta(min_length=1, max_length=512)]
    limit: Count = 10_000
    stream_arn: Arn | None = field(name="StreamARN", default=None)


class Record(Response, kw_only=True, gc=False):
    """A stored record; the arrival time is in seconds since the epoch."""

    sequence_number: str
    approximate_arrival_timestamp: float
    data: bytes
    partition_key: str


class ChildShard(Response, kw_only=True):
    """A shard that continues a closed one."""

    shard_id: str
    parent_shards: list[str]
    hash_key_range: HashKeyRange


class GetRecordsResult(Response, kw_only=True):
    """The answer to GetRecords; no next iterator at the end of a closed shard."""

    records: list[Record]
    next_shard_iterator: str | None = None
    millis_behind_latest: int
    child_shards: list[ChildShard] | None = None
