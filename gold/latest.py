"""Hands the newest statistics per symbol to the store of latest values.

It stands beside the hot path: a batch leaves its rows here after its commit, and a
thread of its own writes what is newest, once a second. A store that is slow or away
costs freshness there, and nothing here.
"""

from collections import deque
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.errors import TickhouseError
from conf.lake.latest import Latest, LatestStore, latest_of
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import SYMBOL_STATS
from conf.logs import get_logger
from gold.symbol_stats import WINDOW_LENGTH_S

_SEED_DAYS = 2
_log = get_logger(__name__)


class LatestStats:
    """Keeps a store in step with ``gold.symbol_stats``.

    Args:
        store: Where the newest row of each symbol goes.
        root: The lake; its newest days are offered first, for a store that is empty.
    """

    def __init__(self, store: LatestStore, root: str) -> None:
        self._store, self._root = store, root
        self._offered = deque[pa.Table]()
        self._waiting: dict[str, Latest] = {}
        self._is_seeded = self._is_away = False

    def offer(self, rows: pa.Table) -> None:
        """Take rows that were committed; returns at once."""
        self._offered.append(rows)

    def flush(self) -> int:
        """Write what is newest of all that was offered; return how many rows.

        What cannot be written now stays for the next time.
        """
        if not self._is_seeded:
            self._offered.appendleft(_newest_days(self._root))
            self._is_seeded = True
        while self._offered:
            for row in _latest(self._offered.popleft()):
                held = self._waiting.get(row.symbol)
                if held is None or row.rank >= held.rank:
                    self._waiting[row.symbol] = row
        return self._write()

    def close(self) -> int:
        """Write what is left, let go of the store and return how many rows it was."""
        try:
            return self.flush()
        finally:
            self._store.close()

    def _write(self) -> int:
        count = len(self._waiting)
        try:
            if count:
                self._store.put(self._waiting.values())
        except TickhouseError as error:
            if not self._is_away:
                _log.warning("latest values stand still", reason=str(error))
            self._is_away = True
            return 0
        self._is_away = False
        self._waiting.clear()
        return count


def _latest(rows: pa.Table) -> Iterator[Latest]:
    """Yield the minutes of some rows of the table."""
    minutes = rows.filter(pc.field("window_length_s") == WINDOW_LENGTH_S)
    for row in minutes.to_pylist():
        times = row["window_start"], row["updated_time"]
        yield latest_of(SYMBOL_STATS.name, row, *times)


def _newest_days(root: str) -> pa.Table:
    partitions = DeltaTable(table_uri(root, SYMBOL_STATS)).partitions()
    days = sorted({str(partition["day"]) for partition in partitions})[-_SEED_DAYS:]
    first = days[0] if days else "9999-12-31"
    is_recent = f"day >= DATE '{first}' AND window_length_s = {WINDOW_LENGTH_S}"
    return scan(root, SYMBOL_STATS, where=is_recent)
