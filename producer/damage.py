"""Records that changed on disk or are gone: which they are, and what they hid.

Records are numbered without a hole, and a file goes only after all before it. So what
is neither stored nor found is lost, wherever it was: a torn end of a file, as a kill
leaves it, is followed by the next number, and damage is not.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from conf.logs import get_logger
from producer.segments import DAMAGED, MARK, Place, Stored

_log = get_logger(__name__)


class Loss(NamedTuple):
    """What a damaged record hid: something received in this market time, epoch ns.

    ``to_ns`` is None where no mark tells.
    """

    outage: str
    from_ns: int
    to_ns: int | None


class Damage:
    """What was lost on this disk, and of which of it no mark knows yet.

    Args:
        set_aside: Keeps the bytes of a place for a person, and says where.
    """

    def __init__(self, set_aside: Callable[[Place], Path]) -> None:
        self._set_aside = set_aside
        self._lost: set[int] = set()
        self._untold: list[tuple[int, Loss]] = []
        self._taken: list[int] = []

    @property
    def records_total(self) -> int:
        """Records that nobody can send any more."""
        return len(self._lost)

    def has(self, number: int) -> bool:
        """Tell whether a record counts as lost, even if the disk can read it again."""
        return number in self._lost

    def add(
        self, numbers: range, places: Iterable[Place], times: list[tuple[int, int]]
    ) -> None:
        """Go on without records; Kinesis has not got them.

        Args:
            numbers: The records.
            places: Where they were, as far as there is anything.
            times: As for ``hidden``.
        """
        copies = [self._kept(place) for place in places]
        self._lost.update(numbers)
        loss = hidden(times, numbers)
        if loss is not None:
            self._untold.append((numbers.start, loss))
        _log.error(
            "records in the spool are damaged or gone: look at the copies; the rest is"
            " sent",
            records=len(numbers),
            first=numbers.start,
            copies=copies,
        )

    def take(self) -> list[Loss]:
        """Return what was lost since the last call, each interval once."""
        losses = [loss for _, loss in self._untold]
        self._taken += [number for number, _ in self._untold]
        self._untold = []
        return joined(losses)

    def marked(self) -> int | None:
        """Note that a mark knows what was taken; return the first number of it."""
        first = min(self._taken, default=None)
        self._taken = []
        return first

    def known_until(self, number: int) -> int:
        """Return a number, or the one before the first loss that no mark knows of.

        Who claims more for stored hides the loss from the next process.
        """
        losses = (*self._taken, *(first for first, _ in self._untold))
        return min((number, *(first - 1 for first in losses)))

    def _kept(self, place: Place) -> str:
        try:
            return str(self._set_aside(place))
        except OSError as error:
            return f"not copied: {error}"


def missing(
    entries: Iterable[Stored], stored_until: int
) -> Iterator[tuple[range, list[Place]]]:
    """Yield the records that are neither stored nor found, and the damage they were in.

    There is none where the disk forgot whole entries, or never took them. What follows
    the last entry is a torn end: the mark before it says since when nothing is known.
    """
    last, places = stored_until, list[Place]()
    for entry in entries:
        if entry.kind == DAMAGED:
            places.append(entry.place)
            continue
        numbers = range(last + 1, entry.number + (entry.kind == MARK))
        if numbers:
            yield numbers, places
        last, places = max(last, entry.number), []


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
