"""Halts, price bands and what is told of them.

Statuses have the tape's codes: UTP's on tape C, CTA's on A and B. Sources: UTP data
feed specification 3.14.2 and CTS Pillar output specification, "Trading action";
Regulation NMS Plan to Address Extraordinary Market Volatility for the bands.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conf.errors import FixSetup
from conf.market.rfc3339 import format_ns
from conf.market.wire import PriceBand, Status
from conf.settings import SimulatorSettings
from producer.simulator.listing import Listing
from producer.simulator.sessions import Day
from producer.simulator.slots import SECOND_NS

BAND_SHARE = 0.05
"""Of the reference price: a tier 1 stock above 3 USD."""
REFERENCE_MOVES = 0.01
"""A reference price holds until the price is so far from it."""

_HALT = {
    "CTA": ("2", "Trading Halt", "P", "News Pending"),
    "UTP": ("H", "Trading Halt", "T1", "Halt News Pending"),
}
_RESUME = {
    "CTA": ("3", "Resume", "D", "News Released"),
    "UTP": ("T", "Trading Resumption", "T3", "News and Resumption Times"),
}


class Halt(NamedTuple):
    """One symbol does not trade in [start, end)."""

    symbol: int
    start_ns: int
    end_ns: int


class Halts:
    """Chooses who is halted when: at most one symbol at a time, by its own seed.

    Raises:
        FixSetup: There is no second symbol to trade on meanwhile.
    """

    def __init__(self, settings: SimulatorSettings, listings: list[Listing]) -> None:
        self._listings = listings
        self._every_s = settings.halt_every_s
        self._length_ns = int(settings.halt_s * SECOND_NS)
        self._rng = np.random.default_rng([settings.seed, 1])
        self._halts: list[Halt] = []
        self._untold: list[tuple[int, Status]] = []
        if self._every_s is not None and len(listings) < 2:
            raise FixSetup(
                "simulator.halt_every_s",
                "a halt needs another symbol that trades on meanwhile",
                "Name two symbols or more, or leave halt_every_s empty",
            )

    def open(self, day: Day) -> None:
        """Plan the halts of a day, in its regular hours."""
        self._untold = []
        self._planned = self._plan(day)
        self._plan_one()

    @property
    def next_ns(self) -> int | None:
        """When there is something to tell again."""
        return self._untold[0][0] if self._untold else None

    def tell(self, until_ns: int) -> Iterator[Status]:
        """Yield the statuses up to a time, in order."""
        while self._untold and self._untold[0][0] <= until_ns:
            _, status = self._untold.pop(0)
            if not self._untold:
                self._plan_one()
            yield status

    def is_halted(self, symbol: int, time_ns: int) -> bool:
        """Return whether a symbol does not trade at a time."""
        return any(
            halt.symbol == symbol and halt.start_ns <= time_ns < halt.end_ns
            for halt in self._halts
        )

    def traded(
        self, symbols: NDArray[np.int64], event_ns: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the symbols, each that is halted at its time replaced by the next."""
        for halt in self._halts:
            halted = symbols == halt.symbol
            halted &= (event_ns >= halt.start_ns) & (event_ns < halt.end_ns)
            symbols[halted] = (halt.symbol + 1) % len(self._listings)
        return symbols

    def _plan(self, day: Day) -> Iterator[Halt]:
        end_ns = max(day.open_ns, day.regular[0])
        close_ns = min(day.close_ns, day.regular[1])
        while self._every_s is not None:
            gap_s = self._every_s * self._rng.uniform(0.5, 1.5)
            start_ns = end_ns + int(gap_s * SECOND_NS)
            end_ns = start_ns + self._length_ns
            if end_ns >= close_ns:
                return
            symbol = int(self._rng.integers(len(self._listings)))
            yield Halt(symbol, start_ns, end_ns)

    def _plan_one(self) -> None:
        halt = next(self._planned, None)
        if halt is None:
            return
        self._halts.append(halt)
        listing = self._listings[halt.symbol]
        self._untold = [
            (halt.start_ns, _status(listing, halt.start_ns, _HALT)),
            (halt.end_ns, _status(listing, halt.end_ns, _RESUME)),
        ]


class PriceBands:
    """Limit up and limit down of each symbol, told again when the price has moved."""

    def __init__(self, listings: list[Listing]) -> None:
        self._listings = listings
        self._references: dict[int, float] = {}

    def moved(
        self, cents: Sequence[float], time_ns: int, halts: Halts
    ) -> Iterator[PriceBand]:
        """Yield the bands of the symbols whose price left its reference.

        Args:
            cents: The price of each symbol.
            time_ns: When; a symbol that is halted then has no new band.
            halts: Who is halted.
        """
        for symbol, price in enumerate(cents):
            reference = self._references.get(symbol, 0.0)
            if abs(price - reference) < reference * REFERENCE_MOVES:
                continue
            if halts.is_halted(symbol, time_ns):
                continue
            self._references[symbol] = price
            yield PriceBand(
                symbol=self._listings[symbol].symbol,
                limit_up_price=round(price * (1 + BAND_SHARE)) / 100,
                limit_down_price=round(price * (1 - BAND_SHARE)) / 100,
                indicator="B",
                event_time=format_ns(time_ns),
                tape=self._listings[symbol].tape,
            )


def _status(
    listing: Listing, time_ns: int, codes: dict[str, tuple[str, str, str, str]]
) -> Status:
    code, message, reason, reason_message = codes[
        "UTP" if listing.tape == "C" else "CTA"
    ]
    return Status(
        symbol=listing.symbol,
        status_code=code,
        status_message=message,
        reason_code=reason,
        reason_message=reason_message,
        event_time=format_ns(time_ns),
        tape=listing.tape,
    )
