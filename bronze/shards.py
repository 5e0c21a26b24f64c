"""Reads one stream's shards from position to position; free of Spark."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple, TypeVar

import stamina

from bronze.calls import IteratorExpired, Record, StreamCalls, arrival_s
from bronze.positions import Position
from bronze.trimming import Trimming
from conf.errors import RetryLater

READ_LIMIT = 10_000
_FIRST_GUESS_BYTES = 25_000
_PATIENCE_S = 300.0
_FOREVER = float("inf")

T = TypeVar("T")


class Bounds(NamedTuple):
    """Where one read stops: payload bytes (one record at least), and arrival."""

    max_bytes: int
    ending_s: float = _FOREVER
    """Records that arrived later are left for another time."""


class ShardReader:
    """Reads one stream's shards through one Kinesis client.

    Args:
        client: A boto3 Kinesis client that does not retry, or anything with its calls.
        stream: Name of the stream.
        fail_on_data_loss: Whether records trimmed before they were read are an error.
        now_s: The wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 (boto3)
        stream: str,
        *,
        fail_on_data_loss: bool = True,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._calls, self._now_s = StreamCalls(client, stream), now_s
        self._trimming = Trimming(self._calls, fails=fail_on_data_loss, now_s=now_s)
        self._iterators: dict[str, tuple[str, str]] = {}
        self._last: dict[str, Position] = {}
        self._record_bytes = float(_FIRST_GUESS_BYTES)
        self.parents: dict[str, list[str]] = {}

    def refresh(self) -> None:
        """List the shards anew: ``parents`` maps each to the shards it came from."""
        shards = self._calls.list_shards()
        self.parents = {shard["ShardId"]: _parents(shard) for shard in shards}

    def roots(self) -> set[str]:
        """Return the shards whose parents the stream no longer lists."""
        self.refresh()
        return {
            shard
            for shard, parents in self.parents.items()
            if not self.parents.keys() & set(parents)
        }

    def open_at(self, moment_s: float) -> set[str]:
        """Return the shards that took records at a time; before all, the roots."""
        wanted = {"Type": "AT_TIMESTAMP", "Timestamp": moment_s}
        shards = self._calls.list_shards(ShardFilter=wanted)
        return {shard["ShardId"] for shard in shards} or self.roots()

    def latest(self, shard: str, position: str) -> Position:
        """Return a position, complete as long as the last read of it has shown."""
        last = self._last.get(shard)
        if last is not None and last.place == Position(position).place:
            return last
        return Position(position)

    def read_after(
        self, shard: str, position: str, bounds: Bounds
    ) -> tuple[list[Record], Position]:
        """Return the next records of a shard and the position behind them.

        Raises:
            Trimmed: Records behind ``position`` may be gone.
            RetryLater: Throttled, or Kinesis is away: nothing has changed.
        """
        start, started_s = self.latest(shard, position), self._now_s()
        self._require_held(shard, start)
        if shard not in self.parents:
            return [], _end(start.place)
        limit = max(1, min(READ_LIMIT, int(bounds.max_bytes / self._record_bytes) + 1))
        answer = self._get_records(shard, start, limit)
        records = _within(bounds, answer["Records"])
        self._learn_size(records)
        is_whole = len(records) == len(answer["Records"])
        place = records[-1]["SequenceNumber"] if records else start.place
        following = answer.get("NextShardIterator")
        if is_whole and not following:
            return records, _end(place)
        if is_whole:
            self._iterators[shard] = (str(place), str(following))
        until_s = _complete_until(answer, len(records), started_s, bounds.ending_s)
        end = Position.at(place, max(until_s, start.complete_until_s or 0.0))
        self._last[shard] = end
        return records, end

    def read_between(self, shard: str, start: str, end: Position) -> Iterator[Record]:
        """Yield the records after ``start`` up to and including ``end``.

        Raises:
            Trimmed: Some of the range is gone.
            RetryLater: Kinesis has been away for minutes.
        """
        last, at = end.sequence_number, Position(start)
        if last is None or last == at.sequence_number:
            return
        _patiently(lambda: self._require_held(shard, at))
        if shard not in self.parents:
            return self._trimming.report_missing(shard, at, last)
        while True:
            place = at
            answer = _patiently(lambda: self._get_records(shard, place, READ_LIMIT))  # noqa: B023
            for record in answer["Records"]:
                if int(record["SequenceNumber"]) > int(last):
                    return self._trimming.report_missing(shard, at, last)
                yield record
                at = Position(record["SequenceNumber"])
                if at == last:
                    return None
            following = answer.get("NextShardIterator")
            if not following or not (answer["Records"] or answer["MillisBehindLatest"]):
                return self._trimming.report_missing(shard, at, last)
            self._iterators[shard] = (at.place, following)

    def _require_held(self, shard: str, position: Position) -> None:
        if shard not in self.parents:
            self.refresh()
        self._trimming.require_held(shard, position, self.parents)

    def _get_records(self, shard: str, position: Position, limit: int) -> Record:
        place, iterator = self._iterators.get(shard, ("", ""))
        if place == position.place:
            try:
                return self._calls.records(iterator, limit)
            except IteratorExpired:
                del self._iterators[shard]
        new = self._calls.iterator(shard, position)
        if new is None:
            raise RetryLater(f"{self._calls.name(shard)} has just expired")
        return self._calls.records(new, limit)

    def _learn_size(self, records: Sequence[Record]) -> None:
        if records:
            mean = sum(len(record["Data"]) for record in records) / len(records)
            self._record_bytes = 0.8 * self._record_bytes + 0.2 * max(mean, 1.0)


def _end(place: str) -> Position:
    return Position(f"END:{Position(place).sequence_number or 0}")


def _patiently(call: Callable[[], T]) -> T:
    """Repeat a call that may work soon, for some minutes."""
    retrying = stamina.RetryingCaller(
        attempts=None, timeout=_PATIENCE_S, wait_initial=0.2
    )
    return retrying(RetryLater, call)


def _parents(shard: Record) -> list[str]:
    keys = ("ParentShardId", "AdjacentParentShardId")
    return [shard[key] for key in keys if shard.get(key)]


def _within(bounds: Bounds, records: Sequence[Record]) -> list[Record]:
    kept, used = list[Record](), 0
    for record in takewhile(lambda r: arrival_s(r) <= bounds.ending_s, records):
        used += len(record["Data"])
        if kept and used > bounds.max_bytes:
            break
        kept.append(record)
    return kept


def _complete_until(
    answer: Record, kept: int, started_s: float, ending_s: float
) -> float:
    """Return the time before which nothing is left to read of a shard.

    Args:
        answer: Of GetRecords.
        kept: How many of its records, from the first, the reader takes.
        started_s: When it was asked.
        ending_s: The reader leaves what arrived later.
    """
    records = answer["Records"]
    if kept < len(records) and arrival_s(records[kept]) > ending_s:
        return ending_s
    if kept < len(records):
        return arrival_s(records[kept - 1])
    return started_s - float(answer.get("MillisBehindLatest") or 0) / 1000
