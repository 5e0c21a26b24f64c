"""A lake that grows: ``python -m tests.load.ingesting ROOT MINUTES``.

Trades and quotes of some minutes are there at once, in files as compaction leaves them;
then each second 2,048 of both are committed as silver commits them, by MERGE with
compaction. It says "growing" when it begins with that, and ends when it is killed.
"""

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from conf.lake.commit import Transaction
from conf.lake.commit_embedded import EmbeddedCommitter
from conf.lake.create import ensure_tables
from conf.lake.fence import Fence
from conf.lake.roots import table_uri
from conf.lake.tables import QUOTES, TABLES, TRADES, TableContract
from conf.settings import DEFAULT_SYMBOLS, LakeSettings

ROWS_PER_S = 2_048
_SECOND_NS = 1_000_000_000
_OUT_OF_ORDER_SHARE, _OUT_OF_ORDER_NS = 0.012, 30 * _SECOND_NS
_rng = np.random.default_rng(7)
_symbols = np.array(DEFAULT_SYMBOLS)
_shares = 1 / np.arange(1, len(_symbols) + 1)
_shares /= _shares.sum()


def rows(
    contract: TableContract, start_s: int, seconds: int, per_s: int = ROWS_PER_S
) -> pa.Table:
    """Return the rows of some seconds, the most traded symbol a quarter of them."""
    count = seconds * per_s
    ns = start_s * _SECOND_NS + np.sort(_rng.integers(0, seconds * _SECOND_NS, count))
    is_late = _rng.random(count) < _OUT_OF_ORDER_SHARE
    ns = ns - is_late * _rng.integers(0, _OUT_OF_ORDER_NS, count)
    time_us = (
        pa.array(ns // 1000).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    )
    special = {
        "symbol": _symbols[_rng.choice(len(_symbols), count, p=_shares)],
        "event_time_ns": ns,
        "trade_id": _rng.integers(0, 2**52, count),
        "quote_hash": _rng.integers(-(2**62), 2**62, count),
        "sequence_number": [f"4959{number:052d}" for number in range(count)],
        "day": time_us.cast(pa.date32()),
    }
    columns = [
        special[c.name] if c.name in special else _plain(c.type, time_us, count)
        for c in contract.columns
    ]
    names = list(contract.column_names)
    return pa.table(dict(zip(names, columns, strict=True))).cast(contract.schema)


def _plain(kind: pa.DataType, time_us: pa.Array, count: int) -> object:
    if pa.types.is_timestamp(kind):
        return time_us
    if pa.types.is_floating(kind):
        return np.round(100 + _rng.normal(0, 1, count), 2)
    if pa.types.is_integer(kind):
        return _rng.integers(1, 500, count)
    value = ["@", "I"] if pa.types.is_list(kind) else "V"
    return pa.array([value] * count, kind)


def grow(root: str, minutes: int) -> None:
    """Write until killed."""
    ensure_tables(root, TABLES.values())
    begin_s = int(time.time()) - 60 * minutes
    for minute in range(minutes):
        for contract in (TRADES, QUOTES):
            table = rows(contract, begin_s + 60 * minute, 60)
            write_deltalake(table_uri(root, contract), table, mode="append")
    fence = Fence(Path(root) / "_load.lease", 60, on_lost=lambda _: None)
    fence.acquire()
    committer = EmbeddedCommitter(LakeSettings(root=root), fence)
    sys.stdout.write("growing\n")
    sys.stdout.flush()
    due_s, version = time.time(), 0

    def commit(contract: TableContract) -> int:
        transaction = Transaction(f"load-{contract.name}", version)
        fresh = rows(contract, int(due_s) - 1, 1)
        return committer.insert_missing(contract, fresh, transaction).rows

    while True:
        due_s, version = due_s + 1, version + 1
        time.sleep(max(0.0, due_s - time.time()))
        committer.each(commit, (TRADES, QUOTES))


if __name__ == "__main__":
    grow(sys.argv[1], int(sys.argv[2]))
