"""Positions in a Kinesis stream and the calls that read from them.

Free of Spark, so that every rule here can be tested against any Kinesis client.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conf.errors import TickhouseError

Record = dict[str, Any]
_READ_LIMIT = 10_000
_FIRST_GUESS_BYTES = 25_000


class Trimmed(TickhouseError):
    """The stream no longer holds records that a batch must contain."""

    def __init__(self, stream: str, shard: str, after: str, found: str) -> None:
        super().__init__(
            f"Kinesis stream {stream}, shard {shard}: the records after {after} were "
            f"trimmed before they were read; the oldest one left is {found}. "
            "They are lost to bronze. Raise the stream's retention; to go on without "
            "them, delete bronze's checkpoint and start with "
            "kinesis.resume=initial_position"
        )


class Position(str):
    """A place in one shard, as the offset writes it."""

    __slots__ = ()

    @property
    def is_end(self) -> bool:
        """The shard is closed and read to its end."""
        return self.startswith("END:")

    @property
    def sequence_number(self) -> str | None:
        """The last record read, or None at a starting point."""
        text = self.removeprefix("END:")
        return text if text.isdecimal() else None

    def iterator_arguments(self) -> dict[str, Any]:
        """Return GetShardIterator's arguments for what follows this place."""
        if self.sequence_number:
            return {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": self.sequence_number,
            }
        if self.startswith("AT:"):
            moment = float(self.removeprefix("AT:"))
            return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": moment}
        return {"ShardIteratorType": "TRIM_HORIZON"}


class ShardReader:
    """Reads one stream's shards through one Kinesis client.

    Args:
        client: A boto3 Kinesis client, or anything with its four read calls.
        stream: Name of the stream.
    """

    def __init__(self, client: Any, stream: str) -> None:  # noqa: ANN401 (boto3)
        self._client, self._stream = client, stream
        self._iterators: dict[str, tuple[str, str]] = {}
        self._record_bytes = float(_FIRST_GUESS_BYTES)
        self.parents: dict[str, list[str]] = {}

    def refresh(self) -> None:
        """List the shards anew: ``parents`` maps each to the shards it came from."""
        shards, token = list[Record](), None
        while True:
            page = self._client.list_shards(
                **({"NextToken": token} if token else {"StreamName": self._stream})
            )
            shards += page["Shards"]
            token = page.get("NextToken")
            if not token:
                break
        ids = {shard["ShardId"] for shard in shards}
        self.parents = {s["ShardId"]: _parents_within(s, ids) for s in shards}

    def roots(self) -> set[str]:
        """Return the shards whose parents the stream no longer lists."""
        self.refresh()
        return {shard for shard, parents in self.parents.items() if not parents}

    def read_after(
        self, shard: str, position: str, max_bytes: int
    ) -> tuple[list[Record], str]:
        """Return the next records of a shard and the position behind them.

        Args:
            shard: Shard id.
            position: Where the last read ended.
            max_bytes: Payload bytes to return at most (one record at least).

        Raises:
            Trimmed: Records between ``position`` and the oldest one left are gone.
        """
        iterator = self._iterator_at(shard, Position(position))
        limit = max(1, min(_READ_LIMIT, int(max_bytes / self._record_bytes) + 1))
        answer = self._get_records(shard, Position(position), iterator, limit)
        records = _within(answer["Records"], max_bytes)
        if records:
            self._learn_size(records)
            position = records[-1]["SequenceNumber"]
        is_whole = len(records) == len(answer["Records"])
        following = answer.get("NextShardIterator")
        if is_whole and following:
            self._iterators[shard] = (position, following)
        if is_whole and not following:
            return records, f"END:{Position(position).sequence_number or 0}"
        return records, position

    def read_between(self, shard: str, start: str, end: Position) -> Iterator[Record]:
        """Yield the records after ``start`` up to and including ``end``.

        Raises:
            Trimmed: The last record of the range is gone.
        """
        last = end.sequence_number
        if start == end or last in (None, "0", Position(start).sequence_number):
            return
        iterator = self._iterator_at(shard, Position(start))
        while iterator:
            answer = self._client.get_records(ShardIterator=iterator, Limit=_READ_LIMIT)
            for record in answer["Records"]:
                if int(record["SequenceNumber"]) > int(last):
                    raise Trimmed(self._stream, shard, start, record["SequenceNumber"])
                yield record
                if record["SequenceNumber"] == last:
                    return
            iterator = answer.get("NextShardIterator")
            if not answer["Records"] and not answer.get("MillisBehindLatest"):
                break
        raise Trimmed(self._stream, shard, start, "none")

    def _iterator_at(self, shard: str, position: Position) -> str:
        cached = self._iterators.pop(shard, None)
        if cached and cached[0] == position:
            return cached[1]
        if position.sequence_number:
            self._require_held(shard, position.sequence_number)
        return self._new_iterator(shard, position)

    def _new_iterator(self, shard: str, position: Position) -> str:
        answer = self._client.get_shard_iterator(
            StreamName=self._stream, ShardId=shard, **position.iterator_arguments()
        )
        return str(answer["ShardIterator"])

    def _require_held(self, shard: str, sequence_number: str) -> None:
        """Raise if the record we stopped at is gone: later ones may be gone too."""
        oldest = self._new_iterator(shard, Position("TRIM_HORIZON"))
        records = self._client.get_records(ShardIterator=oldest, Limit=1)["Records"]
        if records and int(records[0]["SequenceNumber"]) > int(sequence_number):
            found = records[0]["SequenceNumber"]
            raise Trimmed(self._stream, shard, sequence_number, found)

    def _get_records(
        self, shard: str, position: Position, iterator: str, limit: int
    ) -> Record:
        errors = self._client.exceptions
        try:
            return dict(self._client.get_records(ShardIterator=iterator, Limit=limit))
        except errors.ExpiredIteratorException:
            renewed = self._new_iterator(shard, position)
            return dict(self._client.get_records(ShardIterator=renewed, Limit=limit))
        except errors.ProvisionedThroughputExceededException:
            # Another reader used the shard's budget: the next trigger tries again.
            return {"Records": [], "NextShardIterator": iterator}

    def _learn_size(self, records: Sequence[Record]) -> None:
        mean = sum(len(record["Data"]) for record in records) / len(records)
        self._record_bytes = 0.8 * self._record_bytes + 0.2 * max(mean, 1.0)


def next_positions(
    positions: Mapping[str, str], parents: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the positions with the shards that may be read from now on.

    A shard born of a split or merge is read from its start once its parents are read
    to their end, so that a symbol's messages keep their order.

    Args:
        positions: Shard -> position, of every shard begun so far.
        parents: Shard -> the shards it came from, of every shard of the stream.
    """
    ended = {
        shard for shard, position in positions.items() if Position(position).is_end
    }
    born = {
        shard: "TRIM_HORIZON"
        for shard, came_from in parents.items()
        if shard not in positions and all(parent in ended for parent in came_from)
    }
    return dict(sorted({**positions, **born}.items()))


def _parents_within(shard: Record, ids: set[str]) -> list[str]:
    keys = ("ParentShardId", "AdjacentParentShardId")
    return [shard[key] for key in keys if shard.get(key) in ids]


def _within(records: Sequence[Record], max_bytes: int) -> list[Record]:
    kept, used = list[Record](), 0
    for record in records:
        used += len(record["Data"])
        if kept and used > max_bytes:
            break
        kept.append(record)
    return kept
