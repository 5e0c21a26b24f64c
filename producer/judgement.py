"""What became of a gap, judged by what history has of it."""

from collections.abc import Iterable
from typing import NamedTuple

from producer.gaps import Gap

EXPECTED_ENOUGH = 10.0
"""So many random messages are all absent once in 22,000 times."""
FEWEST_SHARE = 0.05
"""Fewer of the expected messages than this are no quiet spell: some are missing."""
_NS_PER_S = 1_000_000_000

Sessions = Iterable[tuple[int, int]] | None
"""When the market is open, half-open, epoch ns; None: always."""


class Verdict(NamedTuple):
    """The end state of a gap; None when history should have more and may get it."""

    state: str | None
    detail: str | None = None


def judge(
    gap: Gap,
    rows: int,
    *,
    per_s: float,
    sessions: Sessions,
    is_halted: bool,
) -> Verdict:
    """Return what became of a gap that history was asked about.

    Args:
        gap: Is over.
        rows: How many of its messages history has.
        per_s: Messages per second that came before the gap.
        sessions: When the market is open.
        is_halted: Whether its symbol's last status is a halt.
    """
    traded_ns = open_ns(gap, sessions)
    expected = per_s * traded_ns / _NS_PER_S
    if rows == 0 and traded_ns == 0:
        return Verdict("closed_market")
    if rows == 0 and is_halted:
        return Verdict("halted")
    if expected >= EXPECTED_ENOUGH and rows < FEWEST_SHARE * expected:
        told = f"history has {rows} of about {expected:.0f} messages"
        return Verdict(None, told)
    return Verdict("backfilled")


def open_ns(gap: Gap, sessions: Sessions) -> int:
    """Return for how much of a gap that is over the market was open."""
    to_ns = gap.to_ns or gap.from_ns
    if sessions is None:
        return to_ns - gap.from_ns
    shared = (min(to_ns, end) - max(gap.from_ns, begin) for begin, end in sessions)
    return sum(max(0, part_ns) for part_ns in shared)
