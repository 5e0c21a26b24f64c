"""Kinesis itself: the stream, and one PutRecords call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's own)
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

from conf.errors import FixSetup, RetryLater
from conf.logs import get_logger

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

    from conf.settings import KinesisSettings
    from producer.batcher import Record

MAX_ENTRIES = 500
MAX_CALL_BYTES = 5 * 1024 * 1024
"""Of one PutRecords call; a single larger record goes alone."""

PutRecords = Callable[[list["Record"]], list[str | None]]
"""Stores records; returns each one's error code, None when it is stored.

Raises:
    RetryLater: Nothing is known to be stored; the same records may be sent again.
    FixSetup: No call will work until a person acts.
"""

_THROTTLES = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "KMSThrottlingException",
    }
)
_log = get_logger(__name__)


def ensure_stream(client: KinesisClient, settings: KinesisSettings) -> None:
    """Create the stream if it is absent and the endpoint is not AWS itself.

    Raises:
        FixSetup: The stream is absent on AWS.
        RetryLater: The endpoint does not answer yet.
    """
    name = settings.stream_name
    try:
        client.describe_stream_summary(StreamName=name)
    except client.exceptions.ResourceNotFoundException:
        if settings.endpoint_url is None:
            raise FixSetup(
                "kinesis.stream_name",
                f"no stream {name!r} in {settings.region}",
                "Create it (make deploy) or name one that exists",
            ) from None
        _create_stream(client, settings)
    except (ClientError, BotoCoreError) as error:
        raise reaction(error, settings) from error


def _create_stream(client: KinesisClient, settings: KinesisSettings) -> None:
    try:
        client.create_stream(
            StreamName=settings.stream_name, ShardCount=settings.shards
        )
        client.get_waiter("stream_exists").wait(
            StreamName=settings.stream_name,
            WaiterConfig={"Delay": 1, "MaxAttempts": 30},
        )
    except client.exceptions.ResourceInUseException:
        return  # someone else was quicker
    except (ClientError, BotoCoreError) as error:
        raise reaction(error, settings) from error
    _log.info("stream created", stream=settings.stream_name, shards=settings.shards)


def put_records(client: KinesisClient, settings: KinesisSettings) -> PutRecords:
    """Return the function that stores up to 500 records by one call."""

    def put(records: list[Record]) -> list[str | None]:
        entries = [
            {"Data": record.data, "PartitionKey": record.partition_key}
            for record in records
        ]
        try:
            answer = client.put_records(
                StreamName=settings.stream_name,
                Records=entries,  # type: ignore[arg-type]  # the stub wants its TypedDict
            )
        except (ClientError, BotoCoreError) as error:
            raise reaction(error, settings) from error
        return [entry.get("ErrorCode") for entry in answer["Records"]]

    return put


def reaction(
    error: ClientError | BotoCoreError, settings: KinesisSettings
) -> FixSetup | RetryLater:
    """Return the exception that says how to react to a failed call."""
    where = settings.endpoint_url or f"Kinesis in {settings.region}"
    match error:
        case NoCredentialsError() | PartialCredentialsError():
            return FixSetup("AWS credentials", str(error), "Run: aws configure")
        case ClientError(response=answer):
            code = answer["Error"]["Code"]
            status = answer["ResponseMetadata"]["HTTPStatusCode"]
            if status >= 500 or code in _THROTTLES:
                return RetryLater(f"{where}: {code}")
            return FixSetup(
                f"kinesis.stream_name {settings.stream_name!r} at {where}",
                str(error),
                "Check the stream's name and the permissions of these credentials",
            )
        case HTTPClientError() | ConnectionError():
            return RetryLater(f"{where}: {error}")
    return FixSetup(where, str(error), "Check the section [kinesis] of the settings")
