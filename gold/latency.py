"""``gold.latency``: how long trades took from hop to hop, minute by minute.

A closed minute is measured once, from what the commits of ``silver.trades`` say: the
log tells when a file became visible, its rows when the trade passed each hop before.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from numpy.typing import NDArray

from conf.lake.commit import Committer, Transaction
from conf.lake.log import Commit, files_of, newest_commits
from conf.lake.roots import table_uri
from conf.lake.tables import LATENCY, TRADES
from gold.windows import Windows

Times = NDArray[np.int64]
"""Microseconds since 1970."""

SETTLED_AFTER = timedelta(seconds=15)
"""Gold has taken the trades of a minute that ended so long ago."""
_LOOK_BACK = timedelta(minutes=30)
_MINUTE = timedelta(minutes=1)
_COLUMNS = ["event_time", "market_time", "receive_time", "arrival_time", "ingest_time"]
# The writers differ in how they note down text and times.
_SCHEMA = pa.schema([TRADES.schema.field(name) for name in (*_COLUMNS, "kind")])


class Latency:
    """Writes the table.

    Args:
        root: The lake; its tables exist.
        committer: Of the layer.
        windows: Knows when gold took what.
    """

    def __init__(self, root: str, committer: Committer, windows: Windows) -> None:
        self._committer, self._windows = committer, windows
        self._trades = DeltaTable(table_uri(root, TRADES))
        self._files = files_of(table_uri(root, TRADES))
        self._table = DeltaTable(table_uri(root, LATENCY))
        newest = _newest_minute(self._table)
        self._next = None if newest is None else newest + _MINUTE

    def measure(self, now: datetime) -> int:
        """Write the minutes that have settled since the last call; return the rows.

        Args:
            now: Wall clock.
        """
        end = (now - SETTLED_AFTER).replace(second=0, microsecond=0)
        start = max(self._next or end - _LOOK_BACK, end - _LOOK_BACK)
        if start >= end:
            return 0
        self._trades.update_incremental()
        commits = [
            commit
            for commit in takewhile(
                lambda commit: commit.time >= start,
                newest_commits(self._files, self._trades.version()),
            )
            if commit.time < end and commit.added
        ]
        rows = [row for minute in _by_minute(commits) for row in self._rows(*minute)]
        table = pa.Table.from_pylist(rows, schema=LATENCY.schema)
        once = Transaction(LATENCY.name, int(end.timestamp()))
        written = self._committer.insert_missing(LATENCY, table, once)
        self._next = end
        return written.rows

    def _rows(
        self, minute: datetime, commits: Sequence[Commit]
    ) -> Iterator[dict[str, Any]]:
        seconds = hops(
            self._passed(commits),
            silver=_microseconds([commit.time for commit in commits]),
            gold=_microseconds(
                self._windows.time_of([commit.version for commit in commits])
            ),
        )
        for hop, took in seconds.items():
            if took.size:
                p50, p95, p99 = np.quantile(took, [0.5, 0.95, 0.99]).tolist()
                yield {
                    "minute": minute,
                    "hop": hop,
                    "trade_count": took.size,
                    "p50_s": p50,
                    "p95_s": p95,
                    "p99_s": p99,
                    "max_s": float(took.max()),
                    "day": minute.date(),
                }

    def _passed(self, commits: Sequence[Commit]) -> Mapping[str, Times]:
        """Return when each live trade passed each hop, and which commit brought it."""
        parts = []
        for place, commit in enumerate(commits):
            for path in commit.added:
                rows = self._read(path)
                parts.append((rows, np.full(rows.num_rows, place)))
        passed = {
            name: np.concatenate([_integers(rows[name]) for rows, _ in parts])
            for name in _COLUMNS
        }
        return passed | {"commit": np.concatenate([places for _, places in parts])}

    def _read(self, path: str) -> pa.Table:
        """Return the live trades of one file; none if its day was dropped meanwhile."""
        try:
            file = ds.dataset(path, _SCHEMA, format="parquet", filesystem=self._files)
            return file.to_table().filter(pc.field("kind") == "data")
        except FileNotFoundError:
            return _SCHEMA.empty_table()


def hops(
    passed: Mapping[str, Times], *, silver: Times, gold: Times
) -> dict[str, NDArray[np.float64]]:
    """Return the seconds that trades took to each hop.

    Args:
        passed: The trades' times by column, and ``commit``, the index of their commit.
        silver: When each commit became visible.
        gold: When gold had it; 0 if unknown.
    """
    in_silver, in_gold = silver[passed["commit"]], gold[passed["commit"]]
    is_known = in_gold > 0
    took = {
        "receive": passed["market_time"] - passed["event_time"],
        "arrival": passed["arrival_time"] - passed["receive_time"],
        "bronze": passed["ingest_time"] - passed["arrival_time"],
        "silver": in_silver - passed["ingest_time"],
        "gold": (in_gold - in_silver)[is_known],
    }
    return {hop: np.asarray(times / 1e6, np.float64) for hop, times in took.items()}


def _by_minute(
    commits: Sequence[Commit],
) -> Iterator[tuple[datetime, list[Commit]]]:
    """Yield the commits of each minute, oldest first."""
    minutes = sorted({c.time.replace(second=0, microsecond=0) for c in commits})
    for minute in minutes:
        yield minute, [c for c in commits if minute <= c.time < minute + _MINUTE]


def _newest_minute(table: DeltaTable) -> datetime | None:
    days = [str(partition["day"]) for partition in table.partitions()]
    if not days:
        return None
    newest = datetime.fromisoformat(max(days)).date()
    rows = table.to_pyarrow_dataset().to_table(["minute"], pc.field("day") == newest)
    minute: datetime | None = pc.max(rows["minute"]).as_py()
    return minute


def _integers(times: pa.ChunkedArray) -> Times:
    return np.asarray(times.cast(pa.int64()).to_numpy(), np.int64)


def _microseconds(times: Sequence[datetime | None]) -> Times:
    epoch = datetime.fromtimestamp(0, UTC)
    us = timedelta(microseconds=1)
    return np.array([0 if t is None else (t - epoch) // us for t in times], np.int64)
