"""Who may connect: the keys, and one connection per key and feed."""

from collections.abc import Iterator
from contextlib import contextmanager

from producer.simulator.protocol import ErrorCode, Refused

WRONG_KEY = "wrong"
FREE_KEY = "free"
PAID_FEED = "/v2/sip"


def is_valid(key: str, secret: str) -> bool:
    """Return whether the simulator knows these credentials: nearly all of them."""
    return bool(key and secret) and key != WRONG_KEY


class Accounts:
    """The connections of every key."""

    def __init__(self) -> None:
        self._connected: set[tuple[str, str]] = set()

    @contextmanager
    def admitted(self, feed: str, key: str, secret: str) -> Iterator[None]:
        """Hold the key's one connection to a feed.

        Raises:
            Refused: 402, 406 or 409.
        """
        if not is_valid(key, secret):
            raise Refused(ErrorCode.AUTH_FAILED)
        if key == FREE_KEY and feed == PAID_FEED:
            raise Refused(ErrorCode.INSUFFICIENT_SUBSCRIPTION)
        if (feed, key) in self._connected:
            raise Refused(ErrorCode.CONNECTION_LIMIT_EXCEEDED)
        self._connected.add((feed, key))
        try:
            yield
        finally:
            self._connected.discard((feed, key))
