"""When the market is open: a closed market is silent, and that is no fault.

The calendar comes from the process that has it loaded (``history_process``), once a
day.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from conf.errors import RetryLater
from conf.logs import get_logger
from producer.history_process import HistoryProcess

_DAYS_BEFORE, _DAYS_AHEAD = 1, 7
_AGAIN_S, _RETRY_S = 86_400.0, 60.0
_NS_PER_S = 1_000_000_000
_log = get_logger(__name__)


class TradingHours:
    """The sessions of these days, from the first trade to the last.

    Args:
        history: Knows the calendar; this object alone uses it.
    """

    def __init__(self, history: HistoryProcess) -> None:
        self._history = history
        self._known = 0, 0
        self._sessions: list[tuple[int, int]] = []

    def is_open(self, now_ns: int) -> bool:
        """Return whether somebody may trade; true while the calendar is unknown."""
        known_from_ns, known_to_ns = self._known
        if not known_from_ns <= now_ns < known_to_ns:
            return True
        return any(begin <= now_ns < end for begin, end in self._sessions)

    async def learn(self, now_ns: int) -> None:
        """Ask for the sessions around a day.

        Raises:
            RetryLater: The process died.
        """
        today = datetime.fromtimestamp(now_ns // _NS_PER_S, UTC)
        first = today - timedelta(days=_DAYS_BEFORE)
        last = today + timedelta(days=_DAYS_AHEAD)
        try:
            self._sessions = await self._history.sessions(
                first.date().isoformat(), last.date().isoformat()
            )
        finally:
            await self._history.close()
        # a session of the first or last day may reach beyond them
        self._known = now_ns, int(last.timestamp()) * _NS_PER_S
        _log.info("calendar read", sessions=len(self._sessions))

    async def run(self) -> None:
        """Keep the calendar up to date for ever."""
        while True:
            try:
                await self.learn(time.time_ns())
                await asyncio.sleep(_AGAIN_S)
            except RetryLater as error:
                _log.warning("no calendar yet", reason=str(error))
                await asyncio.sleep(_RETRY_S)
