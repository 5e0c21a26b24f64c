"""Spark data source ``kinesis``: every micro-batch is a planned, replayable range.

    spark.dataSource.register(KinesisSource)
    spark.readStream.format("kinesis").option("streamName", "stock-market-stream")

| option | meaning | default |
| --- | --- | --- |
| streamName | stream to read | stock-market-stream |
| region | AWS region | us-east-1 |
| endpointUrl | another endpoint than AWS's | none |
| initialPosition | TRIM_HORIZON, LATEST or AT_TIMESTAMP <RFC 3339> | TRIM_HORIZON |
| startAfter | JSON {shard id: sequence number}: start after these records | {} |
| maxBatchBytes | payload bytes that one batch plans at most | 4194304 |
| minReadIntervalMs | rest between two reads of a shard | 450 |

The offset is a JSON object {shard id: position}; a position is a sequence number, a
starting point (``TRIM_HORIZON``, ``AT:<seconds>``) or ``END:<sequence number>`` for a
closed shard read to its end. The driver reads ahead and hands Spark the rows; a range
that Spark repeats after a crash is read again, from its start to its end, and a range
that the stream no longer holds is an error, never a skip.
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from pyspark.sql.datasource import DataSource, SimpleDataSourceStreamReader
from pyspark.sql.types import StructType

from bronze.shards import Position, ShardReader, next_positions
from conf.endpoints import is_loopback

Row = tuple[bytes, str, str, str, str, datetime]
Offset = dict[str, str]

SCHEMA = (
    "data binary, streamName string, partitionKey string, sequenceNumber string,"
    " shardId string, approximateArrivalTimestamp timestamp"
)
_LIST_SHARDS_EVERY_S = 10.0


class KinesisSource(DataSource):
    """Registers the format ``kinesis``."""

    @classmethod
    def name(cls) -> str:
        """Return the name that ``readStream.format`` takes."""
        return "kinesis"

    def schema(self) -> str:
        """Return the columns, in DDL; ``data`` is the payload, untouched."""
        return SCHEMA

    def simpleStreamReader(self, schema: StructType) -> "KinesisReader":  # noqa: N802
        """Return the reader that Spark keeps in one process of the driver."""
        return KinesisReader(dict(self.options))


class KinesisReader(SimpleDataSourceStreamReader):
    """Reads all shards in turn; lives in one Python process beside the driver."""

    def __init__(self, options: dict[str, str]) -> None:
        options = {key.lower(): value for key, value in options.items()}
        self._stream = options.get("streamname", "stock-market-stream")
        self._region = options.get("region", "us-east-1")
        self._endpoint = options.get("endpointurl")
        self._initial = options.get("initialposition", "TRIM_HORIZON")
        self._start_after = json.loads(options.get("startafter", "{}"))
        self._max_bytes = int(options.get("maxbatchbytes", 4 * 1024 * 1024))
        self._rest_s = int(options.get("minreadintervalms", 450)) / 1000
        self._reader: ShardReader | None = None
        self._read_at = self._listed_at = float("-inf")

    def initialOffset(self) -> Offset:  # noqa: N802
        """Return where each shard starts; LATEST is pinned to this moment.

        Raises:
            ValueError: ``initialPosition`` is none of the three.
        """
        start, roots = _initial_position(self._initial), self._shards().roots()
        # A shard born of a split is no root, but bronze may hold some of it already.
        begun = self._start_after.keys() & self._shards().parents.keys()
        return {
            shard: self._start_after.get(shard, start)
            for shard in sorted(roots | begun)
        }

    def read(self, start: Offset) -> tuple[Iterator[Row], Offset]:
        """Return the rows after ``start``, at most ``maxBatchBytes``, and their end."""
        self._rest()
        reader, end, rows = self._shards(), dict(start), list[Row]()
        budget = self._max_bytes
        # The shard read first gets the whole budget: let each be first in its turn.
        for shard in _rotated(sorted(start), int(time.monotonic())):
            if budget <= 0 or start[shard].startswith("END:"):
                continue
            records, end[shard] = reader.read_after(shard, start[shard], budget)
            budget -= sum(len(record["Data"]) for record in records)
            rows += [self._row(shard, record) for record in records]
        # Spark copies the iterator it is given: a list's can be copied.
        return iter(rows), next_positions(end, self._known_shards())

    def readBetweenOffsets(  # noqa: N802
        self, start: Offset, end: Offset
    ) -> Iterator[Row]:
        """Read a planned range again.

        Raises:
            Trimmed: The stream no longer holds all of it.
        """
        reader = self._new_reader()
        for shard, last in end.items():
            first = start.get(shard, "TRIM_HORIZON")
            for record in reader.read_between(shard, first, Position(last)):
                yield self._row(shard, record)

    def commit(self, end: Offset) -> None:
        """Nothing to do: the offset log of the query is the only state."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave the client behind: executors make their own."""
        return {**self.__dict__, "_reader": None}

    def _row(self, shard: str, record: dict[str, Any]) -> Row:
        return (
            record["Data"],
            self._stream,
            record["PartitionKey"],
            record["SequenceNumber"],
            shard,
            record["ApproximateArrivalTimestamp"].astimezone(UTC),
        )

    def _rest(self) -> None:
        """Keep below the two reads a second that a shard grants this reader."""
        wait = self._read_at + self._rest_s - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._read_at = time.monotonic()

    def _shards(self) -> ShardReader:
        if self._reader is None:
            self._reader = self._new_reader()
        return self._reader

    def _known_shards(self) -> dict[str, list[str]]:
        reader, now = self._shards(), time.monotonic()
        if now - self._listed_at > _LIST_SHARDS_EVERY_S:
            reader.refresh()
            self._listed_at = now
        return reader.parents

    def _new_reader(self) -> ShardReader:
        # The emulator takes any key; AWS's own chain is asked everywhere else.
        key = "local" if is_loopback(self._endpoint or "") else None
        session = boto3.Session(
            aws_access_key_id=key, aws_secret_access_key=key, region_name=self._region
        )
        client = session.client(
            "kinesis",
            endpoint_url=self._endpoint,
            config=Config(retries={"mode": "standard", "max_attempts": 8}),
        )
        return ShardReader(client, self._stream)


def _initial_position(text: str) -> str:
    kind, _, moment = text.strip().partition(" ")
    match kind.upper():
        case "TRIM_HORIZON":
            return "TRIM_HORIZON"
        case "LATEST":
            return f"AT:{time.time():.3f}"
        case "AT_TIMESTAMP" if instant := _instant(moment):
            return f"AT:{instant.timestamp():.3f}"
    raise ValueError(
        f"initialPosition: {text!r} is not TRIM_HORIZON, LATEST or "
        "AT_TIMESTAMP <RFC 3339 time>"
    )


def _instant(text: str) -> datetime | None:
    """Return the time that ``text`` names, unless it names none or no time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _rotated(shards: list[str], by: int) -> list[str]:
    turn = by % len(shards) if shards else 0
    return shards[turn:] + shards[:turn]
