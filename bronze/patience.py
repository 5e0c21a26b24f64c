"""How long to leave a shard alone after a read that may work soon."""

import random
from dataclasses import dataclass

from bronze.calls import Throttled
from conf.errors import RetryLater
from conf.logs import get_logger

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 8.0
_AWAY_AT_MOST_S = 300.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Trouble:
    """A shard's failures since its last good read."""

    since_s: float
    next_try_s: float
    failures: int = 0


class Patience:
    """Doubles the rest of a shard that fails, while the others go on.

    Throttling may last: the lag shows it. Where Kinesis itself is away for minutes, a
    person should see an error.
    """

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}

    def is_due(self, shard: str, now_s: float) -> bool:
        """Tell whether the shard may be read again.

        Args:
            shard: Shard id.
            now_s: Monotonic seconds.
        """
        trouble = self._troubles.get(shard)
        return trouble is None or now_s >= trouble.next_try_s

    def succeeded(self, shard: str) -> None:
        """Note a good read."""
        trouble = self._troubles.pop(shard, None)
        if trouble:
            _log.info("read again", shard=shard, failures=trouble.failures)

    def failed(self, shard: str, error: RetryLater, now_s: float) -> None:
        """Note a failure, and wait longer than after the one before.

        Raises:
            RetryLater: ``error``, when Kinesis has been away for too long.
        """
        trouble = self._troubles.setdefault(shard, _Trouble(now_s, now_s))
        if not isinstance(error, Throttled) and now_s - trouble.since_s > (
            _AWAY_AT_MOST_S
        ):
            raise error
        if not trouble.failures:
            _log.warning("cannot be read for now", shard=shard, error=str(error))
        trouble.failures += 1
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (trouble.failures - 1))
        trouble.next_try_s = now_s + wait_s * random.uniform(0.5, 1)
