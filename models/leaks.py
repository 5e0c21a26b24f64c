"""Prove that nothing looks ahead: spoil all that comes after a moment, compute again.

What was computed at or before the moment may not change by a byte, or it used what
nobody could know. A fill must change, or it used what the decision was made of.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.tape import Booleans, Integers, Tape

Columns = Mapping[str, NDArray[Any]]


class Computed(NamedTuple):
    """What decisions were made of and led to; a row each, ascending in time.

    Attributes:
        decided_ns: When each decision was made.
        known: By name: features, observations, actions. Of the past only.
        filled: By name: prices at which the decision was filled. Of the future only.
    """

    decided_ns: Integers
    known: Columns
    filled: Columns


class Leak(NamedTuple):
    """A moment at which an output used what it must not.

    ``reason`` says which: "knows the future" or "is filled in the past".
    """

    output: str
    decided_ns: int
    reason: str


def of_tape(tape: Tape) -> Computed:
    """Return what must hold of a tape."""
    known = {"features": tape.features, "mark": tape.mark, "unit": tape.unit}
    return Computed(tape.time_ns, known, {"bid": tape.bid, "ask": tape.ask})


def find_leaks(
    compute: Callable[[Columns], Computed],
    columns: Columns,
    known_ns: Integers,
    moments_ns: Iterable[int],
    seed: int = 0,
) -> list[Leak]:
    """Return what looks ahead, at the first of the moments that shows it.

    Args:
        compute: The whole path from raw rows to decisions; called three times a moment.
        columns: The raw rows, ascending in ``known_ns``.
        known_ns: When each row could be known: the later of event and arrival time.
        moments_ns: Moments to try. A leak that reaches ``k`` rows ahead shows at any
            moment with a decision less than ``k`` rows before it.
        seed: Of the values put in.
    """
    rng = np.random.default_rng(seed)
    honest = compute(columns)
    found: dict[str, Leak] = {}
    for moment_ns in moments_ns:
        future = known_ns > moment_ns
        for spoilt in (_noisy(columns, future, rng), _cut(columns, ~future)):
            for leak in _compared(honest, compute(spoilt), moment_ns):
                found.setdefault(leak.output, leak)
    return list(found.values())


def _noisy(columns: Columns, rows: Booleans, rng: np.random.Generator) -> Columns:
    """Return the columns with other numbers in some rows, plausible and far off."""
    return {name: _changed(column, rows, rng) for name, column in columns.items()}


def _changed(
    column: NDArray[Any], rows: Booleans, rng: np.random.Generator
) -> NDArray[Any]:
    changed = column.copy()
    if column.dtype.kind == "f":
        changed[rows] = column[rows] * rng.uniform(0.5, 2, column[rows].shape) + 0.01
    elif column.dtype.kind == "b":
        changed[rows] = ~column[rows]
    # Integers are times and keys: which rows there are is what the cut tries.
    return changed


def _cut(columns: Columns, rows: Booleans) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


def _compared(honest: Computed, spoilt: Computed, moment_ns: int) -> Iterator[Leak]:
    decided = int(np.searchsorted(honest.decided_ns, moment_ns, side="right"))
    if decided == 0:
        return
    for name, expected in honest.known.items():
        row = _first_difference(expected[:decided], spoilt.known[name][:decided])
        if row is not None:
            yield Leak(name, int(honest.decided_ns[row]), "knows the future")
    newest = decided - 1
    for name, price in honest.filled.items():
        after = spoilt.filled[name]
        if newest < len(after) and price[newest].tobytes() == after[newest].tobytes():
            yield Leak(name, int(honest.decided_ns[newest]), "is filled in the past")


def _first_difference(expected: NDArray[Any], found: NDArray[Any]) -> int | None:
    """Return the first row whose bytes differ, or that is missing."""
    for row, value in enumerate(expected):
        if row >= len(found) or value.tobytes() != found[row].tobytes():
            return row
    return None
