"""Rows of the contracts, for tests that care about few of their columns."""

from datetime import UTC, datetime

import pyarrow as pa

from conf.lake.tables import RECORDS, REJECTS, TRADES

ARRIVAL = datetime(2026, 11, 23, 15, 0, 2, tzinfo=UTC)


def reject(position: int = 1) -> pa.Table:
    row = {
        "arrival_time": ARRIVAL,
        "shard_id": "shardId-0",
        "sequence_number": "1",
        "position": position,
        "reason": "no symbol",
        "message": "{}",
        "ingest_time": ARRIVAL,
        "day": ARRIVAL.date(),
    }
    return pa.Table.from_pylist([row], schema=REJECTS.schema)


def records(*places: tuple[str, str]) -> pa.Table:
    """Return one record per (shard id, sequence number)."""
    rows = [
        {
            "arrival_time": ARRIVAL,
            "shard_id": shard_id,
            "sequence_number": sequence_number,
            "partition_key": "AAPL",
            "ingest_time": ARRIVAL,
            "data": b"{}",
            "day": ARRIVAL.date(),
        }
        for shard_id, sequence_number in places
    ]
    return pa.Table.from_pylist(rows, schema=RECORDS.schema)


def trades(*event_times: datetime) -> pa.Table:
    """Return one trade per event time, numbered from 1."""
    rows = [
        {
            "event_time": time,
            "symbol": "AAPL",
            "event_time_ns": int(time.timestamp() * 1_000_000) * 1_000,
            "exchange": "V",
            "trade_id": trade_id,
            "price": 126.55,
            "size": 100,
            "receive_time": ARRIVAL,
            "market_time": ARRIVAL,
            "arrival_time": ARRIVAL,
            "ingest_time": ARRIVAL,
            "kind": "data",
            "epoch": "e1",
            "shard_id": "shardId-0",
            "sequence_number": "1",
            "position": trade_id,
            "day": time.date(),
        }
        for trade_id, time in enumerate(event_times, start=1)
    ]
    return pa.Table.from_pylist(rows, schema=TRADES.schema)
