"""Keeps the sliding windows of ``gold.symbol_stats`` up to their minutes.

The minutes' rows are all it reads. A window is written again when one of its minutes
has changed, and once more when its last minute is final.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.commit import Committer, Transaction, ranges_of
from conf.lake.roots import table_uri
from conf.lake.tables import SYMBOL_STATS
from gold.sliding_windows import LONGEST, STAMPS, combine
from gold.symbol_stats import Key
from gold.windows import IS_MINUTE, Windows

_MINUTE = timedelta(minutes=1)
_SLIDE = f"{SYMBOL_STATS.name}/slide"
_COLUMNS = [name for name in SYMBOL_STATS.column_names if name not in STAMPS]


class Sliding:
    """Writes the sliding windows.

    Args:
        root: The lake; the table exists.
        committer: Of the layer.
        windows: The table's minutes.
    """

    def __init__(self, root: str, committer: Committer, windows: Windows) -> None:
        self._committer, self._windows = committer, windows
        self._table = DeltaTable(table_uri(root, SYMBOL_STATS))
        self._newest_end, self._open_ends, since = _state(self._table)
        self._waiting = _changed_since(self._table, since)

    def slide(self) -> int:
        """Write the windows that have changed; return how many."""
        began = datetime.now(UTC)
        changes = self._windows.take_changes()
        self._waiting |= changes.windows
        if changes.version is None:
            return 0
        is_open = {start + _MINUTE for start in changes.open_starts}
        last = max((start for _, start in self._waiting), default=None)
        newest_end = _later(last and last + _MINUTE, self._newest_end)
        if newest_end is None:
            return 0
        ends = self._open_ends - is_open | self._reached(newest_end)
        if not self._waiting and not ends:
            return 0
        self._table.update_incremental()
        rows = combine(self._minutes(ends), self._waiting, ends, newest_end)
        is_final = pc.invert(pc.is_in(rows["window_end"], _times(is_open)))
        rows = (
            rows.append_column("is_final", is_final)
            .append_column("source_version", _repeat(changes.version, rows))
            .append_column("updated_time", _repeat(began, rows))
        )
        # The table never has this version again.
        once = Transaction(_SLIDE, self._table.version())
        rows = rows.select(SYMBOL_STATS.column_names).cast(SYMBOL_STATS.schema)
        written = self._committer.upsert(SYMBOL_STATS, rows, once).rows
        self._newest_end, self._waiting = newest_end, set()
        self._open_ends = {end for end in is_open if end <= newest_end}
        return written

    def _reached(self, newest_end: datetime) -> set[datetime]:
        """Return the ends that the market has reached since the last time.

        Later ones have no minute that was there then.
        """
        if self._newest_end is None:
            return set()
        last = min(newest_end, self._newest_end + LONGEST)
        count = (last - self._newest_end) // _MINUTE
        return {self._newest_end + n * _MINUTE for n in range(1, count + 1)}

    def _minutes(self, ends: Iterable[datetime]) -> pa.Table:
        """Return all minutes of the windows that may have to be written."""
        starts = {start for _, start in self._waiting} | {e - _MINUTE for e in ends}
        when = pc.scalar(False)
        start = pc.field("window_start")
        days = set[date]()
        for low, high in ranges_of(list(starts)):
            first, end = low + _MINUTE - LONGEST, high + LONGEST
            when |= (start >= first) & (start < end)
            days |= set(_days(first, end))
        return self._table.to_pyarrow_dataset().to_table(
            _COLUMNS, pc.field("day").isin(list(days)) & IS_MINUTE & when
        )


def _state(
    table: DeltaTable,
) -> tuple[datetime | None, set[datetime], datetime | None]:
    """Return the newest end, the ends that are open, and the newest change."""
    columns = ["window_end", "is_final", "updated_time"]
    rows = table.to_pyarrow_dataset().to_table(columns, ~IS_MINUTE)
    still_open = rows.filter(pc.invert(rows["is_final"]))["window_end"]
    return (
        pc.max(rows["window_end"]).as_py(),
        set(still_open.to_pylist()),
        pc.max(rows["updated_time"]).as_py(),
    )


def _changed_since(table: DeltaTable, since: datetime | None) -> set[Key]:
    """Return the minutes whose rows are not older; all if there is no such time."""
    if since is None:
        return set(_keys(table, IS_MINUTE))
    return set(_keys(table, IS_MINUTE & (pc.field("updated_time") >= since)))


def _keys(table: DeltaTable, where: pc.Expression) -> list[Key]:
    names = ["symbol", "window_start"]
    rows = table.to_pyarrow_dataset().to_table(names, where)
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((m for m in (one, other) if m is not None), default=None)


def _days(low: datetime, high: datetime) -> Iterator[date]:
    day = low.date()
    while day <= high.date():
        yield day
        day += timedelta(days=1)


def _times(moments: Iterable[datetime]) -> pa.Array:
    return pa.array(list(moments), pa.timestamp("us", "UTC"))


def _repeat(value: object, rows: pa.Table) -> pa.Array:
    return pa.repeat(pa.scalar(value), rows.num_rows)
