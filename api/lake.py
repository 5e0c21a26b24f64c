"""The lake as the API reads it: DuckDB over the files of one Delta version at a time.

Once a second each table's log is read on; a question then opens the files of the
version that was newest, newest event times first, until no other can hold a row of the
answer. Nothing is copied and nothing is kept but the lists of files, so an answer is
never torn, and memory is DuckDB's own limit whatever the size of the lake. Measured
beside the alternatives in ``docs/adr/0009-the-api-reads-files.md``.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import duckdb
from deltalake.exceptions import DeltaError

from api import questions
from api.questions import Question, Row
from api.responses import Stats
from api.snapshots import DataFile, Snapshot, SnapshotReader, microseconds
from conf.errors import FixSetup, RetryLater
from conf.lake.files import offline_connection, rows_of
from conf.lake.roots import absolute
from conf.lake.tables import BARS, SYMBOL_STATS, TABLES, TRADES, TableContract
from conf.logs import get_logger

MEMORY_LIMIT = "512MB"
"""The most that DuckDB takes, all questions together."""
REFRESH_EVERY_S = 1.0
_ANSWER_WITHIN_S = 10.0
_QUESTIONS_AT_ONCE = 4
_FIRST_ROWS, _FIRST_FILES, _MORE = 16_384, 16, 4
"""How much a question opens first, and how many times more the next time."""
_NEWEST_STATS_SPAN = timedelta(days=4)
"""Longer than any weekend: what has no statistics in it does not trade any more."""
_REFERENCES_SPAN = timedelta(days=7)
_log = get_logger(__name__)


class Reference(NamedTuple):
    """The price that a symbol's change is counted from."""

    price: float
    kind: Literal["previous_close", "session_open"]


class Lake:
    """Answers questions about the tables of a lake on this machine.

    Args:
        root: Where the tables are.

    Attributes:
        root: The same, as an absolute folder.
        snapshots: Newest version of each table that exists, by name.
        failures: Why a table's log could not be read on, by name.

    Raises:
        FixSetup: The lake is not on this machine.
    """

    def __init__(self, root: str) -> None:
        self.root = absolute(root)
        if "://" in self.root:
            raise FixSetup("lake.root", f"{root} is not a local folder", "Name one")
        self._readers = {t.name: SnapshotReader(root, t) for t in TABLES.values()}
        self._connection = offline_connection(memory_limit=MEMORY_LIMIT, threads="2")
        self._pool = ThreadPoolExecutor(_QUESTIONS_AT_ONCE, "question")
        self._refreshing = ThreadPoolExecutor(1, "refresh")
        self._stats: tuple[int, list[Stats]] = (-1, [])
        self._references: tuple[int, dict[str, Reference]] = (-1, {})
        self.snapshots: dict[str, Snapshot] = {}
        self.failures: dict[str, str] = {}

    async def run(self) -> None:
        """Follow the tables until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_EVERY_S)

    async def refresh(self) -> None:
        """Move to the newest version of each table."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._refreshing, self._refresh)

    def close(self) -> None:
        """Interrupt what is asked and let go of everything."""
        self._connection.interrupt()
        self._pool.shutdown(cancel_futures=True)
        self._refreshing.shutdown()
        self._connection.close()

    def version(self, name: str) -> int | None:
        """Return a table's Delta version; None if there is no such table."""
        snapshot = self.snapshots.get(name)
        return None if snapshot is None else snapshot.version

    def newest_event_time(self, name: str) -> datetime | None:
        """Return the greatest event time of a table."""
        snapshot = self.snapshots.get(name)
        return None if snapshot is None else snapshot.newest_event_time

    def newest_stats(self) -> tuple[int, list[Stats]]:
        """Return a version of ``gold.symbol_stats`` and its newest row per symbol.

        The version is -1 while there is no table.
        """
        return self._stats

    def references(self) -> dict[str, Reference]:
        """Return the price that each symbol's change is counted from.

        The close of its last bar of an earlier UTC day, or of the history that the
        simulator publishes; without one, the open of its first bar of today.
        """
        return self._references[1]

    async def ask(self, question: Question, snapshot: Snapshot) -> list[Row]:
        """Return the answer, all of it of one version.

        Raises:
            RetryLater: It takes too long, or the oldest day was dropped meanwhile.
        """
        cursor = self._connection.cursor()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await loop.run_in_executor(
                    self._pool, _answer, cursor, question, snapshot
                )
        except duckdb.IOException as error:
            await self.refresh()
            raise RetryLater(f"{question.contract.name}: files were dropped") from error
        except TimeoutError as error:
            raise RetryLater(f"no answer within {_ANSWER_WITHIN_S:g} s") from error
        finally:
            with suppress(duckdb.ConnectionException):  # it is closed: it has ended
                cursor.interrupt()

    async def newest_windows(self, snapshot: Snapshot, window: str) -> list[Stats]:
        """Return the newest window of a length of every symbol, by symbol."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._pool, self._newest_windows, snapshot, window
        )

    async def recent(
        self, snapshot: Snapshot, span: timedelta, sql: str, *values: object
    ) -> list[Row]:
        """Ask the files that hold the last ``span`` of a version's event time."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._pool, self._recent, snapshot, span, sql, *values
        )

    def _refresh(self) -> None:
        for name, reader in self._readers.items():
            try:
                snapshot = reader.refresh()
                self.failures.pop(name, None)
            except (DeltaError, OSError) as error:
                self._failed(name, str(error))
                continue
            if snapshot is None:
                self.snapshots.pop(name, None)
            else:
                self.snapshots[name] = snapshot
        self._derive()

    def _failed(self, name: str, reason: str) -> None:
        if name not in self.failures:
            _log.warning("table cannot be read", table=name, reason=reason)
        self.failures[name] = reason

    def _derive(self) -> None:
        """Compute what must be at hand, where its table has moved on."""
        stats, bars = (self.snapshots.get(t.name) for t in (SYMBOL_STATS, BARS))
        try:
            if stats and stats.version != self._stats[0]:
                self._stats = stats.version, self._newest_windows(stats, "1m")
            if bars and bars.version != self._references[0]:
                self._references = bars.version, self._find_references(bars)
        except duckdb.IOException as error:
            _log.info("files were dropped, next time again", reason=str(error))

    def _newest_windows(self, stats: Snapshot, window: str) -> list[Stats]:
        if stats.newest_event_time is None:
            return []
        since = stats.newest_event_time - _NEWEST_STATS_SPAN
        partition = questions.stats_partition(window)
        files = stats.between(since, partition=partition)
        with self._connection.cursor() as cursor:
            rows = _rows(cursor, stats.contract, files, questions.NEWEST_STATS, ())
        return [Stats(**row) for row in rows]

    def _find_references(self, bars: Snapshot) -> dict[str, Reference]:
        newest = self.newest_event_time(TRADES.name) or bars.newest_event_time
        if newest is None:
            return {}
        today = newest.replace(hour=0, minute=0, second=0, microsecond=0)
        sql = questions.REFERENCES
        rows = self._recent(bars, _REFERENCES_SPAN, sql, today, today)
        return dict(_references(rows))

    def _recent(
        self, snapshot: Snapshot, span: timedelta, sql: str, *values: object
    ) -> list[Row]:
        if snapshot.newest_event_time is None:
            return []
        files = snapshot.between(snapshot.newest_event_time - span)
        with self._connection.cursor() as cursor:
            return _rows(cursor, snapshot.contract, files, sql, values)


