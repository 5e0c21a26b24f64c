"""What became of a gap, judged by what history has of it."""

from collections.abc import Iterable
from typing import NamedTuple

from producer.gaps import Gap

EXPECTED_ENOUGH = 10.0
"""So many random messages are all absent once in 22,000 times."""
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
    if rows:
        return Verdict("backfilled")
    open_ns = (
        to_ns - gap.from_ns
        if sessions is None
        else sum(max(0, min(to_ns, end) - max(gap.from_ns, begin))
                 for begin, end in sessions)
    )  # fmt: skip
    if sessions is not None and open_ns == 0:
        return Verdict("closed_market")
    if is_halted:
        return Verdict("halted")
    expected = per_s * open_ns / _NS_PER_S
    if expected >= EXPECTED_ENOUGH:
        return Verdict(None, f"history has none of about {expected:.0f} messages")
    return Verdict("backfilled")
