"""Numbering of quotes that are identical in every byte.

Two quotes of one instant may agree in all fields and still be two events. Their
number in feed order tells them apart; for trades and bars the venue's own ids do.
"""

MEMORY_S = 45.0


class Occurrences:
    """Counts identical messages of one epoch.

    A message is remembered for 45 to 90 seconds after its last sighting, in two
    generations of hashes: the older one is dropped as a whole. Numbers are kept only
    of the messages that came twice.
    """

    def __init__(self, memory_s: float = MEMORY_S) -> None:
        self._memory_s = memory_s
        self.forget()

    def forget(self) -> None:
        """Start over: a new epoch begins."""
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()
        self._repeats: dict[int, int] = {}
        self._repeats_before: dict[int, int] = {}
        self._generation_start_s = float("-inf")

    def number(self, message: bytes, now_s: float) -> int:
        """Return how many identical messages came before this one.

        Args:
            message: The message's bytes.
            now_s: Seconds of any clock that never goes back.
        """
        if now_s - self._generation_start_s >= self._memory_s:
            self._start_generation(now_s)
        key = hash(message)
        if key not in self._seen and key not in self._seen_before:
            self._seen.add(key)
            return 0
        self._seen.add(key)
        count = self._repeats.get(key) or self._repeats_before.get(key, 0)
        self._repeats[key] = count + 1
        return count + 1

    def _start_generation(self, now_s: float) -> None:
        self._seen_before, self._seen = self._seen, set()
        self._repeats_before, self._repeats = self._repeats, {}
        self._generation_start_s = now_s
