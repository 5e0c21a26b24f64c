"""Sale conditions: which prints set a bar's prices, and which count as volume.

Sources: Alpaca's "How are bars aggregated?" (Market Data FAQ), which rests on the
tapes' own tables: CTS Pillar output specification, "Sale Condition" (tapes A and B)
and UTP data feed specification 3.14.2 (tape C; OTC's tape O uses a part of it).

A minute bar and a day bar follow different rules. Late prints and prints of an older
price (``G P Z 4``) may set a day's high, but in a minute they are out of place; a
print in extended hours (``T``) sets the prices of its minute, not those of the day.
The day's rules are the tapes' consolidated ones, with Alpaca's simplification: a
late ``L`` always sets the last price (CTS asks who reported it, UTP asks when).
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class Update(IntEnum):
    """Whether a print becomes its bar's last price; the smaller, the stricter."""

    NEVER = 0
    IF_FIRST = 1  # only while no other print has set it
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class Effect:
    """What one print does to a bar.

    Attributes:
        opens: It is the open, if no print before it is.
        high_low: It takes part in high, low and volume-weighted price.
        last: Whether it becomes the close.
        volume: It counts as a trade and its size as volume.
    """

    opens: bool
    high_low: bool
    last: Update
    volume: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One sale condition and its effect on minute bars and on day bars."""

    name: str
    minute: Effect
    day: Effect


REGULAR = Effect(opens=True, high_low=True, last=Update.ALWAYS, volume=True)
_LAST_IF_FIRST = Effect(opens=True, high_low=True, last=Update.IF_FIRST, volume=True)
_VOLUME_ONLY = Effect(opens=False, high_low=False, last=Update.NEVER, volume=True)
_PRICES_ONLY = Effect(opens=True, high_low=True, last=Update.ALWAYS, volume=False)
_NOTHING = Effect(opens=False, high_low=False, last=Update.NEVER, volume=False)


def _regular(name: str) -> Condition:
    return Condition(name, minute=REGULAR, day=REGULAR)


def _volume_only(name: str) -> Condition:
    return Condition(name, minute=_VOLUME_ONLY, day=_VOLUME_ONLY)


def _out_of_place(name: str) -> Condition:
    return Condition(name, minute=_VOLUME_ONLY, day=_LAST_IF_FIRST)


def _official(name: str) -> Condition:
    # the auction's own prints (O, 5, 6) carry its prices and volume
    return Condition(name, minute=_NOTHING, day=_NOTHING)


_ON_EVERY_TAPE = {
    "C": _volume_only("Cash sale"),
    "F": _regular("Intermarket sweep"),
    "H": _volume_only("Price variation trade"),
    "I": _volume_only("Odd lot trade"),
    "K": _regular("Rule 127 or rule 155 trade"),
    "L": _regular("Sold last (late reporting)"),
    "M": _official("Market center official close"),
    "N": _volume_only("Next day"),
    "O": _regular("Market center opening trade"),
    "P": _out_of_place("Prior reference price"),
    "Q": _official("Market center official open"),
    "R": _volume_only("Seller"),
    "T": Condition("Extended hours trade", minute=REGULAR, day=_VOLUME_ONLY),
    "U": _volume_only("Extended hours trade (sold out of sequence)"),
    "V": _volume_only("Contingent trade"),
    "X": _regular("Cross or periodic auction trade"),
    "Z": _out_of_place("Sold (out of sequence)"),
    "4": _out_of_place("Derivatively priced"),
    "5": _regular("Market center reopening trade"),
    "6": _regular("Market center closing trade"),
    "7": _volume_only("Qualified contingent trade"),
    "8": _volume_only("Reserved (trade-through exempt)"),
    "9": Condition("Corrected consolidated close", minute=_NOTHING, day=_PRICES_ONLY),
}

CTS: Mapping[str, Condition] = _ON_EVERY_TAPE | {
    " ": _regular("Regular sale"),
    "B": _volume_only("Average price trade"),
    "E": _regular("Automatic execution"),
}
"""Conditions of tapes A and B by code."""

UTP: Mapping[str, Condition] = _ON_EVERY_TAPE | {
    "@": _regular("Regular sale"),
    "A": _regular("Acquisition"),
    "B": _regular("Bunched trade"),
    "D": _regular("Distribution"),
    "E": _volume_only("Reserved"),
    "G": _out_of_place("Bunched sold trade"),
    "S": _regular("Split trade"),
    "W": _volume_only("Average price trade"),
    "Y": _regular("Yellow flag regular trade"),
    "1": _regular("Stopped stock (regular trade)"),
}
"""Conditions of tapes C and O by code."""

CONDITIONS: Mapping[str, Mapping[str, Condition]] = {
    "A": CTS,
    "B": CTS,
    "C": UTP,
    "O": UTP,
}
"""Conditions by tape."""

NO_VOLUME: frozenset[str] = frozenset(
    code
    for table in (CTS, UTP)
    for code, condition in table.items()
    if not condition.minute.volume
)
"""Codes whose prints no bar counts as volume, on every tape."""


def effect_of(
    conditions: Sequence[str] | None,
    tape: str | None,
    bar: Literal["minute", "day"] = "minute",
) -> Effect:
    """Return what a print with these conditions does to its bar.

    An effect needs the consent of every condition: the strictest rule wins. A code
    that only the other tape family defines means what it means there (feeds and
    recordings mix them); without a tape, CTS comes first. A code that nobody defines
    counts as regular, so that a new code never loses volume or prices unseen.

    Args:
        conditions: One code each; none at all is a regular sale.
        tape: ``A``, ``B``, ``C`` or ``O``; ``None`` if unknown.
        bar: Whose rules apply; bars of minutes and hours are made of minute bars.
    """
    return _strictest(tuple(conditions or ()), tape, bar)


@functools.lru_cache(maxsize=4096)
def _strictest(codes: tuple[str, ...], tape: str | None, bar: str) -> Effect:
    table = {**CTS, **UTP, **CONDITIONS.get(tape or "", CTS)}
    known = [table[code] for code in codes if code in table]
    effects = [each.day if bar == "day" else each.minute for each in known]
    return Effect(
        opens=all(effect.opens for effect in effects),
        high_low=all(effect.high_low for effect in effects),
        last=min((effect.last for effect in effects), default=Update.ALWAYS),
        volume=all(effect.volume for effect in effects),
    )
