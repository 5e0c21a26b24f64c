"""The last heartbeat in the stream: where a producer ended whose disk is gone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import stamina
from botocore.exceptions import BotoCoreError, ClientError

from conf.market.envelope import HEARTBEAT_KEY
from producer.heartbeat import decode_heartbeat
from producer.kinesis import reaction

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient
    from types_boto3_kinesis.type_defs import GetRecordsOutputTypeDef

    from conf.settings import KinesisSettings
    from producer.mark import Mark

_WINDOWS = (
    timedelta(seconds=4),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(hours=2),
    timedelta(hours=24),
)
_READ_EVERY_S = 0.25  # a shard allows 5 reads a second over all readers


def last_heartbeat(client: KinesisClient, settings: KinesisSettings) -> Mark | None:
    """Return what the newest heartbeat of the last 24 hours tells, None without one.

    Looks at the last seconds first, then further back, as far as there was a stream:
    while nobody wrote, there is little to read.

    Raises:
        RetryLater: The endpoint does not answer.
    """
    now = datetime.now(UTC)
    try:
        shards = client.list_shards(StreamName=settings.stream_name)["Shards"]
        created = _creation_time(client, settings)
        until = now + timedelta(minutes=1)
        for window in _WINDOWS:
            since = now - window
            marks = [
                mark
                for shard in shards
                for mark in _heartbeats(
                    client, settings, shard["ShardId"], since, until
                )
            ]
            if marks:
                return max(marks, key=lambda mark: mark.received_until_ns)
            if since < created:
                return None
            until = since
    except (ClientError, BotoCoreError) as error:
        raise reaction(error, settings) from error
    return None


def _heartbeats(
    client: KinesisClient,
    settings: KinesisSettings,
    shard_id: str,
    since: datetime,
    until: datetime,
) -> list[Mark]:
    """Return what the heartbeats of one shard tell that arrived in [since, until)."""
    cursor: str | None = client.get_shard_iterator(
        StreamName=settings.stream_name,
        ShardId=shard_id,
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=since,
    )["ShardIterator"]
    found: list[Mark] = []
    while cursor:
        answer = _read(client, cursor)
        for record in answer["Records"]:
            if record["ApproximateArrivalTimestamp"] >= until:
                return found
            if record["PartitionKey"] == HEARTBEAT_KEY:
                mark = decode_heartbeat(record["Data"])
                found += [mark] if mark else []
        time.sleep(_READ_EVERY_S)
        cursor = answer.get("NextShardIterator")
        if not answer["MillisBehindLatest"]:
            break
    return found


def _creation_time(client: KinesisClient, settings: KinesisSettings) -> datetime:
    summary = client.describe_stream_summary(StreamName=settings.stream_name)
    return summary["StreamDescriptionSummary"]["StreamCreationTimestamp"]


def _is_throttled(error: Exception) -> bool:
    code = "ProvisionedThroughputExceededException"
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == code


@stamina.retry(on=_is_throttled, attempts=20, timeout=30, wait_initial=0.2, wait_max=1)
def _read(client: KinesisClient, cursor: str) -> GetRecordsOutputTypeDef:
    """Read once; bronze and the live tail may have used up the shard's reads."""
    return client.get_records(ShardIterator=cursor)
