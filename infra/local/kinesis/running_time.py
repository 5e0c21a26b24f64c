"""Time that counts: retention stands still while the emulator does not run.

On AWS a stream ages whether anybody looks or not. Here stream, producer and readers
are off together: what was put before a laptop was closed on Friday would be trimmed on
Monday before anyone could read it.
"""

from typing import NamedTuple


class Pause(NamedTuple):
    """The process did not run between these times, ms since the epoch."""

    from_ms: int
    to_ms: int


SHORTEST_PAUSE_MS = 60_000
"""A restart within a minute counts as running."""


def pause_between(last_alive_ms: int | None, now_ms: int) -> Pause | None:
    """Return the pause between two signs of life, if there was one."""
    if last_alive_ms is None or now_ms - last_alive_ms < SHORTEST_PAUSE_MS:
        return None
    return Pause(last_alive_ms, now_ms)


def time_before(now_ms: int, running_ms: int, pauses: list[Pause]) -> int:
    """Return the time since which the process has run for ``running_ms``.

    Args:
        now_ms: Ms since the epoch.
        running_ms: Ms of running to go back.
        pauses: In the order of time, apart from each other.
    """
    time_ms = now_ms
    for pause in reversed(pauses):
        if time_ms - running_ms >= pause.to_ms:
            break
        running_ms -= time_ms - pause.to_ms
        time_ms = pause.from_ms
    return time_ms - running_ms
