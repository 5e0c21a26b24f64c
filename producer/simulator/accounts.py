"""Who may connect: the keys, and one connection per key and feed."""

from collections.abc import Iterator
from contextlib import contextmanager

from producer.simulator.peer import Peer, Who
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
        self._connected: dict[Who, Peer] = {}

    @contextmanager
    def admitted(self, peer: Peer, who: Who, secret: str) -> Iterator[None]:
        """Make a connection the key's one to a feed.

        Raises:
            Refused: 402, 406 or 409.
        """
        if not is_valid(who.key, secret):
            raise Refused(ErrorCode.AUTH_FAILED)
        if who.key == FREE_KEY and who.feed == PAID_FEED:
            raise Refused(ErrorCode.INSUFFICIENT_SUBSCRIPTION)
        first = self._connected.get(who)
        if first is not None and not first.is_abandoned:
            raise Refused(ErrorCode.CONNECTION_LIMIT_EXCEEDED)
        self._connected[who] = peer
        peer.who = who
        try:
            yield
        finally:
            # one that was abandoned may end after whoever took its place
            if self._connected.get(who) is peer:
                del self._connected[who]
