"""Requests and responses about streams and shards."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from infra.local.kinesis.messages import (
    Count,
    HashKey,
    HashKeyRange,
    Name,
    OfStream,
    Request,
    Response,
)
from infra.local.kinesis.streams import StreamMode

Tags = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=128)],
        Annotated[str, Meta(max_length=256)],
    ],
    Meta(min_length=1, max_length=200),
]
NextToken = Annotated[str, Meta(min_length=1, max_length=1_048_576)]


class StreamModeDetails(Struct, rename="pascal"):
    """Capacity mode; only PROVISIONED's limits are enforced, in both modes."""

    stream_mode: StreamMode


class CreateStream(Request, kw_only=True):
    """Records may have 10 MiB unless the request says less; AWS starts at 1 MiB.

    ``tags`` are taken and not kept: no operation here shows them.
    """

    stream_name: Name
    shard_count: Annotated[int, Meta(ge=1)] | None = None
    stream_mode_details: StreamModeDetails = field(
        default_factory=lambda: StreamModeDetails("PROVISIONED")
    )
    max_record_size_in_kib: Annotated[int, Meta(ge=1_024, le=10_240)] = field(
        name="MaxRecordSizeInKiB", default=10_240
    )
    tags: Tags | None = None


class DeleteStream(OfStream, kw_only=True):
    """There are no enhanced fan-out consumers that deletion could be blocked by."""

    enforce_consumer_deletion: bool = False


class ChangeRetention(OfStream, kw_only=True):
    """Increase or decrease, as the operation's name says."""

    retention_period_hours: int


class SplitShard(OfStream, kw_only=True):
    """The new shards are the keys below ``new_starting_hash_key`` and the rest."""

    shard_to_split: Name
    new_starting_hash_key: HashKey


class MergeShards(OfStream, kw_only=True):
    """Both shards are open, and one's keys follow the other's."""

    shard_to_merge: Name
    adjacent_shard_to_merge: Name


class UpdateShardCount(OfStream, kw_only=True):
    """Afterwards all open shards have equal ranges of hash keys."""

    target_shard_count: Annotated[int, Meta(ge=1)]
    scaling_type: Literal["UNIFORM_SCALING"]


class ShardCounts(Response, kw_only=True):
    """The answer to UpdateShardCount."""

    stream_name: str
    current_shard_count: int
    target_shard_count: int
    stream_arn: str = field(name="StreamARN")


class ListStreams(Request, kw_only=True):
    """One page of stream names; ``next_token`` is the last name of the page before."""

    limit: Count = 100
    exclusive_start_stream_name: Name | None = None
    next_token: NextToken | None = None


class StreamSummary(Response, kw_only=True):
    """A stream in a list."""

    stream_name: str
    stream_arn: str = field(name="StreamARN")
    stream_status: str
    stream_mode_details: StreamModeDetails
    stream_creation_timestamp: float


class StreamNames(Response, kw_only=True):
    """The answer to ListStreams."""

    stream_names: list[str]
    has_more_streams: bool
    next_token: str | None = None
    stream_summaries: list[StreamSummary]


class DescribeStream(OfStream, kw_only=True):
    """One page of shards with the stream's description around it."""

    limit: Count = 100
    exclusive_start_shard_id: Name | None = None


class DescribeStreamSummary(OfStream, kw_only=True):
    """The description without the shards."""


class ShardFilter(Struct, rename="pascal"):
    """Which shards ListShards returns; ``timestamp`` is in seconds since the epoch."""

    type: Literal[
        "AFTER_SHARD_ID",
        "AT_TRIM_HORIZON",
        "FROM_TRIM_HORIZON",
        "AT_LATEST",
        "AT_TIMESTAMP",
        "FROM_TIMESTAMP",
    ]
    shard_id: Name | None = None
    timestamp: float | None = None


class ListShards(OfStream, kw_only=True):
    """One page of shards; ``next_token`` replaces the stream's name."""

    next_token: NextToken | None = None
    exclusive_start_shard_id: Name | None = None
    max_results: Count = 1_000
    shard_filter: ShardFilter | None = None


class SequenceNumberRange(Response, kw_only=True):
    """The end is absent while the shard is open."""

    starting_sequence_number: str
    ending_sequence_number: str | None = None


class ShardDescription(Response, kw_only=True):
    """A shard, open or closed."""

    shard_id: str
    parent_shard_id: str | None = None
    adjacent_parent_shard_id: str | None = None
    hash_key_range: HashKeyRange
    sequence_number_range: SequenceNumberRange


class Shards(Response, kw_only=True):
    """The answer to ListShards."""

    shards: list[ShardDescription]
    next_token: str | None = None


class EnhancedMetrics(Struct, rename="pascal"):
    """No shard-level metrics."""

    shard_level_metrics: list[str] = []


class StreamFacts(Response, kw_only=True):
    """What both descriptions of a stream hold."""

    stream_name: str
    stream_arn: str = field(name="StreamARN")
    stream_status: str
    stream_mode_details: StreamModeDetails
    retention_period_hours: int
    stream_creation_timestamp: float
    enhanced_monitoring: list[EnhancedMetrics]
    encryption_type: str


class DetailedFacts(StreamFacts, kw_only=True):
    """A stream with one page of its shards."""

    shards: list[ShardDescription]
    has_more_shards: bool


class SummaryFacts(StreamFacts, kw_only=True):
    """A stream in numbers."""

    open_shard_count: int
    consumer_count: int
    max_record_size_in_kib: int = field(name="MaxRecordSizeInKiB")


class StreamDescription(Response, kw_only=True):
    """The answer to DescribeStream."""

    stream_description: DetailedFacts


class StreamDescriptionSummary(Response, kw_only=True):
    """The answer to DescribeStreamSummary."""

    stream_description_summary: SummaryFacts
