"""How soon silver goes on after a fault, as a reader of the lake sees it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.local.reader import TableLog

TABLES = ("silver.trades", "silver.quotes")
MARGIN = timedelta(seconds=1)
"""What reached the stream so soon after a fault may have been under way before it."""

_LOOK_EVERY_S = 0.1


class Silver:
    """Watches the commits of silver.

    Args:
        lake: Folder of the tables.
    """

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._logs = {table: TableLog(lake, table) for table in TABLES}

    def recovery_s(
        self, over: datetime, within_s: float, ended: Callable[[], bool]
    ) -> float | None:
        """Wait for rows that came after a fault, and return how long they took.

        Args:
            over: When the fault was over, UTC.
            within_s: How long to wait.
            ended: Whether there is nothing to wait for any more.

        Returns:
            Seconds from the end of the fault to the first commit with a row that
            reached the stream at least a second later; None if none came.
        """
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up and not ended():
            seen = datetime.now(UTC)
            if max(self._new_arrivals(), default=over) >= over + MARGIN:
                return round((seen - over).total_seconds(), 1)
            time.sleep(_LOOK_EVERY_S)
        return None

    def _new_arrivals(self) -> list[datetime]:
        """Return when the newest row of each new file reached the stream."""
        files = [
            self._lake / table.replace(".", "/") / path
            for table, log in self._logs.items()
            for commit in log.new_commits()
            for path in commit.added
        ]
        columns = [pq.read_table(x, columns=["arrival_time"]).column(0) for x in files]
        return [pc.max(column).as_py() for column in columns]
