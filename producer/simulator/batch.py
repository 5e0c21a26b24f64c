"""What a source (the market, a replay) hands to the feed that paces it."""

from collections.abc import Iterator
from itertools import compress
from typing import NamedTuple, Protocol

Route = tuple[str, str]
"""Where a message belongs: Alpaca's ``T`` and the symbol."""

EVERYONE: Route = ("", "")
"""The route of a malformed message: no subscription can name it."""


class Batch(NamedTuple):
    """Consecutive messages in due order; five columns of one length."""

    due_ns: list[int]
    """When each is to be sent, by the wall clock."""
    market_ns: list[int]
    """The market clock at that moment; the wall clock too when live."""
    flags: str
    """One letter each: see ``faults.FLAGS``."""
    routes: list[Route]
    texts: list[bytes]
    """The message as JSON, encoded once for clients and truth."""

    def part(self, start: int, stop: int) -> "Batch":
        """Return the messages from ``start`` up to ``stop``."""
        return Batch(
            self.due_ns[start:stop],
            self.market_ns[start:stop],
            self.flags[start:stop],
            self.routes[start:stop],
            self.texts[start:stop],
        )

    def only(self, chosen: list[bool]) -> "Batch":
        """Return the chosen messages."""
        if all(chosen):
            return self
        return Batch(
            list(compress(self.due_ns, chosen)),
            list(compress(self.market_ns, chosen)),
            "".join(compress(self.flags, chosen)),
            list(compress(self.routes, chosen)),
            list(compress(self.texts, chosen)),
        )


class LinearClock(NamedTuple):
    """Market time = market_ns + speed * (wall time - wall_ns)."""

    wall_ns: int
    market_ns: int
    speed: float

    def market_time_ns(self, wall_ns: int) -> int:
        """Return the market time at a wall time."""
        return self.market_ns + int((wall_ns - self.wall_ns) * self.speed)


class Source(Protocol):
    """A schedule of messages; the start time is all it needs from outside."""

    live: bool
    """Event times are of today's clock, not a recording's."""

    def batches(self, start_ns: int) -> Iterator[Batch]:
        """Yield the whole schedule of a start at ``start_ns``, in due order."""
        ...

    def clock(self, start_ns: int) -> LinearClock | None:
        """Return the market clock; None when it follows the messages alone."""
        ...
