"""Records whose bytes changed on disk: which they are, and what they hid."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from producer.segments import DAMAGED, MARK, Place, Stored


class Loss(NamedTuple):
    """What a damaged record hid: something received in this market time, epoch ns.

    ``to_ns`` is None where no mark tells.
    """

    outage: str
    from_ns: int
    to_ns: int | None


def unsent_damage(
    entries: list[Stored], stored_until: int
) -> Iterator[tuple[Place, range]]:
    """Yield where damage is, and the numbers of the records in it that are not sent."""
    last = stored_until
    for entry, behind in pairwise(entries):
        if entry.kind == DAMAGED:
            yield entry.place, range(last + 1, behind.number + (behind.kind == MARK))
        last = max(last, entry.number)


def hidden(times: list[tuple[int, int]], numbers: range) -> Loss | None:
    """Return when records were received; None if no mark tells anything.

    Args:
        times: Everything received before a time, epoch ns, is in records up to a
            number; that one may have come later.
        numbers: The records.
    """
    before = [time_ns for number, time_ns in times if number < numbers.start]
    after = [time_ns for number, time_ns in times if number >= numbers[-1]]
    if not before and not after:
        return None
    from_ns = max(before) if before else min(after)
    later = [time_ns for time_ns in after if time_ns > min(after)]
    outage = f"spool-{from_ns}-{numbers.start}"
    return Loss(outage, from_ns, min(later, default=None))


def joined(losses: Iterable[Loss]) -> list[Loss]:
    """Return losses that touch or overlap as one, under the first one's name."""
    found: list[Loss] = []
    for loss in sorted(losses, key=lambda loss: loss.from_ns):
        last = found[-1] if found else None
        if last is None or (last.to_ns is not None and last.to_ns < loss.from_ns):
            found.append(loss)
        elif last.to_ns is not None:
            end_ns = None if loss.to_ns is None else max(last.to_ns, loss.to_ns)
            found[-1] = last._replace(to_ns=end_ns)
    return found
