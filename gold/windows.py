"""The one-minute rows of ``gold.symbol_stats``: which are open, change, or close."""

import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.commit import Committer, Transaction
from conf.lake.roots import table_uri
from conf.lake.streams import Position
from conf.lake.tables import SYMBOL_STATS
from gold.symbol_stats import (
    LENGTH_NAMES,
    WINDOW_LENGTH_S,
    Key,
    Row,
    fold,
    is_due,
    newest_market_time,
    restate,
    touched,
)

QUIET_S = 2.0
"""A heartbeat overtakes the trades before it, which pass through silver."""
IS_MINUTE = pc.field("window_length") == LENGTH_NAMES[WINDOW_LENGTH_S]
_BATCHES_REMEMBERED = 1_000
_MINUTES_HELD = 8
_CLOSE = f"{SYMBOL_STATS.name}/close"
_RESTATE = f"{SYMBOL_STATS.name}/restate"


@dataclass(frozen=True)
class Counted:
    """Windows counted anew from effective trades.

    Attributes:
        partials: As ``to_partials`` yields them.
        corrections: The windows, and how many corrections each of them reflects.
    """

    partials: Sequence[Row]
    corrections: Mapping[Key, int]


@dataclass(frozen=True)
class Changes:
    """What became of the windows since somebody last asked.

    Attributes:
        windows: Those whose rows have changed.
        open_starts: Starts of the windows that are not final now.
        version: Of ``silver.trades``, which all rows reflect; None if unknown.
    """

    windows: set[Key]
    open_starts: frozenset[datetime]
    version: int | None


OnCommit = Callable[[pa.Table], None]


def ignore_rows(_: pa.Table) -> None:
    """Do nothing: where nobody wants the rows of a commit."""


