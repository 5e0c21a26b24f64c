"""Reads a Kinesis stream from a moment on: the newest first, then what came before.

A page wants today's price at once and the whole of the forming minute soon, but a shard
gives 2 MB/s to all its readers together. So each shard is read in lanes: one follows
its tip, the others fetch the minutes before, the current one first, in small bites.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from conf.errors import RetryLater

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient
    from types_boto3_kinesis.type_defs import GetRecordsOutputTypeDef

MINUTES_BEFORE = 2
"""Whole minutes that are read besides the current one."""

CLOCK_MARGIN_S = 2.0
"""Kinesis refuses a moment ahead of its own clock."""

READ_BYTES = 1024 * 1024
"""Most that one call is to bring: the other readers need their share of the 2 MB/s."""

_FIRST_GUESS_BYTES = 4_096
_MAX_RECORDS = 10_000
_THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
    }
)
_GONE = frozenset({"ResourceNotFoundException", "InvalidArgumentException"})


class Throttled(RetryLater):
    """Another reader has used the shard's budget."""


class StreamGone(RetryLater):
    """There is no such stream, or it is another one than before: begin anew."""


@dataclass(slots=True)
class Lane:
    """A stretch of one shard, in Unix seconds of arrival, and how far it is read."""

    start_s: float
    end_s: float | None = None
    iterator: str | None = None
    last_read: str | None = None
    is_finished: bool = False

    def iterator_arguments(self) -> dict[str, Any]:
        """Return GetShardIterator's arguments for what is unread."""
        if self.last_read is None:
            return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self.start_s}
        return {
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
            "StartingSequenceNumber": self.last_read,
        }

    def ends(self, newest_arrival: datetime | None, behind_ms: int) -> bool:
        """Tell whether a read that brought these records was the last."""
        if self.end_s is None:
            return False
        if newest_arrival is None:
            return behind_ms == 0
        return newest_arrival.timestamp() >= self.end_s


class Course:
    """In which order one shard is read.

    Args:
        started_s: The head begins here, Unix seconds.
        minutes_before: Whole minutes before the one of ``started_s`` that are read
            too; None for a shard that did not exist then.

    Attributes:
        head: Follows the tip.
        past: The stretches before it, newest first.
        oldest_market_ns: Market clock of the oldest record found in the past.
    """

    def __init__(self, started_s: float, minutes_before: int | None) -> None:
        self.head = Lane(started_s)
        self.past = deque[Lane]()
        self.oldest_market_ns: int | None = None
        self._start_s, self._takes_past = started_s, True
        if minutes_before is None:
            self._start_s = 0.0  # nothing came before: nothing is missing
            return
        for minutes in range(minutes_before + 1):
            start_s = started_s // 60 * 60 - 60 * minutes
            self.past.append(Lane(start_s, self._start_s))
            self._start_s = start_s

    @property
    def is_finished(self) -> bool:
        """The shard was closed, and everything in it is read."""
        return self.head.is_finished and not self.past

    @property
    def whole_since_s(self) -> float:
        """Everything that arrived from this moment on is read."""
        return (self.past[0].end_s or 0.0) if self.past else self._start_s

    def next(self) -> Lane:
        """Return the lane whose turn it is: head and past take turns."""
        self._takes_past = bool(self.past) and (
            self.head.is_finished or not self._takes_past
        )
        return self.past[0] if self._takes_past else self.head

    def drop_finished(self) -> None:
        """Go on to the stretch before, if one is read to its end."""
        while self.past and self.past[0].is_finished:
            self.past.popleft()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one read brought; ``behind_ms`` is the age of what was not read yet."""

    payloads: list[bytes]
    behind_ms: int


class ShardReader:
    """The read calls of one stream, each with the errors that say how to react.

    Args:
        client: A client that does not retry by itself.
        stream: Name of the stream.
        where: Names the endpoint in errors.
    """

    def __init__(self, client: KinesisClient, stream: str, where: str) -> None:
        self._client, self._stream, self._where = client, stream, where
        self._record_bytes = float(_FIRST_GUESS_BYTES)

    def shards(self) -> list[str]:
        """Return the ids of all shards of the stream, closed ones too.

        Raises:
            StreamGone: There is no stream.
            RetryLater: Kinesis does not answer.
        """
        found, token = list[str](), None
        while True:
            wanted = {"NextToken": token} if token else {"StreamName": self._stream}
            with self._reacting():
                page = self._client.list_shards(**wanted)  # type: ignore[arg-type]
            found += [shard["ShardId"] for shard in page["Shards"]]
            token = page.get("NextToken")
            if not token:
                return found

    def read(self, shard: str, lane: Lane) -> Answer:
        """Return the next records of a lane and move it on.

        Raises:
            Throttled: Ask again after a rest.
            StreamGone: The stream is no longer the one that was read before.
            RetryLater: Kinesis does not answer.
        """
        limit = max(1, min(_MAX_RECORDS, int(READ_BYTES / self._record_bytes)))
        with self._reacting():
            page = self._get_records(shard, lane, limit)
        lane.iterator = page.get("NextShardIterator")
        records = page["Records"]
        behind_ms = page.get("MillisBehindLatest", 0)
        if records:
            lane.last_read = records[-1]["SequenceNumber"]
            self._learn_size([len(record["Data"]) for record in records])
        newest = records[-1]["ApproximateArrivalTimestamp"] if records else None
        lane.is_finished = not lane.iterator or lane.ends(newest, behind_ms)
        return Answer([record["Data"] for record in records], behind_ms)

    def _get_records(
        self, shard: str, lane: Lane, limit: int
    ) -> GetRecordsOutputTypeDef:
        if lane.iterator:
            try:
                return self._client.get_records(
                    ShardIterator=lane.iterator, Limit=limit
                )
            except self._client.exceptions.ExpiredIteratorException:
                pass  # five minutes without a read: the place is still known
        answer = self._client.get_shard_iterator(
            StreamName=self._stream, ShardId=shard, **lane.iterator_arguments()
        )
        lane.iterator = answer["ShardIterator"]
        return self._client.get_records(ShardIterator=lane.iterator, Limit=limit)

    def _learn_size(self, sizes: list[int]) -> None:
        mean = sum(sizes) / len(sizes)
        self._record_bytes = (self._record_bytes + max(mean, 1.0)) / 2

    @contextmanager
    def _reacting(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _THROTTLES:
                raise Throttled(f"{self._where}: {code}") from error
            if code in _GONE:
                raise StreamGone(f"{self._where}: {error}") from error
            raise RetryLater(f"{self._where}: {error}") from error
        except BotoCoreError as error:
            raise RetryLater(f"{self._where}: {error}") from error
