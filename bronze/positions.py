"""Positions in the shards of a stream, as the offset of a batch writes them.

A position is a place, and the time until which the shard is complete::

    place[@seconds]      4968...10@1795446000.123

| place | stands behind |
| --- | --- |
| TRIM_HORIZON | nothing: the shard is read from its oldest record |
| AT:<seconds> | all records that arrived before this time |
| <sequence number> | this record |
| END:<sequence number> | the last record of a closed shard |

Complete until t: every record that arrived before t lies before the place. At the tip
of a shard that is the time of the read, otherwise the arrival of the record read last.
So ``now - t`` is the reader's lag, and while it is shorter than the stream's retention
nothing can have been trimmed unread, however old the record read last may be.
"""

from collections.abc import Iterable, Mapping
from typing import Any

START = "TRIM_HORIZON"
Parents = Mapping[str, Iterable[str]]
"""Shard -> the one or two shards it came from, of every shard of the stream."""


class Position(str):
    """A place in one shard, as the offset writes it."""

    __slots__ = ()

    @classmethod
    def at(cls, place: str, complete_until_s: float | None) -> "Position":
        """Return the position of a place and the time until which it is complete."""
        if complete_until_s is None:
            return cls(place)
        return cls(f"{place}@{complete_until_s:.3f}")

    @property
    def place(self) -> str:
        """The place alone."""
        return self.partition("@")[0]

    @property
    def complete_until_s(self) -> float | None:
        """Seconds since the epoch; None if nothing was ever read here."""
        seconds = self.partition("@")[2]
        return float(seconds) if seconds else None

    @property
    def is_end(self) -> bool:
        """The shard is closed and read to its end."""
        return self.startswith("END:")

    @property
    def sequence_number(self) -> str | None:
        """The last record read, or None at a starting point."""
        text = self.place.removeprefix("END:")
        return text if text.isdecimal() and text != "0" else None

    def iterator_arguments(self) -> dict[str, Any]:
        """Return GetShardIterator's arguments for what follows this place."""
        if self.sequence_number:
            return {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": self.sequence_number,
            }
        if self.startswith("AT:"):
            moment = float(self.place.removeprefix("AT:"))
            return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": moment}
        return {"ShardIteratorType": "TRIM_HORIZON"}


def with_children(positions: Mapping[str, str], parents: Parents) -> dict[str, str]:
    """Return the positions with the shards that may be read from now on.

    A shard born of a split or merge is read from its start once its parents are read
    to their end, so that a symbol's messages keep their order. A parent that the stream
    no longer lists has nothing left to wait for; one that was closed before the first
    position was taken is never begun.

    Args:
        positions: Shard -> position, of every shard begun so far.
        parents: See ``Parents``.
    """
    ended = {
        shard for shard, position in positions.items() if Position(position).is_end
    }
    before, known = ancestors(positions, parents), parents.keys() | positions.keys()
    born = {
        shard: START
        for shard, came_from in parents.items()
        if shard not in positions
        and shard not in before
        and not (set(came_from) & known) - ended
    }
    return dict(sorted({**positions, **born}.items()))


def ancestors(shards: Iterable[str], parents: Parents) -> set[str]:
    """Return every shard that one of ``shards`` came from, however long ago."""
    found, waiting = set[str](), list(shards)
    while waiting:
        new = set(parents.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found


def without_forgotten(positions: Mapping[str, str], parents: Parents) -> dict[str, str]:
    """Return the positions without ended shards that the stream no longer lists."""
    return {
        shard: position
        for shard, position in positions.items()
        if shard in parents or not Position(position).is_end
    }


def lags_s(positions: Mapping[str, str], now_s: float) -> dict[str, float]:
    """Return how many seconds each open shard's reader was behind at a time.

    Args:
        positions: Shard -> position: the end offset of a batch.
        now_s: Seconds since the epoch, about when the batch was read.
    """
    complete = {
        shard: Position(position).complete_until_s
        for shard, position in positions.items()
        if not Position(position).is_end
    }
    return {
        shard: round(max(0.0, now_s - until), 3)
        for shard, until in complete.items()
        if until is not None
    }
