"""Looks into shards: what is in the records, without being in anyone's way.

A shard answers five reads and 2 MB a second for all its readers together. This one
reads each shard once a second and, by the size of the records so far, a fifth of that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from conf.errors import FixSetup, RetryLater
from conf.market.envelope import Header, Line, unpack
from conf.market.rfc3339 import parse_ns
from producer.kinesis import reaction

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient
    from types_boto3_kinesis.type_defs import RecordTypeDef

    from conf.settings import KinesisSettings

READ_EVERY_S = 1.0
READ_BYTES = 400_000
_FIRST_GUESS_BYTES = 25_000.0
_MOST_FAILURES = 10


class Start(msgspec.Struct, frozen=True):
    """Where to begin, as Kinesis names it."""

    kind: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]
    time: datetime | None = None


class Seen(msgspec.Struct, frozen=True):
    """One record. Either ``header`` and ``lines``, or ``error`` says what it is not."""

    shard_id: str
    sequence_number: str
    arrival: datetime
    partition_key: str
    bytes: int
    header: Header | None = None
    lines: list[Line] = []
    error: str | None = None


def start_at(text: str) -> Start:
    """Return where to begin: ``trim_horizon``, ``latest`` or an RFC 3339 time.

    Raises:
        ValueError: It is none of these.
    """
    match text.lower():
        case "trim_horizon":
            return Start("TRIM_HORIZON")
        case "latest":
            return Start("LATEST")
    return Start("AT_TIMESTAMP", datetime.fromtimestamp(parse_ns(text) / 1e9, UTC))


def shards(client: KinesisClient, settings: KinesisSettings) -> list[str]:
    """Return the ids of all shards, closed ones too.

    Raises:
        FixSetup: There is no such stream, or nobody answers.
    """
    try:
        pages = client.get_paginator("list_shards").paginate(
            StreamName=settings.stream_name
        )
        return [shard["ShardId"] for page in pages for shard in page["Shards"]]
    except (ClientError, BotoCoreError) as error:
        raise _final(reaction(error, settings)) from error


def tail(
    client: KinesisClient,
    settings: KinesisSettings,
    shard_ids: list[str],
    start: Start,
    *,
    wait_s: float,
) -> Iterator[Seen]:
    """Yield records as they are read, until nothing has come for ``wait_s``.

    Raises:
        FixSetup: There is no such stream or shard, or nobody answers any more.
    """
    readers = [ShardReader(client, settings, shard, start) for shard in shard_ids]
    quiet_since_s = time.monotonic()
    while readers:
        turn_s = time.monotonic()
        for reader in readers:
            found = reader.read()
            if found:
                quiet_since_s = time.monotonic()
            yield from found
        readers = [reader for reader in readers if not reader.is_at_end]
        is_behind = any(reader.behind_ms for reader in readers)
        if not is_behind and time.monotonic() - quiet_since_s >= wait_s:
            return
        time.sleep(max(0.0, turn_s + READ_EVERY_S - time.monotonic()))


class ShardReader:
    """Reads one shard, a piece at a time."""

    def __init__(
        self,
        client: KinesisClient,
        settings: KinesisSettings,
        shard_id: str,
        start: Start,
    ) -> None:
        self._client, self._settings, self._shard_id = client, settings, shard_id
        self._start = start
        self._cursor: str | None = None
        self._record_bytes = _FIRST_GUESS_BYTES
        self._failures = 0
        self.is_at_end = False
        """Whether the shard was closed and everything of it is read."""
        self.behind_ms = 0

    def read(self) -> list[Seen]:
        """Return the next records; none when there is nothing, or no room to read.

        Raises:
            FixSetup: The stream or the shard is not there, or nobody answers.
        """
        limit = max(1, min(10_000, int(READ_BYTES / self._record_bytes)))
        try:
            cursor = self._cursor or self._first_cursor()
            answer = self._client.get_records(ShardIterator=cursor, Limit=limit)
        except (ClientError, BotoCoreError) as error:
            self._failed(error)
            return []
        self._failures = 0
        self._cursor = answer.get("NextShardIterator")
        self.is_at_end = self._cursor is None
        self.behind_ms = answer["MillisBehindLatest"]
        records = answer["Records"]
        if records:
            mean = sum(len(record["Data"]) for record in records) / len(records)
            self._record_bytes = max(self._record_bytes / 2, mean, 1.0)
        return [_seen(self._shard_id, record) for record in records]

    def _first_cursor(self) -> str:
        at = {} if self._start.time is None else {"Timestamp": self._start.time}
        return self._client.get_shard_iterator(
            StreamName=self._settings.stream_name,
            ShardId=self._shard_id,
            ShardIteratorType=self._start.kind,
            **at,  # type: ignore[arg-type]  # the stub wants each argument named
        )["ShardIterator"]

    def _failed(self, error: ClientError | BotoCoreError) -> None:
        """Leave it at that for now: bronze and the live tail come first."""
        wrong = reaction(error, self._settings)
        self._failures += 1
        if isinstance(wrong, FixSetup) or self._failures >= _MOST_FAILURES:
            raise _final(wrong) from error


def _seen(shard_id: str, record: RecordTypeDef) -> Seen:
    payload = record["Data"]
    place = (
        shard_id,
        record["SequenceNumber"],
        record["ApproximateArrivalTimestamp"].astimezone(UTC),
        record["PartitionKey"],
        len(payload),
    )
    try:
        header, lines = unpack(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Seen(*place, error=f"no wire record: {error}")
    return Seen(*place, header, lines)


def _final(error: FixSetup | RetryLater) -> FixSetup:
    if isinstance(error, FixSetup):
        return error
    return FixSetup(
        "kinesis.endpoint_url", str(error), "Start what it names, or correct it"
    )
