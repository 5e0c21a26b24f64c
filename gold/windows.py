"""The rows of ``gold.symbol_stats``: which are open, which change, which close."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.commit import Committer, Transaction
from conf.lake.roots import table_uri
from conf.lake.tables import SYMBOL_STATS
from gold.symbol_stats import fold, is_due, newest_market_time, touched

QUIET_S = 2.0
"""A heartbeat overtakes the trades before it, which pass through silver."""
_CLOSE = f"{SYMBOL_STATS.name}/close"


OnCommit = Callable[[pa.Table], None]


def ignore_rows(_: pa.Table) -> None:
    """Do nothing: where nobody wants the rows of a commit."""


class Windows:
    """Writes the table: the query adds to it, the timer closes windows.

    Args:
        root: The lake; the table exists.
        committer: Of the layer.
        on_commit: Is given the rows of each commit after it, and returns at once.
    """

    def __init__(
        self,
        root: str,
        committer: Committer,
        on_commit: OnCommit = ignore_rows,
    ) -> None:
        self._lock = threading.Lock()
        self._committer, self._on_commit = committer, on_commit
        self._table = DeltaTable(table_uri(root, SYMBOL_STATS))
        self._open = _open_starts(self._table)
        self._last_batch_s = time.monotonic()

    def add(
        self, partials: Sequence[dict[str, Any]], version: int, once: Transaction
    ) -> int:
        """Add partial sums, and close what the newest of their trades closes.

        Args:
            partials: Rows of ``to_partials``.
            version: Of ``silver.trades``, which the result reflects.
            once: Names the batch.

        Returns:
            The number of rows that changed.
        """
        clock = newest_market_time(partials)
        if clock is None:
            return 0
        with self._lock:
            starts = {start for _, start in touched(partials)}
            rows = fold(
                self._rows(starts | self._due(clock)),
                partials,
                source_version=version,
                updated_time=datetime.now(UTC),
            )
            written = self._committer.upsert(SYMBOL_STATS, rows, once)
            self._on_commit(rows)
            self._remember(rows, clock)
            self._last_batch_s = time.monotonic()
            return written.rows

    def await_clock(self) -> bool:
        """Tell whether windows are open and no trade came lately to close them."""
        return bool(self._open) and time.monotonic() - self._last_batch_s > QUIET_S

    def close(self, market_time: datetime) -> None:
        """Make the windows final whose end the market clock has passed."""
        with self._lock:
            due = self._due(market_time)
            current = self._rows(due)
            if not current:
                self._open -= due
                return
            rows = fold(
                current,
                [],
                source_version=max(row["source_version"] for row in current),
                updated_time=datetime.now(UTC),
                market_time=market_time,
            )
            # The table never has this version again.
            once = Transaction(_CLOSE, self._table.version())
            self._committer.upsert(SYMBOL_STATS, rows, once)
            self._on_commit(rows)
            self._remember(rows, market_time)

    def _due(self, clock: datetime) -> set[datetime]:
        return {start for start in self._open if is_due(start, clock)}

    def _remember(self, rows: pa.Table, clock: datetime) -> None:
        still_open = rows.filter(pc.invert(rows["is_final"]))
        self._open -= self._due(clock)
        self._open |= set(still_open["window_start"].to_pylist())

    def _rows(self, starts: Iterable[datetime]) -> list[dict[str, Any]]:
        """Return the table's rows of all symbols in these windows."""
        wanted = list(starts)
        if not wanted:
            return []
        self._table.update_incremental()
        days = list({start.date() for start in wanted})
        rows = self._table.to_pyarrow_dataset().to_table(
            filter=pc.field("day").isin(days) & pc.field("window_start").isin(wanted)
        )
        return cast("list[dict[str, Any]]", rows.to_pylist())


def _open_starts(table: DeltaTable) -> set[datetime]:
    """Return the starts of all windows that are not final."""
    rows = table.to_pyarrow_dataset().to_table(["window_start"], ~pc.field("is_final"))
    return set(rows["window_start"].to_pylist())
