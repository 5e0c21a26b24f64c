"""Describe and list streams and shards, page by page."""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from infra.local.kinesis import messages, stream_messages
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.errors import invalid_argument
from infra.local.kinesis.sequence import arrival_ms
from infra.local.kinesis.streams import Shard, Stream

_DESCRIBED_SHARDS = 100

T = TypeVar("T")


async def list_streams(
    emulator: Emulator, request: stream_messages.ListStreams
) -> stream_messages.StreamNames:
    """Return one page of streams in the order of their names."""
    after = request.next_token or request.exclusive_start_stream_name or ""
    streams = [stream for stream in emulator.streams if stream.name > after]
    page = streams[: request.limit]
    has_more = len(streams) > len(page)
    return stream_messages.StreamNames(
        stream_names=[stream.name for stream in page],
        has_more_streams=has_more,
        next_token=page[-1].name if has_more else None,
        stream_summaries=[stream_messages.StreamSummary(**_identity(s)) for s in page],
    )


async def describe_stream(
    emulator: Emulator, request: stream_messages.DescribeStream
) -> stream_messages.StreamDescription:
    """Return a stream with one page of its shards."""
    stream = emulator.stream_of(request)
    shards = _after(stream.shards, request.exclusive_start_shard_id)
    page = shards[: min(request.limit, _DESCRIBED_SHARDS)]
    return stream_messages.StreamDescription(
        stream_description=stream_messages.DetailedFacts(
            **_identity(stream),
            **_settings(stream),
            shards=[_description(shard) for shard in page],
            has_more_shards=len(shards) > len(page),
        )
    )


async def describe_stream_summary(
    emulator: Emulator, request: stream_messages.DescribeStreamSummary
) -> stream_messages.StreamDescriptionSummary:
    """Return a stream without its shards."""
    stream = emulator.stream_of(request)
    return stream_messages.StreamDescriptionSummary(
        stream_description_summary=stream_messages.SummaryFacts(
            **_identity(stream),
            **_settings(stream),
            open_shard_count=stream.open_shard_count,
            consumer_count=0,
            max_record_size_in_kib=stream.max_record_bytes >> 10,
        )
    )


async def list_shards(
    emulator: Emulator, request: stream_messages.ListShards
) -> stream_messages.Shards:
    """Return one page of shards; the token holds the request for the next page."""
    if request.next_token is not None:
        request = _resumed(request, request.next_token)
    stream = emulator.stream_of(request)
    horizon_ms = arrival_ms(emulator.trim_horizon(stream))
    oldest_ms = max(stream.created_ms, horizon_ms)
    chosen = [s for s in stream.shards if _passes(s, request.shard_filter, oldest_ms)]
    shards = _after(chosen, request.exclusive_start_shard_id)
    page = shards[: request.max_results]
    token = None
    if len(shards) > len(page):
        request.exclusive_start_shard_id = page[-1].shard_id
        token = base64.b64encode(msgspec.json.encode(request)).decode()
    return stream_messages.Shards(
        shards=[_description(shard) for shard in page], next_token=token
    )


def _resumed(
    request: stream_messages.ListShards, token: str
) -> stream_messages.ListShards:
    if request.stream_name is not None or request.stream_arn is not None:
        raise invalid_argument("NextToken and StreamName cannot be provided together.")
    try:
        raw = base64.b64decode(token, validate=True)
        return msgspec.json.decode(raw, type=stream_messages.ListShards)
    except (binascii.Error, msgspec.MsgspecError) as error:
        raise invalid_argument("Invalid NextToken.") from error


def _passes(
    shard: Shard, wanted: stream_messages.ShardFilter | None, oldest_ms: float
) -> bool:
    if wanted is None:
        return _was_open_since(shard, oldest_ms)
    if wanted.type == "AFTER_SHARD_ID":
        return shard.shard_id > _given(wanted.shard_id, "ShardId")
    if wanted.type == "AT_LATEST":
        return shard.end_position is None
    time_ms = oldest_ms
    if wanted.type.endswith("TIMESTAMP"):
        time_ms = _given(wanted.timestamp, "Timestamp") * 1000
    if wanted.type.startswith("AT"):
        return _was_open_at(shard, time_ms)
    return _was_open_since(shard, time_ms)


def _given(value: T | None, name: str) -> T:
    if value is None:
        raise invalid_argument(f"{name} must be given for this type of ShardFilter.")
    return value


def _was_open_at(shard: Shard, time_ms: float) -> bool:
    return shard.created_ms <= time_ms and _was_open_since(shard, time_ms)


def _was_open_since(shard: Shard, time_ms: float) -> bool:
    return shard.end_position is None or arrival_ms(shard.end_position) >= time_ms


def _after(shards: list[Shard], shard_id: str | None) -> list[Shard]:
    return [shard for shard in shards if shard.shard_id > (shard_id or "")]


def _identity(stream: Stream) -> dict[str, Any]:
    return {
        "stream_name": stream.name,
        "stream_arn": stream.arn,
        "stream_status": "UPDATING" if stream.is_updating else "ACTIVE",
        "stream_mode_details": stream_messages.StreamModeDetails(stream.mode),
        "stream_creation_timestamp": stream.created_ms / 1000,
    }


def _settings(stream: Stream) -> dict[str, Any]:
    return {
        "retention_period_hours": stream.retention_hours,
        "enhanced_monitoring": [stream_messages.EnhancedMetrics()],
        "encryption_type": "NONE",
    }


def hash_key_range(shard: Shard) -> messages.HashKeyRange:
    """Return the shard's range as AWS writes it."""
    return messages.HashKeyRange(str(shard.hash_start), str(shard.hash_end))


def _description(shard: Shard) -> stream_messages.ShardDescription:
    end = shard.end_position
    return stream_messages.ShardDescription(
        shard_id=shard.shard_id,
        parent_shard_id=shard.parent_id,
        adjacent_parent_shard_id=shard.adjacent_parent_id,
        hash_key_range=hash_key_range(shard),
        sequence_number_range=stream_messages.SequenceNumberRange(
            starting_sequence_number=shard.sequence_number(shard.start_position),
            ending_sequence_number=None if end is None else shard.sequence_number(end),
        ),
    )
