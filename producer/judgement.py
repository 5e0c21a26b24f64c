"""What became of a gap, judged by what history has of it."""

from collections.abc import Iterable
from typing import NamedTuple

from producer.gaps import Gap

EXPECTED_ENOUGH = 10.0
"""So many random messages are all absent once in 22,000 times."""
FEWEST_SHARE = 0.05
"""Fewer of the expected messages than this are no quiet spell: some are missing."""
_NS_PER_S = 1_000_000_000


class Verdict(NamedTuple):
    """The end state of a gap; None when history should have more and may get it."""

    state: str | None
    detail: str | None = None


def judge(
    gap: Gap,
    rows: int,
    *,
    per_s: float,
    sessions: Iterable[tuple[int, int]] | None,
    is_halted: bool,
) -> Verdict:
    """Return what became of a gap that history was asked about.

    Args:
        gap: Is over.
        rows: How many of its messages history has.
        per_s: Messages per second that came before the gap.
        sessions: When the market is open, half-open, epoch ns; None: always.
        is_halted: Whether its symbol's last status is a halt.
    """
    to_ns = gap.to_ns or gap.from_ns
    open_ns = to_ns - gap.from_ns
    if sessions is not None:
        shared = (min(to_ns, end) - max(gap.from_ns, begin) for begin, end in sessions)
        open_ns = sum(max(0, part_ns) for part_ns in shared)
    expected = per_s * open_ns / _NS_PER_S
    if rows == 0 and open_ns == 0:
        return Verdict("closed_market")
    if rows == 0 and is_halted:
        return Verdict("halted")
    if expected >= EXPECTED_ENOUGH and rows < FEWEST_SHARE * expected:
        told = f"history has {rows} of about {expected:.0f} messages"
        return Verdict(None, told)
    return Verdict("backfilled")
