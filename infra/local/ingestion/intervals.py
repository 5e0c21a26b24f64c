"""Compares the intervals of the gap ledger with those of the simulator."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from conf.market.gaps import END_STATES, GapTransition
from conf.market.rfc3339 import parse_ns
from producer.simulator.missed import Interval

SECOND_NS = 1_000_000_000

Route = tuple[str, str]
"""Channel and symbol."""
Span = tuple[int, int]


class Spans(msgspec.Struct, frozen=True):
    """How the ledger's intervals agree with the simulator's.

    ``worst_s`` is the largest difference of two ends that belong together;
    ``unmatched`` counts intervals of either side that the other does not have.
    """

    intervals: int
    worst_s: float
    unmatched: int


def agreement(gaps: Iterable[GapTransition], missed: Iterable[Interval]) -> Spans:
    """Compare the intervals of the ledger with those of the simulator.

    Those that still last are left out: the one after the producer's end does.
    """
    told, true = (
        defaultdict[Route, list[Span]](list),
        defaultdict[Route, list[Span]](list),
    )
    for gap in gaps:
        if gap.state in END_STATES and gap.end is not None:
            route = gap.channel, gap.symbol
            told[route].append((parse_ns(gap.start), parse_ns(gap.end)))
    for one in missed:
        if one.to_ns is not None:
            true[one.channel, one.symbol].append((one.from_ns, one.to_ns))
    worst_ns = unmatched = intervals = 0
    for route in told.keys() | true.keys():
        ours, theirs = _merged(told[route]), _merged(true[route])
        intervals += len(theirs)
        pairs = [(x, y) for x in ours for y in theirs if touch(x, y)]
        unmatched += len(ours) - len({x for x, _ in pairs})
        unmatched += len(theirs) - len({y for _, y in pairs})
        differences = [abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True)]
        worst_ns = max(worst_ns, *differences, 0)
    return Spans(intervals, round(worst_ns / SECOND_NS, 3), unmatched)


def touch(one: Span, other: Span) -> bool:
    """Tell whether two spans share a moment, give or take a second."""
    return one[0] - SECOND_NS < other[1] and other[0] - SECOND_NS < one[1]


def _merged(spans: list[Span]) -> list[Span]:
    """Join what is less than a second apart: a link that thaws and then is cut."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin - joined[-1][1] < SECOND_NS:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined
