"""Keeps the sliding windows of ``gold.symbol_stats`` up to their minutes.

The minutes' rows are all it reads. A window is written again when one of its minutes
has changed, and once more when its last minute is final.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.commit import Committer, Transaction, ranges_of
from conf.lake.roots import table_uri
from conf.lake.tables import SYMBOL_STATS
from gold.sliding_windows import LENGTHS_S, LONGEST, combine, touched_ends
from gold.symbol_stats import Key, Window, from_row, to_row
from gold.windows import IS_MINUTE, Windows

_MINUTE = timedelta(minutes=1)
Ends = set[tuple[str, datetime]]
"""Symbols and ends of windows of one length."""


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
        due = self._open_ends - is_open
        if not self._waiting and not due:
            return 0
        self._table.update_incremental()
        last = max((start for _, start in self._waiting), default=None)
        newest_end = _later(last and last + _MINUTE, self._newest_end)
        targets = self._targets(newest_end, due)
        minutes = self._minutes(end for ends in targets.values() for _, end in ends)
        stamp = {"source_version": changes.version, "updated_time": began}
        written = 0
        for length_s, ends in targets.items():
            rows = [row | stamp for row in _combined(minutes, ends, length_s, is_open)]
            once = Transaction(
                f"{SYMBOL_STATS.name}/slide/{length_s}", self._table.version()
            )
            table = pa.Table.from_pylist(rows, schema=SYMBOL_STATS.schema)
            written += self._committer.upsert(SYMBOL_STATS, table, once).rows
        self._newest_end, self._waiting = newest_end, set()
        self._open_ends = {end for end in is_open if end <= newest_end}
        return written

    def _targets(self, newest_end: datetime, due: set[datetime]) -> dict[int, Ends]:
        """Return the windows to write by length.

        Those of changed minutes, those that have become final, and of ends that the
        market has reached since the last time, those of every symbol.
        """
        before = self._newest_end
        reached = [] if before is None else self._recent(before)
        targets: dict[int, Ends] = {}
        for length_s in LENGTHS_S:
            ends = targets[length_s] = set()
            for symbol, start in self._waiting:
                touched = touched_ends(start, length_s, newest_end)
                ends.update((symbol, end) for end in touched)
            for symbol, start in reached:
                touched = touched_ends(start, length_s, newest_end)
                ends.update(
                    (symbol, end)
                    for end in touched
                    if end in due or (before is not None and end > before)
                )
        return targets

    def _recent(self, end: datetime) -> list[Key]:
        """Return the minutes of windows that end about then, or later."""
        since = end - 2 * LONGEST
        recent = (pc.field("day") >= since.date()) & (pc.field("window_start") >= since)
        return _keys(self._table, IS_MINUTE & recent)

    def _minutes(self, ends: Iterable[datetime]) -> dict[str, dict[datetime, Window]]:
        """Return all minutes of the windows with these ends, by symbol and start."""
        when = pc.scalar(False)
        start = pc.field("window_start")
        spans = ranges_of(list(ends))
        for low, high in spans:
            when |= (start >= low - LONGEST) & (start < high)
        days = {d.date() for low, high in spans for d in _days(low - LONGEST, high)}
        rows = self._table.to_pyarrow_dataset().to_table(
            filter=pc.field("day").isin(list(days)) & IS_MINUTE & when
        )
        minutes = defaultdict[str, dict[datetime, Window]](dict)
        for row in rows.to_pylist():
            minutes[row["symbol"]][row["window_start"]] = from_row(row)
        return minutes


def _combined(
    minutes: dict[str, dict[datetime, Window]],
    ends: Ends,
    length_s: int,
    open_ends: set[datetime],
) -> Iterator[dict[str, Any]]:
    for symbol, end in ends:
        window = combine(minutes[symbol], end, length_s)
        if window is not None:
            key = symbol, end - timedelta(seconds=length_s)
            is_final = end not in open_ends
            yield to_row(key, window, is_final=is_final, length_s=length_s)


def _state(
    table: DeltaTable,
) -> tuple[datetime | None, set[datetime], datetime | None]:
    """Return the newest end, the ends that are open, and when the table was up to date.

    A driver that ended between the commits of two lengths is found out by the length
    that is behind.
    """
    columns = ["window_length_s", "window_end", "is_final", "updated_time"]
    rows = table.to_pyarrow_dataset().to_table(columns, ~IS_MINUTE)
    newest = rows.group_by("window_length_s").aggregate(
        [("window_end", "max"), ("updated_time", "max")]
    )
    if newest.num_rows < len(LENGTHS_S):
        return None, set(), None
    still_open = rows.filter(pc.invert(rows["is_final"]))["window_end"]
    return (
        pc.min(newest["window_end_max"]).as_py(),
        set(still_open.to_pylist()),
        pc.min(newest["updated_time_max"]).as_py(),
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


def _later(one: datetime | None, other: datetime | None) -> datetime:
    known = [moment for moment in (one, other) if moment is not None]
    return max(known)


def _days(low: datetime, high: datetime) -> Iterator[datetime]:
    while low.date() <= high.date():
        yield low
        low += timedelta(days=1)
