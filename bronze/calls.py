"""Kinesis's read calls on one stream, and what their errors ask for.

Nothing is retried here: what may work soon is ``RetryLater``.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 (botocore's own)
    HTTPClientError,
)

from bronze.positions import START, Position
from conf.errors import FixSetup, RetryLater

Record = dict[str, Any]
_SERVER_ERROR = 500
_LOOKS_FOR_OLDEST = 5
_TRANSIENT = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestTimeout",
        "ThrottlingException",
        "KMSThrottlingException",
    }
)


class IteratorExpired(RetryLater):
    """The iterator is more than five minutes old; a new one works."""


class Throttled(RetryLater):
    """Others use the shard's budget of reads."""


class Held(NamedTuple):
    """The oldest record that a shard still has."""

    sequence_number: str
    arrival_s: float

    def __str__(self) -> str:
        return f"{self.sequence_number} of {utc(self.arrival_s)}"


class StreamCalls:
    """The calls that read one stream.

    Args:
        client: A boto3 Kinesis client that does not retry, or anything with its calls.
        stream: Name of the stream.
    """

    def __init__(self, client: Any, stream: str) -> None:  # noqa: ANN401 (boto3)
        self._client, self.stream = client, stream

    def name(self, shard: str) -> str:
        """Return what messages call a shard."""
        return f"Kinesis stream {self.stream}, shard {shard}"

    def list_shards(self, **arguments: object) -> list[Record]:
        """Return all shards that the stream lists.

        Raises:
            RetryLater: Throttled, or Kinesis is away.
        """
        first = {"StreamName": self.stream, **arguments}
        page = self._call("list_shards", **first)
        shards: list[Record] = page["Shards"]
        while token := page.get("NextToken"):
            page = self._call("list_shards", NextToken=token)
            shards += page["Shards"]
        return shards

    def iterator(self, shard: str, position: Position) -> str | None:
        """Return an iterator of what follows a position, None if the shard is gone.

        Raises:
            FixSetup: The position is of another stream with this name.
            RetryLater: Throttled, or Kinesis is away.
        """
        try:
            answer = self._call(
                "get_shard_iterator",
                StreamName=self.stream,
                ShardId=shard,
                **position.iterator_arguments(),
            )
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException":
                return None
            if _code(error) != "InvalidArgumentException":
                raise
            raise FixSetup(
                self.name(shard),
                f"{position.place} is no record of it: the stream was made anew",
                "Begin a lake of its own for the new stream, or `make reset`",
            ) from error
        return str(answer["ShardIterator"])

    def records(self, iterator: str, limit: int) -> Record:
        """Return GetRecords's answer.

        Raises:
            IteratorExpired: Ask for a new one.
            RetryLater: Throttled, or Kinesis is away.
        """
        return self._call("get_records", ShardIterator=iterator, Limit=limit)

    def retention_s(self) -> float:
        """Return how long the stream keeps records."""
        answer = self._call("describe_stream_summary", StreamName=self.stream)
        hours: int = answer["StreamDescriptionSummary"]["RetentionPeriodHours"]
        return hours * 3600.0

    def oldest(self, shard: str) -> Held | None:
        """Return a shard's oldest record, None if it has none.

        Raises:
            RetryLater: It was not found within some reads.
        """
        iterator = self.iterator(shard, Position(START))
        for _ in range(_LOOKS_FOR_OLDEST):
            if not iterator:
                return None
            answer = self.records(iterator, 1)
            for record in answer["Records"]:
                return Held(record["SequenceNumber"], arrival_s(record))
            is_tip = not answer.get("MillisBehindLatest")
            iterator = None if is_tip else answer.get("NextShardIterator")
        raise RetryLater(f"{self.name(shard)}: its oldest record was not found")

    def _call(self, method: str, **arguments: object) -> Record:
        try:
            answer: Record = getattr(self._client, method)(**arguments)
        except (HTTPClientError, ConnectionError) as error:
            raise RetryLater(f"Kinesis stream {self.stream}: {error}") from error
        except ClientError as error:
            what = f"Kinesis stream {self.stream}: {error}"
            if _code(error) == "ExpiredIteratorException":
                raise IteratorExpired(what) from error
            if _code(error) in _TRANSIENT:
                raise Throttled(what) from error
            if _status(error) >= _SERVER_ERROR:
                raise RetryLater(what) from error
            raise
        return answer


def arrival_s(record: Record) -> float:
    """Return when Kinesis took a record, in seconds since the epoch."""
    return float(record["ApproximateArrivalTimestamp"].timestamp())


def utc(seconds: float) -> str:
    """Return a time as a person reads it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
