"""Every change of the store, as functions that a transaction runs."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from infra.local.kinesis.running_time import Pause
from infra.local.kinesis.streams import Shard, Stream


@dataclass(slots=True)
class Append:
    """What one request adds to one shard, in the order of positions."""

    shard: Shard
    rows: list[tuple[int, int, str, bytes]] = field(default_factory=list)
    """Shard key, position, partition key, payload."""
    payload_bytes: int = 0

    def add(self, position: int, partition_key: str, data: bytes) -> None:
        """Add a record."""
        self.rows.append((self.shard.key, position, partition_key, data))
        self.payload_bytes += len(data)

    @property
    def tip(self) -> int:
        """The last position added."""
        return self.rows[-1][1]


class InjectedDuplicate(NamedTuple):
    """An entry that is stored and answered as failed."""

    stream_name: str
    shard_id: str
    sequence_number: str


def append(
    db: sqlite3.Connection,
    appends: Iterable[Append],
    duplicates: Iterable[InjectedDuplicate],
) -> None:
    """Store one request's records, the sums of their shards, and the fault ledger."""
    for each in appends:
        db.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", each.rows)
        updated = db.execute(
            "UPDATE shards SET last_position = ?, records = records + ?,"
            " payload_bytes = payload_bytes + ? WHERE key = ?",
            (each.tip, len(each.rows), each.payload_bytes, each.shard.key),
        )
        if updated.rowcount != 1:
            # the commit that was to make the shard failed, or it was deleted
            msg = f"there is no {each.shard.shard_id} to append to"
            raise sqlite3.IntegrityError(msg)
    db.executemany("INSERT INTO injected_duplicates VALUES (?, ?, ?)", duplicates)


def trim(
    db: sqlite3.Connection, shard_key: int, before: int, *, limit: int
) -> tuple[int, int]:
    """Delete the oldest records below a position, at most ``limit``.

    Returns:
        How many records and payload bytes are gone.
    """
    sizes = db.execute(
        "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records"
        " WHERE shard_key = ? AND position < ? ORDER BY position LIMIT ?)"
        " RETURNING length(data)",
        (shard_key, before, limit),
    ).fetchall()
    payload_bytes = sum(size for (size,) in sizes)
    if sizes:
        db.execute(
            "UPDATE shards SET records = records - ?,"
            " payload_bytes = payload_bytes - ? WHERE key = ?",
            (len(sizes), payload_bytes, shard_key),
        )
    return len(sizes), payload_bytes


def insert_stream(db: sqlite3.Connection, stream: Stream) -> None:
    """Store a new stream and its shards."""
    db.execute(
        "INSERT INTO streams VALUES (?, ?, ?, ?, ?)",
        (
            stream.name,
            stream.created_ms,
            stream.retention_hours,
            stream.mode,
            stream.max_record_bytes,
        ),
    )
    _insert_shards(db, stream.name, stream.shards)


def reshard(
    db: sqlite3.Connection,
    stream_name: str,
    closed: Iterable[Shard],
    born: Iterable[Shard],
) -> None:
    """Close shards and add those that continue them; one may be in both."""
    _insert_shards(db, stream_name, born)
    db.executemany(
        "UPDATE shards SET end_position = ? WHERE key = ?",
        [(shard.end_position, shard.key) for shard in closed],
    )


def _insert_shards(
    db: sqlite3.Connection, stream_name: str, shards: Iterable[Shard]
) -> None:
    db.executemany(
        'INSERT INTO shards (stream_name, key, "index", hash_start, hash_end,'
        " created_ms, last_position, parent_id, adjacent_parent_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                stream_name,
                shard.key,
                shard.index,
                # hash keys have 128 bits, SQLite's integers 64
                str(shard.hash_start),
                str(shard.hash_end),
                shard.created_ms,
                shard.last_position,
                shard.parent_id,
                shard.adjacent_parent_id,
            )
            for shard in shards
        ],
    )


def delete_shards(db: sqlite3.Connection, shard_keys: Iterable[int]) -> None:
    """Delete closed shards whose records have all expired."""
    db.executemany("DELETE FROM shards WHERE key = ?", [(key,) for key in shard_keys])


def delete_stream(db: sqlite3.Connection, stream_name: str) -> None:
    """Delete a stream; its records go in the background, like expired ones."""
    db.execute("DELETE FROM streams WHERE name = ?", (stream_name,))
    db.execute("DELETE FROM shards WHERE stream_name = ?", (stream_name,))
    db.execute("DELETE FROM injected_duplicates WHERE stream_name = ?", (stream_name,))


def set_retention(db: sqlite3.Connection, stream_name: str, hours: int) -> None:
    """Store a stream's new retention period."""
    db.execute(
        "UPDATE streams SET retention_hours = ? WHERE name = ?", (hours, stream_name)
    )


def note_alive(db: sqlite3.Connection, at_ms: int, pause: Pause | None) -> None:
    """Store that the process runs, and the pause before, if there was one."""
    db.execute("DELETE FROM alive")
    db.execute("INSERT INTO alive VALUES (?)", (at_ms,))
    if pause:
        db.execute("INSERT INTO pauses VALUES (?, ?)", pause)