def _answer(
    cursor: duckdb.DuckDBPyConnection, question: Question, snapshot: Snapshot
) -> list[Row]:
    """Open files, newest first, until no other can hold a row of the answer."""
    deadline = time.monotonic() + _ANSWER_WITHIN_S
    files = snapshot.between(question.start, question.end, question.partition)
    count = _first(files)
    with cursor:
        while time.monotonic() < deadline:
            rows = _rows(
                cursor, question.contract, files[:count], question.sql, question.values
            )
            if count >= len(files) or _is_settled(rows, question, files[count]):
                return rows
            count *= _MORE
    raise TimeoutError


def _is_settled(rows: Sequence[Row], question: Question, unread: DataFile) -> bool:
    if len(rows) < question.limit:
        return False
    oldest: datetime = rows[-1][question.contract.event_column]
    return microseconds(oldest) > unread.newest_us


def _first(files: Iterable[DataFile]) -> int:
    rows = count = 0
    for count, file in enumerate(files, start=1):
        rows += file.rows
        if rows >= _FIRST_ROWS or count == _FIRST_FILES:
            break
    return count


def _rows(
    cursor: duckdb.DuckDBPyConnection,
    contract: TableContract,
    files: Sequence[DataFile],
    sql: str,
    values: Sequence[object],
) -> list[Row]:
    if not files:
        return []
    source = rows_of(contract, [file.uri for file in files])
    found = cursor.sql(sql.replace("{rows}", f"({source})"), params=list(values))
    rows: list[Row] = found.to_arrow_table().to_pylist()
    return rows


def _references(rows: Iterable[Row]) -> Iterable[tuple[str, Reference]]:
    for row in rows:
        if row["previous_close"] is not None:
            yield row["symbol"], Reference(row["previous_close"], "previous_close")
        elif row["session_open"] is not None:
            yield row["symbol"], Reference(row["session_open"], "session_open")
