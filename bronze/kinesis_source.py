"""Spark data source ``kinesis``: every micro-batch is a planned, replayable range.

    spark.dataSource.register(KinesisSource)
    spark.readStream.format("kinesis").option("streamName", "stock-market-stream")

| option | meaning | default |
| --- | --- | --- |
| streamName | stream to read | stock-market-stream |
| region | AWS region | us-east-1 |
| endpointUrl | another endpoint than AWS's | none |
| initialPosition | TRIM_HORIZON, LATEST or AT_TIMESTAMP <RFC 3339> | TRIM_HORIZON |
| startAfter | JSON {shard id: position}: start after these records | {} |
| endingTimestamp | RFC 3339; what arrived later is left for another time | none |
| maxBatchBytes | payload bytes that one batch plans at most | 4194304 |
| minReadIntervalMs | rest between two reads of a shard | 450 |
| failOnDataLoss | records trimmed before they were read are an error | true |

The offset is a JSON object {shard id: position}; ``positions`` says what a position is.
Spark shows it as the end offset of each batch's progress, and ``positions.lags_s`` says
how far behind each shard it is. The driver reads ahead and hands Spark the rows; a
range that Spark repeats after a crash is read again, from its start to its end, and a
range that the stream no longer holds is an error, never a skip.
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import stamina
from pyspark.sql.datasource import DataSource, SimpleDataSourceStreamReader
from pyspark.sql.types import StructType

from bronze.patience import Patience
from bronze.positions import START, Parents, Position, with_children, without_forgotten
from bronze.shards import Bounds, ShardReader
from conf import logs
from conf.errors import RetryLater
from conf.kinesis import open_client
from conf.settings import KinesisSettings

Row = tuple[bytes, str, str, str, str, datetime]
Offset = dict[str, str]

SCHEMA = (
    "data binary, streamName string, partitionKey string, sequenceNumber string,"
    " shardId string, approximateArrivalTimestamp timestamp"
)
_LIST_SHARDS_EVERY_S = 10.0
_STAMP_EVERY_S = 600.0
_NEVER = float("-inf")


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
        logs.configure("kinesis-source")
        return KinesisReader(dict(self.options))


class KinesisReader(SimpleDataSourceStreamReader):
    """Reads all shards in turn; lives in one Python process beside the driver."""

    def __init__(self, options: dict[str, str]) -> None:
        options = {key.lower(): value for key, value in options.items()}
        self._stream = options.get("streamname", "stock-market-stream")
        self._region = options.get("region", "us-east-1")
        self._endpoint = options.get("endpointurl")
        self._initial = options.get("initialposition", START)
        self._start_after: Offset = json.loads(options.get("startafter", "{}"))
        self._ending_s = _ending_s(options.get("endingtimestamp"))
        self._max_bytes = int(options.get("maxbatchbytes", 4 * 1024 * 1024))
        self._rest_s = int(options.get("minreadintervalms", 450)) / 1000
        self._fails = options.get("failondataloss", "true").lower() == "true"
        self._reader: ShardReader | None = None
        self._patience = Patience()
        self._read_at = self._listed_at = _NEVER

    @stamina.retry(on=RetryLater, attempts=None, timeout=300)
    def initialOffset(self) -> Offset:  # noqa: N802
        """Return where each shard starts; LATEST is pinned to this moment.

        Raises:
            ValueError: ``initialPosition`` is none of the three.
            RetryLater: Kinesis has been away for minutes.
        """
        start, reader = _initial_position(self._initial), self._shards()
        first, begun = reader.roots(), self._begun(reader.parents)
        if start != START and not begun:
            first = reader.open_at(float(start.removeprefix("AT:")))
        return {
            shard: self._start_after.get(shard, start)
            for shard in sorted(first | begun)
        }

    def read(self, start: Offset) -> tuple[Iterator[Row], Offset]:
        """Return the rows after ``start``, at most ``maxBatchBytes``, and their end.

        Raises:
            Trimmed: Records behind ``start`` may be gone.
            RetryLater: Kinesis has been away for minutes.
        """
        while True:
            self._rest()
            rows, end = self._read_once(start)
            if rows or self._is_news(start, end):
                return iter(rows), end
            # To end a bounded query early would leave out what is merely throttled.
            if not self._is_bounded or self._is_done(end):
                return iter(()), start

    def readBetweenOffsets(  # noqa: N802
        self, start: Offset, end: Offset
    ) -> Iterator[Row]:
        """Read a planned range again.

        Raises:
            Trimmed: The stream no longer holds all of it.
        """
        reader = self._new_reader()
        for shard, last in end.items():
            first = start.get(shard, START)
            for record in reader.read_between(shard, first, Position(last)):
                yield self._row(shard, record)

    def commit(self, end: Offset) -> None:
        """Nothing to do: the offset log of the query is the only state."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave the client behind: executors make their own."""
        return {**self.__dict__, "_reader": None}

    def _begun(self, parents: Parents) -> set[str]:
        """Return the shards of which bronze holds some and may want more.

        A shard born of a split is no root. One that the stream no longer lists was read
        to its end if a child of it was begun; otherwise its reader has to find out.
        """
        gone = {
            parent
            for shard, came_from in parents.items()
            if shard not in self._start_after
            for parent in came_from
        }
        return set(self._start_after) & (parents.keys() | gone)

    def _read_once(self, start: Offset) -> tuple[list[Row], Offset]:
        reader, now_s, end = self._shards(), time.monotonic(), dict(start)
        rows, budget = list[Row](), self._max_bytes
        for shard in self._in_turn(start):
            if budget <= 0 or not self._patience.is_due(shard, now_s):
                continue
            bounds = Bounds(budget, self._ending_s)
            try:
                records, end[shard] = reader.read_after(shard, start[shard], bounds)
            except RetryLater as error:
                self._patience.failed(shard, error, now_s)
                continue
            self._patience.succeeded(shard)
            budget -= sum(len(record["Data"]) for record in records)
            # Spark copies the iterator it is given: a list's can be copied.
            rows += [self._row(shard, record) for record in records]
        has_ended = any(Position(end[s]).is_end and end[s] != start[s] for s in start)
        self._list_shards(at_once=has_ended)
        known = reader.parents
        return rows, with_children(without_forgotten(end, known), known)

    def _in_turn(self, start: Offset) -> list[str]:
        """Return the shards that have more to read, the one furthest behind first."""
        reader = self._shards()
        until = {
            shard: reader.latest(shard, position).complete_until_s or _NEVER
            for shard, position in start.items()
            if not Position(position).is_end
        }
        unread = [shard for shard in until if until[shard] < self._ending_s]
        return sorted(unread, key=lambda shard: (until[shard], shard))

    def _is_news(self, start: Offset, end: Offset) -> bool:
        """Tell whether an end without rows is worth a batch, which costs a commit."""
        if start.keys() != end.keys():
            return True
        return any(
            old.place != new.place
            or (new.complete_until_s or 0) - (old.complete_until_s or 0)
            > _STAMP_EVERY_S
            for old, new in ((Position(start[s]), Position(end[s])) for s in start)
        )

    @property
    def _is_bounded(self) -> bool:
        return self._ending_s < float("inf")

    def _is_done(self, end: Offset) -> bool:
        """Tell whether all that arrived before the ending has been read."""
        return not self._in_turn(end) and self._listed_at > _NEVER

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

    def _list_shards(self, *, at_once: bool) -> None:
        """List the shards now and then, and at once when one has ended."""
        now_s = time.monotonic()
        if at_once:
            self._listed_at = _NEVER
        if now_s - self._listed_at < _LIST_SHARDS_EVERY_S:
            return
        if not self._patience.is_due(self._stream, now_s):
            return
        try:
            self._shards().refresh()
        except RetryLater as error:
            self._patience.failed(self._stream, error, now_s)
        else:
            self._patience.succeeded(self._stream)
            self._listed_at = now_s

    def _shards(self) -> ShardReader:
        if self._reader is None:
            self._reader = self._new_reader()
        return self._reader

    def _new_reader(self) -> ShardReader:
        # It does not retry: a throttled shard must not hold up the others.
        client = open_client(
            KinesisSettings(region=self._region, endpoint_url=self._endpoint)
        )
        return ShardReader(client, self._stream, fail_on_data_loss=self._fails)


def _initial_position(text: str) -> str:
    kind, _, moment = text.strip().partition(" ")
    match kind.upper():
        case "TRIM_HORIZON":
            return START
        case "LATEST":
            return f"AT:{time.time():.3f}"
        case "AT_TIMESTAMP" if instant := _instant(moment):
            return f"AT:{instant.timestamp():.3f}"
    raise ValueError(
        f"initialPosition: {text!r} is not TRIM_HORIZON, LATEST or "
        "AT_TIMESTAMP <RFC 3339 time>"
    )


def _ending_s(text: str | None) -> float:
    if text is None:
        return float("inf")
    instant = _instant(text)
    if instant is None:
        raise ValueError(f"endingTimestamp: {text!r} is not an RFC 3339 time")
    # Arrivals and positions have milliseconds: a finer end would never be reached.
    return int(instant.timestamp() * 1000) / 1000


def _instant(text: str) -> datetime | None:
    """Return the time that ``text`` names, unless it names none or no time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
