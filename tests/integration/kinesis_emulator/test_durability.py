"""What survives a kill, and what leaves the disk."""

import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing

from botocore.exceptions import BotoCoreError

from tests.integration.kinesis_emulator.running import (
    DATABASE,
    FIRST_SHARD,
    STREAM,
    EmulatorProcess,
    data_of,
    put,
    read_from,
    wait_for,
)


def acknowledged_until_killed(
    emulator: EmulatorProcess, writer: int, acknowledged: dict[bytes, tuple[str, str]]
) -> None:
    """Put unique records, noting what is acknowledged, until the emulator dies."""
    client = emulator.client()
    for batch in range(1_000_000):
        payloads = [b"%d-%d-%d" % (writer, batch, entry) for entry in range(20)]
        entries = [{"Data": p, "PartitionKey": p.decode()} for p in payloads]
        try:
            answer = client.put_records(StreamName=STREAM, Records=entries)
        except BotoCoreError:
            return
        for payload, result in zip(payloads, answer["Records"], strict=True):
            acknowledged[payload] = (result["ShardId"], result["SequenceNumber"])


def test_what_is_acknowledged_survives_a_kill(start: Callable[..., EmulatorProcess]):
    emulator = start("--no-limits")
    emulator.client().create_stream(StreamName=STREAM, ShardCount=2)
    acknowledged: dict[bytes, tuple[str, str]] = {}
    writers = [
        threading.Thread(
            target=acknowledged_until_killed, args=(emulator, writer, acknowledged)
        )
        for writer in range(3)
    ]
    for writer in writers:
        writer.start()
    wait_for(lambda: len(acknowledged) > 3_000, timeout_s=30)
    assert emulator.stop(signal.SIGKILL) == -signal.SIGKILL
    for writer in writers:
        writer.join()

    client = start("--no-limits").client()
    stored = [
        (record["Data"], (shard_id, record["SequenceNumber"]))
        for shard_id in (FIRST_SHARD, "shardId-000000000001")
        for record in read_from(client, shard_id)
    ]

    assert max(Counter(payload for payload, _ in stored).values()) == 1
    assert acknowledged.items() <= dict(stored).items()
    later = client.put_record(StreamName=STREAM, Data=b"later", PartitionKey="0-0-0")
    assert int(later["SequenceNumber"]) > max(
        int(number) for _, (shard_id, number) in stored if shard_id == later["ShardId"]
    )


def test_iterators_survive_a_restart(start: Callable[..., EmulatorProcess]):
    emulator = start()
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=1)
    put(client, [b"before"])
    iterator = client.get_shard_iterator(
        StreamName=STREAM, ShardId=FIRST_SHARD, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    emulator.stop(signal.SIGKILL)

    answer = start().client().get_records(ShardIterator=iterator)

    assert data_of(answer["Records"]) == [b"before"]


def test_the_log_is_folded_into_the_database_while_records_come(
    start: Callable[..., EmulatorProcess],
):
    emulator = start("--no-limits")
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=1)
    wal = emulator.folder / f"{DATABASE}-wal"
    largest = 0
    for _ in range(60):
        put(client, [b"x" * 100_000] * 10)
        largest = max(largest, wal.stat().st_size)

    assert largest < 32 << 20
    assert (emulator.folder / DATABASE).stat().st_size > 30 << 20
    assert emulator.health()["bytes"] == 60_000_000


def test_expired_records_leave_the_disk(start: Callable[..., EmulatorProcess]):
    emulator = start()
    client = emulator.client()
    client.create_stream(StreamName=STREAM, ShardCount=1)
    put(client, [b"%d" % number for number in range(500)])
    emulator.stop()
    with closing(sqlite3.connect(emulator.folder / DATABASE)) as db, db:
        # 450 records of yesterday: a position counts in 2**-20 ms
        db.execute(
            "UPDATE records SET position = position - (25 * 3600 * 1000 << 20)"
            " WHERE rowid <= 450"
        )

    restarted = start()

    assert len(read_from(restarted.client())) == 50
    wait_for(lambda: restarted.health()["records"] == 50)
    with closing(sqlite3.connect(emulator.folder / DATABASE)) as db:
        assert db.execute("SELECT COUNT(*) FROM records").fetchone() == (50,)
