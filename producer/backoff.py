"""How long to wait before the next try."""

import random
from collections.abc import Callable


class Backoff:
    """Exponential backoff with full jitter.

    The n-th wait is drawn between 0 and ``first_s * 2**n``, at most ``max_s``: many
    clients that lost one server do not come back in step.

    Args:
        first_s: Upper bound of the first wait in seconds.
        max_s: Upper bound of every wait in seconds.
        draw: Random numbers in [0, 1).
        eager_tries: So many waits keep the first bound, for what is about to work.
    """

    def __init__(
        self,
        first_s: float,
        max_s: float,
        draw: Callable[[], float] = random.random,
        *,
        eager_tries: int = 0,
    ) -> None:
        self._first_s, self._max_s, self._draw = first_s, max_s, draw
        self._eager_tries = eager_tries
        self.tries = 0

    def next_s(self) -> float:
        """Return the next wait in seconds."""
        # 2**tries outgrows a float after 1,024 failures; the cap is reached long before
        doublings = min(max(0, self.tries - self._eager_tries), 32)
        bound_s = min(self._max_s, self._first_s * 2.0**doublings)
        self.tries += 1
        return self._draw() * bound_s

    def reset(self) -> None:
        """Start over: something worked."""
        self.tries = 0
