"""The SQLite file behind the emulator: streams, shards, records, the fault ledger.

Durability: in WAL mode a commit has been written to the operating system when it
returns. That survives the death of this process by any signal; ``synchronous=NORMAL``
spares the fsync of each commit, so the last commits (never the file's integrity) may
be lost only when the whole machine stops.

Every write is a function of ``changes``, which ``group_commit`` runs.
"""

import sqlite3
from pathlib import Path
from typing import Any

from infra.local.kinesis.limits import Limits, ShardBudget
from infra.local.kinesis.running_time import Pause
from infra.local.kinesis.streams import Shard, Stream

DATABASE_NAME = "kinesis.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    retention_hours INTEGER NOT NULL,
    mode TEXT NOT NULL,
    max_record_bytes INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS shards (
    key INTEGER PRIMARY KEY,
    stream_name TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    hash_start TEXT NOT NULL,
    hash_end TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    records INTEGER NOT NULL DEFAULT 0,
    payload_bytes INTEGER NOT NULL DEFAULT 0,
    end_position INTEGER,
    parent_id TEXT,
    adjacent_parent_id TEXT,
    UNIQUE (stream_name, "index")
);
CREATE TABLE IF NOT EXISTS records (
    shard_key INTEGER NOT NULL,
    position INTEGER NOT NULL,
    partition_key TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS records_by_position ON records (shard_key, position);
CREATE TABLE IF NOT EXISTS alive (
    at_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS pauses (
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS injected_duplicates (
    stream_name TEXT NOT NULL,
    shard_id TEXT NOT NULL,
    sequence_number TEXT NOT NULL
);
"""

StoredRecord = tuple[int, str, bytes]
"""Position, partition key, payload."""


class Store:
    """Two connections to one file: ``writer`` belongs to the group commit.

    Raises:
        sqlite3.Error: The folder cannot be written or holds something else.
    """

    def __init__(self, folder: Path) -> None:
        self.path = path = folder / DATABASE_NAME
        self._wal_path = path.with_name(f"{path.name}-wal")
        # checkpoints run in a thread, while no one else uses this connection
        self.writer = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False
        )
        self.writer.execute("PRAGMA journal_mode = WAL")
        self.writer.execute("PRAGMA synchronous = NORMAL")
        self.writer.execute("PRAGMA wal_autocheckpoint = 0")
        # some distributions overwrite deleted records with zeros; nobody needs that
        self.writer.execute("PRAGMA secure_delete = OFF")
        self.writer.executescript(_SCHEMA)
        self._reader = sqlite3.connect(path, isolation_level=None)

    def close(self) -> None:
        """Fold the log into the database and close both connections."""
        self._reader.close()
        self.checkpoint()
        self.writer.close()

    def wal_bytes(self) -> int:
        """Return the size of the write-ahead log."""
        return self._wal_path.stat().st_size

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database and start it anew."""
        self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def load_streams(self, limits: Limits) -> list[Stream]:
        """Return every stream with its shards, their budgets full."""
        shards: dict[str, list[Shard]] = {}
        for row in self._rows('SELECT * FROM shards ORDER BY stream_name, "index"'):
            shards.setdefault(row["stream_name"], []).append(_shard_of(row, limits))
        return [
            Stream(**row, shards=shards[row["name"]])
            for row in self._rows("SELECT * FROM streams")
        ]

    def last_alive_ms(self) -> int | None:
        """Return when the process was last known to run, None on a new store."""
        (at_ms,) = self._reader.execute("SELECT MAX(at_ms) FROM alive").fetchone()
        return None if at_ms is None else int(at_ms)

    def load_pauses(self) -> list[Pause]:
        """Return the times without a running process, in their order."""
        query = "SELECT from_ms, to_ms FROM pauses ORDER BY from_ms"
        return [Pause(*row) for row in self._reader.execute(query)]

    def _rows(self, query: str) -> list[dict[str, Any]]:
        cursor = self._reader.execute(query)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def read(
        self, shard_key: int, position: int, *, limit: int, max_bytes: int
    ) -> list[StoredRecord]:
        """Return records from ``position`` on, at least one if there is any.

        Stops before the record that would exceed ``max_bytes`` of keys and payloads.
        """
        rows = self._reader.execute(
            "SELECT position, partition_key, data FROM records"
            " WHERE shard_key = ? AND position >= ? ORDER BY position LIMIT ?",
            (shard_key, position, limit),
        )
        records: list[StoredRecord] = []
        left_bytes = max_bytes
        for row in rows:
            left_bytes -= len(row[1]) + len(row[2])
            if left_bytes < 0 and records:
                break
            records.append(row)
        rows.close()
        return records

    def shard_keys_with_records(self) -> list[int]:
        """Return the keys of shards that hold records, deleted shards included."""
        # one index seek a shard; DISTINCT would scan every record
        query = "SELECT MIN(shard_key) FROM records WHERE shard_key > ?"
        keys = [0]
        while (key := self._reader.execute(query, keys[-1:]).fetchone()[0]) is not None:
            keys.append(key)
        return keys[1:]


def _shard_of(row: dict[str, Any], limits: Limits) -> Shard:
    del row["stream_name"]
    row |= {key: int(row[key]) for key in ("hash_start", "hash_end")}
    row["is_closed"] = row["end_position"] is not None
    return Shard(**row, tip=row["last_position"], budget=ShardBudget(limits))