class Windows:
    """Writes the table: the query adds to it, upkeep closes windows and restates them.

    Args:
        root: The lake; the table exists.
        committer: Of the layer.
        position: How far the query has read ``silver.trades``; None if unknown.
        on_commit: Is given the minutes of each commit after it, and returns at once.
    """

    def __init__(
        self,
        root: str,
        committer: Committer,
        position: Position | None = None,
        on_commit: OnCommit = ignore_rows,
    ) -> None:
        self._lock = threading.Lock()
        self._committer, self._on_commit = committer, on_commit
        self._table = DeltaTable(table_uri(root, SYMBOL_STATS))
        self._open = _open_starts(self._table)
        self._position = position
        self._since_count: list[Row] | None = None
        self._last_batch_s = time.monotonic()
        self._changed: set[Key] = set()
        self._held: dict[datetime, dict[str, dict[str, Any]]] = {}
        self._is_first = True
        self._batches = deque[tuple[int, datetime]](maxlen=_BATCHES_REMEMBERED)

    def add(
        self,
        partials: Sequence[dict[str, Any]],
        position: Position,
        once: Transaction,
    ) -> int:
        """Add partial sums, and close what the newest of their trades closes.

        Args:
            partials: Rows of ``to_partials``.
            position: How far ``silver.trades`` is read with them.
            once: Names the batch.

        Returns:
            The number of rows that changed.
        """
        clock = newest_market_time(partials)
        with self._lock:
            written = 0
            if clock is not None:
                starts = {start for _, start in touched(partials)}
                rows = fold(
                    self._rows(starts | self._due(clock)),
                    partials,
                    source_version=position.version,
                    updated_time=datetime.now(UTC),
                )
                written = self._write(rows, once)
                self._remember(rows, clock)
                self._last_batch_s = time.monotonic()
            self._position = position
            self._batches.append((position.version, datetime.now(UTC)))
            if self._since_count is not None:
                self._since_count += partials
            return written

    def await_clock(self) -> bool:
        """Tell whether windows are open and no trade came lately to close them."""
        return bool(self._open) and time.monotonic() - self._last_batch_s > QUIET_S

    def close(self, market_time: datetime) -> int:
        """Make the windows final whose end the market clock has passed.

        Returns:
            The number of rows that changed.
        """
        with self._lock:
            due = self._due(market_time)
            current = self._rows(due)
            if not current:
                self._open -= due
                return 0
            rows = fold(
                current,
                [],
                source_version=max(row["source_version"] for row in current),
                updated_time=datetime.now(UTC),
                market_time=market_time,
            )
            written = self._write(rows, self._next(_CLOSE))
            self._remember(rows, market_time)
            return written

    def restate(self, count: Callable[[int], Counted]) -> int:
        """Replace windows by what they are when counted anew.

        Counting takes as long as it takes, and the query goes on adding meanwhile.
        What it adds is added to the new count too.

        Args:
            count: Given a version of ``silver.trades``, counts its trades.

        Returns:
            The number of rows that were replaced; 0 while nobody knows which trades
            the table holds.
        """
        with self._lock:
            if self._position is None or not self._position.is_whole:
                return 0
            version = self._position.version
            since = self._since_count = []
        try:
            counted = count(version)
            with self._lock:
                return self._replace(counted, since)
        finally:
            self._since_count = None

    def time_of(self, versions: Iterable[int]) -> list[datetime | None]:
        """Return when the table took the trades of versions of ``silver.trades``.

        None for what came before this driver, or has not come yet.
        """
        with self._lock:
            batches = list(self._batches)
        times: list[datetime | None] = []
        for version in versions:
            place = bisect_left(batches, version, key=lambda batch: batch[0])
            is_known = place < len(batches) and (place > 0 or version == batches[0][0])
            times.append(batches[place][1] if is_known else None)
        return times

    def take_changes(self) -> Changes:
        """Return what has changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
            version = None if self._position is None else self._position.version
            return Changes(changed, frozenset(self._open), version)

    def _replace(self, counted: Counted, since: Sequence[Row]) -> int:
        keys = set(counted.corrections)
        if not keys or self._position is None:
            return 0
        more = [row for row in since if (row["symbol"], row["window_start"]) in keys]
        rows = restate(
            [*counted.partials, *more],
            counted.corrections,
            {key for key in keys if key[1] not in self._open},
            source_version=self._position.version,
            updated_time=datetime.now(UTC),
        )
        written = self._write(rows, self._next(_RESTATE))
        self._note_changed(rows)
        return written

    def _next(self, statement: str) -> Transaction:
        """Name a commit that is no batch: the table never has this version again."""
        self._table.update_incremental()
        return Transaction(statement, self._table.version())

    def _write(self, rows: pa.Table, once: Transaction) -> int:
        """Commit rows and hold them; return how many it were.

        The table is the truth. Nothing is held after a commit that failed, that was
        there already, or that may have been: a restart repeats at most one batch.
        """
        held, self._held = self._held, {}
        is_first, self._is_first = self._is_first, False
        written = self._committer.upsert(SYMBOL_STATS, rows, once).rows
        if written:
            self._on_commit(rows)
        if written and not is_first:
            self._held = held
            for row in rows.to_pylist():
                if row["window_start"] in held:
                    held[row["window_start"]][row["symbol"]] = row
        return written

    def _due(self, clock: datetime) -> set[datetime]:
        return {start for start in self._open if is_due(start, clock)}

    def _remember(self, rows: pa.Table, clock: datetime) -> None:
        still_open = rows.filter(pc.invert(rows["is_final"]))
        self._open -= self._due(clock)
        self._open |= set(still_open["window_start"].to_pylist())
        self._note_changed(rows)

    def _note_changed(self, rows: pa.Table) -> None:
        columns = (rows[name].to_pylist() for name in ("symbol", "window_start"))
        self._changed.update(zip(*columns, strict=True))

    def _rows(self, starts: Iterable[datetime]) -> list[dict[str, Any]]:
        """Return the table's rows of all symbols in these windows."""
        wanted = set(starts)
        if unknown := wanted - self._held.keys():
            self._held |= {start: {} for start in unknown}
            for row in self._read(unknown):
                self._held[row["window_start"]][row["symbol"]] = row
        found = [row for start in wanted for row in self._held[start].values()]
        for old in sorted(self._held.keys() - self._open)[:-_MINUTES_HELD]:
            del self._held[old]
        return found

    def _read(self, starts: Collection[datetime]) -> list[dict[str, Any]]:
        self._table.update_incremental()
        days = list({start.date() for start in starts})
        rows = self._table.to_pyarrow_dataset().to_table(
            filter=pc.field("day").isin(days)
            & IS_MINUTE
            & pc.field("window_start").isin(list(starts))
        )
        return cast("list[dict[str, Any]]", rows.to_pylist())


def _open_starts(table: DeltaTable) -> set[datetime]:
    """Return the starts of all windows that are not final."""
    is_open = IS_MINUTE & ~pc.field("is_final")
    rows = table.to_pyarrow_dataset().to_table(["window_start"], is_open)
    return set(rows["window_start"].to_pylist())
