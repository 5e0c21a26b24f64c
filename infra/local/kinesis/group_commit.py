"""One transaction for everything that waits: many acknowledgements, one commit.

What arrives while a commit runs forms the next group, so groups grow with the load and
a lone change waits for nobody. The log is folded into the database between two groups,
in a thread: then changes wait, while reads go on.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from conf import logs
from infra.local.kinesis.store import Store

CHECKPOINT_WAL_BYTES = 16 << 20

_log = logs.get_logger("infra.local.kinesis.group_commit")

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]


class GroupCommit:
    """The only writer of the store; changes take effect in the order of submission."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Change[Any], asyncio.Future[Any]]] = []
        self._arrived = asyncio.Event()

    def submit(self, change: Change[T]) -> asyncio.Future[T]:
        """Queue a change; the future holds its result once it is durable.

        The future raises sqlite3.Error when the group could not be stored: then none
        of its changes was.
        """
        durable: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, durable))
        self._arrived.set()
        return durable

    async def run(self) -> None:
        """Commit group after group until cancelled."""
        while True:
            await self._arrived.wait()
            self._commit_waiting()
            if self._store.wal_bytes() > CHECKPOINT_WAL_BYTES:
                await self._checkpoint()

    async def _checkpoint(self) -> None:
        try:
            await asyncio.to_thread(self._store.checkpoint)
        except sqlite3.Error:
            # nothing is lost: the log keeps growing, and the next commit tries again
            _log.exception("checkpoint_failed")

    def _commit_waiting(self) -> None:
        group, self._waiting = self._waiting, []
        self._arrived.clear()
        try:
            results = self._commit([change for change, _ in group])
        except sqlite3.Error as error:
            _log.exception("commit_failed", changes=len(group))
            for _, durable in group:
                durable.set_exception(error)
        else:
            for (_, durable), result in zip(group, results, strict=True):
                durable.set_result(result)

    def _commit(self, changes: list[Change[Any]]) -> list[Any]:
        with self._store.writer as db:
            db.execute("BEGIN IMMEDIATE")
            return [change(db) for change in changes]
