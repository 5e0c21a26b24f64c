"""What Kinesis stored, read from the emulator's file after it has stopped.

Unpacks the wire records with code of its own, as all of the oracle does. It makes

    records   one Kinesis record: what bronze must hold
    lines     one message of a record, with the lineage that silver must give its row
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from infra.local.kinesis import sequence
from infra.local.truth import MALFORMED, NORMAL, REJECT_KEY

_CHUNK = 50_000
_MARKET_KINDS = ("data", "backfill", "history")
_MESSAGE_KINDS = (*_MARKET_KINDS, "gap")

_RECORD = pa.schema(
    {
        "shard_id": pa.string(),
        "sequence_number": pa.string(),
        "partition_key": pa.string(),
        "arrival_us": pa.int64(),
        "payload_md5": pa.string(),
    }
)
_LINE = pa.schema(
    {
        "shard_id": pa.string(),
        "sequence_number": pa.string(),
        "position": pa.int32(),
        "arrival_us": pa.int64(),
        "kind": pa.string(),
        "epoch": pa.string(),
        "frame": pa.int64(),
        "index": pa.int64(),
        "receive_us": pa.int64(),
        "market_us": pa.int64(),
        "occurrence": pa.int32(),
        "is_json": pa.bool_(),
        "text": pa.string(),
    }
)

Row = tuple[Any, ...]


class _Header(msgspec.Struct):
    kind: str
    epoch: str


class _Line(msgspec.Struct):
    f: int
    i: int
    r: int
    m: int
    o: int = 0
    d: msgspec.Raw = msgspec.Raw()
    x: str | None = None


_header = msgspec.json.Decoder(_Header)
_line = msgspec.json.Decoder(_Line)


def load(db: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Make ``records`` and ``lines`` from the emulator's SQLite file.

    Raises:
        msgspec.DecodeError: A stored payload is no wire record.
    """
    _create(db, "records", _RECORD, _records(database))
    _create(
        db,
        "lines",
        _LINE,
        _lines(database),
        # CASE keeps DuckDB from parsing what is no JSON
        """, CASE WHEN is_json THEN text ->> '$.S' END AS symbol,
        epoch_ns(TRY_CAST(CASE WHEN is_json THEN text ->> '$.t' END AS TIMESTAMP_NS))
            AS event_time_ns,
        CASE WHEN is_json THEN text ->> '$.stream' END IS NOT NULL AS is_account""",
    )


def expect_stored(db: duckdb.DuckDBPyConnection) -> None:
    """Replace ``sent`` (of ``truth``) by the messages that Kinesis stored.

    After a producer was killed, this and not the market's truth is what the lake owes.
    A message is one (epoch, frame, index), however often its entry was sent.
    """
    key = REJECT_KEY.format("text")
    db.execute(
        f"""
        CREATE OR REPLACE TABLE sent AS
        WITH malformed AS (
            SELECT DISTINCT {key} AS key FROM sent WHERE flag = '{MALFORMED}'
        ),
        messages AS (
            SELECT DISTINCT ON (epoch, frame, index)
                epoch, frame, index, text, occurrence, is_json
            FROM lines WHERE kind NOT IN ('history', 'gap') AND NOT is_account
        )
        SELECT
            row_number() OVER (ORDER BY epoch, frame, index) AS place,
            NULL::BIGINT AS due_ns,
            CASE WHEN is_json AND {key} NOT IN (SELECT key FROM malformed)
                THEN '{NORMAL}' ELSE '{MALFORMED}' END AS flag,
            text,
            occurrence
        FROM messages
        """
    )


def resent_messages(database: Path) -> int:
    """Return how many messages the emulator made its client send again."""
    with closing(_open(database)) as store:
        ledger = set(
            store.execute("SELECT shard_id, sequence_number FROM injected_duplicates")
        )
    return sum(
        len(payload.splitlines()) - 1
        for shard_id, number, _, _, payload in stored_records(database)
        if (shard_id, number) in ledger and _kind(payload) in _MARKET_KINDS
    )


def _records(database: Path) -> Iterator[Row]:
    for shard_id, number, key, arrival_us, payload in stored_records(database):
        digest = hashlib.md5(payload, usedforsecurity=False).hexdigest()
        yield shard_id, number, key, arrival_us, digest


def _lines(database: Path) -> Iterator[Row]:
    for shard_id, number, _, arrival_us, payload in stored_records(database):
        first, *rest = payload.split(b"\n")
        header = _header.decode(first)
        if header.kind not in _MESSAGE_KINDS:
            continue
        for position, text in enumerate(rest, start=1):
            line = _line.decode(text)
            message = bytes(line.d).decode()
            yield (
                *(shard_id, number, position, arrival_us),
                *(header.kind, header.epoch, line.f, line.i),
                *(line.r // 1000, line.m // 1000, line.o),
                *(bool(message), message or line.x),
            )


def stored_records(database: Path) -> Iterator[tuple[str, str, str, int, bytes]]:
    """Yield shard id, sequence number, partition key, arrival (us), payload of each."""
    with closing(_open(database)) as store:
        shards = store.execute('SELECT key, "index", created_ms FROM shards').fetchall()
        for key, index, created_ms in shards:
            base = sequence.sequence_base(index, created_ms)
            query = (
                "SELECT position, partition_key, data FROM records"
                " WHERE shard_key = ? ORDER BY position"
            )
            for position, partition_key, payload in store.execute(query, (key,)):
                yield (
                    f"shardId-{index:012d}",
                    sequence.sequence_number(base, position),
                    partition_key,
                    sequence.arrival_ms(position) * 1000,
                    payload,
                )


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{database}?mode=ro", uri=True)


def _kind(payload: bytes) -> str:
    return _header.decode(payload.split(b"\n", 1)[0]).kind


def _create(
    db: duckdb.DuckDBPyConnection,
    name: str,
    schema: pa.Schema,
    rows: Iterator[Row],
    more: str = "",
) -> None:
    db.register("incoming", schema.empty_table())
    db.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * {more} FROM incoming")
    # Batch by batch in this thread: SQLite's rows must not be read in DuckDB's.
    for batch in _batches(schema, rows):
        db.register("incoming", pa.Table.from_batches([batch]))
        db.execute(f"INSERT INTO {name} SELECT * {more} FROM incoming")
    db.unregister("incoming")


def _batches(schema: pa.Schema, rows: Iterator[Row]) -> Iterator[pa.RecordBatch]:
    while chunk := list(islice(rows, _CHUNK)):
        values = zip(*chunk, strict=True)
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(values, schema, strict=True)
        ]
        yield pa.record_batch(arrays, schema=schema)
