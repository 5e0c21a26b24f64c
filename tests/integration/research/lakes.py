"""Small lakes for readers: rows that care about few columns, commits at known times."""

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from conf.lake.create import ensure_tables
from conf.lake.roots import table_uri
from conf.lake.tables import TABLES, TableContract
from conf.lake.versions import commits, log_files

OPEN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_SAMPLES: dict[pa.DataType, object] = {
    pa.string(): "x",
    pa.int32(): 60,
    pa.int64(): 1,
    pa.float64(): 1.0,
    pa.bool_(): True,
    pa.binary(): b"x",
    pa.list_(pa.float64()): [1.0],
}
_positions = count(1)


def row(contract: TableContract, event_time: datetime, **fields: object) -> dict:
    """Return a row whose other columns hold something of their type."""
    sample: dict[str, object] = {
        column.name: event_time
        if pa.types.is_timestamp(column.type)
        else _SAMPLES.get(column.type)
        for column in contract.columns
    }
    derived = {
        contract.event_column: event_time,
        "event_time_ns": round(event_time.timestamp() * 1e6) * 1_000,
        "day": event_time.date(),
        "hour": event_time.hour,
        "symbol": "AAPL",
        "position": next(_positions),
        "price_sum_e6": Decimal(1),
        "price_sum_squares_e12": Decimal(1),
        "price_buckets": [],
        "context": [],
        "symbols": ["AAPL"],
        "first_day": event_time.date(),
        "last_day": event_time.date(),
    }
    known = {k: v for k, v in derived.items() if k in contract.column_names}
    return {**sample, **known, **fields}


def arrow(contract: TableContract, *rows: dict) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=contract.schema)


def write(root: str | Path, contract: TableContract, *rows: dict) -> None:
    """Append rows in one commit; the table comes into being if it must."""
    ensure_tables(str(root), [contract])
    uri = table_uri(str(root), contract)
    write_deltalake(uri, arrow(contract, *rows), mode="append")


def delta(root: str | Path, contract: TableContract) -> DeltaTable:
    return DeltaTable(table_uri(str(root), contract))


def date_commits(root: str | Path, first: datetime, step: timedelta = SECOND) -> None:
    """Let the commits of each table be one step apart, whenever they were made."""
    for contract in TABLES.values():
        uri = table_uri(str(root), contract)
        if DeltaTable.is_deltatable(uri):
            for file in log_files(uri):
                if file.base_name[:20].isdecimal():
                    time = (first + int(file.base_name[:20]) * step).timestamp()
                    os.utime(Path(uri) / "_delta_log" / file.base_name, (time, time))


def versions(root: str | Path, contract: TableContract) -> list[int]:
    """Return the versions whose commits are in the log."""
    log = log_files(table_uri(str(root), contract))
    return [commit.version for commit in commits(log)]
