"""What an agent trades against: one symbol's decision points in time order."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Tape:
    """One row per closed bar, which is one decision.

    Attributes:
        time_ns: The bar's end, when the decision is made; ascending.
        session: Number of the trading day.
        features: Network inputs known at ``time_ns``, a row per decision.
        mark: USD at which a position is valued at ``time_ns``: the bar's close.
        bid: USD that a sell decided at ``time_ns`` gets: the next quote's, or the next
            open's. NaN where nothing follows to be filled at.
        ask: USD that a buy decided at ``time_ns`` pays.
        unit: Size of an ordinary log-return of one bar, known at ``time_ns``. It makes
            the portfolio's inputs scale-free.
    """

    time_ns: Integers
    session: Integers
    features: Floats
    mark: Floats
    bid: Floats
    ask: Floats
    unit: Floats

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, field.name)) for field in fields(self)}
        if len(lengths) != 1:
            raise ValueError(f"the columns of a tape differ in length: {lengths}")
        if self.features.ndim != 2:
            raise ValueError("features of a tape have a row per decision")
        if np.any(np.diff(self.time_ns) <= 0):
            raise ValueError("the decisions of a tape must ascend in time")

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def side_cost(self) -> float:
        """Log-return that one order ordinarily costs: half the median spread."""
        return float(np.nanmedian(np.log(self.ask / self.bid))) / 2

    @property
    def digest(self) -> str:
        """SHA-256 of every column: tapes that differ in one bit differ in it."""
        known = hashlib.sha256()
        for field in fields(self):
            column = getattr(self, field.name)
            known.update(f"{field.name} {column.dtype} {column.shape}".encode())
            known.update(column.tobytes())
        return known.hexdigest()

    def part(self, first: int, stop: int) -> "Tape":
        """Return the decisions ``[first, stop)``."""
        columns = {f.name: getattr(self, f.name)[first:stop] for f in fields(self)}
        return replace(self, **columns)


def sessions(tape: Tape) -> Integers:
    """Return an episode per trading day: its first and last row.

    A day of one bar has no following bar to be valued at, and is left out.
    """
    edges = np.flatnonzero(np.diff(tape.session)) + 1
    firsts = np.concatenate([[0], edges])
    lasts = np.concatenate([edges, [len(tape)]]) - 1
    return np.stack([firsts, lasts], 1)[lasts > firsts]


def stretches(tape: Tape, bars: int) -> Integers:
    """Return every stretch of ``bars`` decisions as an episode, overlapping ones too.

    Raises:
        ValueError: The tape is shorter than one stretch.
    """
    if len(tape) <= bars:
        raise ValueError(f"{len(tape)} decisions are too few for stretches of {bars}")
    firsts = np.arange(len(tape) - bars)
    return np.stack([firsts, firsts + bars], 1)


def whole(tape: Tape) -> Integers:
    """Return the whole tape as one episode."""
    return np.array([[0, len(tape) - 1]])


def joined(tapes: list[Tape]) -> tuple[Tape, Integers]:
    """Return tapes laid end to end, and the first and last row of each.

    Times are shifted so that they ascend; sessions stay apart.
    """
    shifted = list(_following_each_other(tapes))
    columns = {
        field.name: np.concatenate([getattr(tape, field.name) for tape in shifted])
        for field in fields(Tape)
    }
    stops = np.cumsum([len(tape) for tape in tapes])
    firsts = stops - [len(tape) for tape in tapes]
    return Tape(**columns), np.stack([firsts, stops - 1], 1)


def _following_each_other(tapes: list[Tape]) -> Iterator[Tape]:
    time_ns, session = 0, 0
    for tape in tapes:
        moved = replace(
            tape,
            time_ns=tape.time_ns - tape.time_ns[0] + time_ns,
            session=tape.session - tape.session[0] + session,
        )
        time_ns, session = int(moved.time_ns[-1]) + 1, int(moved.session[-1]) + 1
        yield moved
