"""Tells whether what follows a position may have been trimmed before it was read.

Kinesis does not say: an iterator behind a trimmed record begins silently at the oldest
one left, and an empty shard looks the same whether it lost records or had none. So the
reader itself remembers until when it has read everything (``positions``), and asks for
evidence only when that is nearly as long ago as records are kept.
"""

import time
from collections.abc import Callable, Iterable

from bronze.calls import StreamCalls, utc
from bronze.positions import Position
from conf.errors import TickhouseError
from conf.logs import get_logger

SHORTEST_RETENTION_S = 24 * 3600.0
_CLOCK_MARGIN_S = 300.0
_ASSURED_FOR_S = 3600.0

_log = get_logger(__name__)


class Trimmed(TickhouseError):
    """Records that a batch must contain are gone, or it cannot be told that not."""


class Trimming:
    """Stands between a reader and a silent skip.

    Args:
        calls: The stream.
        fails: Raise ``Trimmed``; otherwise log what is lost and go on.
        now_s: The wall clock, seconds since the epoch.
    """

    def __init__(
        self,
        calls: StreamCalls,
        *,
        fails: bool = True,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._calls, self._fails, self._now_s = calls, fails, now_s
        self._assured_s: dict[str, float] = {}

    def require_held(
        self, shard: str, position: Position, shards: Iterable[str]
    ) -> None:
        """Return if all that follows a position is still held.

        Args:
            shard: Shard id.
            position: Where its reader stands.
            shards: All shards of the stream.

        Raises:
            Trimmed: Some may be gone.
            RetryLater: Throttled, or Kinesis is away.
        """
        now_s, until_s = self._now_s(), position.complete_until_s
        if until_s is None and position.sequence_number is None:
            return
        # A reader that keeps up asks nobody.
        if until_s is not None and now_s - until_s < SHORTEST_RETENTION_S / 2:
            return
        if now_s - self._assured_s.get(shard, 0.0) < _ASSURED_FOR_S:
            return
        if not (
            self._is_within_retention(until_s)
            or self._holds_last_record(shard, position)
            or self._holds_as_old(until_s, shards)
        ):
            self._report_gap(shard, position)
        self._assured_s[shard] = now_s

    def _is_within_retention(self, until_s: float | None) -> bool:
        if until_s is None:
            return False
        kept_since_s = self._now_s() - self._calls.retention_s()
        return until_s >= kept_since_s + _CLOCK_MARGIN_S

    def _holds_last_record(self, shard: str, position: Position) -> bool:
        oldest, number = self._calls.oldest(shard), position.sequence_number
        if oldest is None or number is None:
            return False
        return int(oldest.sequence_number) <= int(number)

    def _holds_as_old(self, until_s: float | None, shards: Iterable[str]) -> bool:
        """Retention is one for all shards: what one holds, none has lost."""
        if until_s is None:
            return False
        oldest = (self._calls.oldest(shard) for shard in shards)
        return any(held.arrival_s <= until_s for held in oldest if held)

    def _report_gap(self, shard: str, position: Position) -> None:
        until_s, oldest = position.complete_until_s, self._calls.oldest(shard)
        since = "then" if until_s is None else utc(until_s)
        self.report(
            f"{self._calls.name(shard)}: read up to {position.place}, longer ago than "
            f"the stream keeps records. What arrived from {since} until "
            f"{oldest or 'now'} was trimmed before it was read"
        )

    def report_missing(self, shard: str, after: Position, last: str) -> None:
        """Say that a planned range cannot be read again.

        Raises:
            Trimmed: If that is to end the query.
        """
        self.report(
            f"{self._calls.name(shard)}: of the records of a batch, those after "
            f"{after.place} up to {last} were trimmed before it was written"
        )

    def report(self, loss: str) -> None:
        """End the query, or log the loss.

        Raises:
            Trimmed: If a loss is to end the query.
        """
        if self._fails:
            raise Trimmed(
                f"{loss}. Raise the stream's retention; to go on with what is left, "
                "start once with kinesis.fail_on_data_loss=false"
            )
        _log.error("records are lost to bronze", loss=loss)
