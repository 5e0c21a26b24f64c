"""What goes wrong on purpose: which slots of the schedule, and spoilt messages."""

import json
import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from conf.errors import FixSetup
from conf.market.rfc3339 import format_ns, parse_ns
from conf.market.wire import Trade, wire_fields
from conf.settings import SimulatorSettings
from producer.simulator.slots import MINUTE_NS, SECOND_NS

FLAGS = "nrolm"
"""The truth's letters: normal, repeated, out of order, late, malformed."""

NORMAL, REPEATED, OUT_OF_ORDER, LATE, MALFORMED = range(len(FLAGS))
CORRECTED, CANCELED = range(len(FLAGS), len(FLAGS) + 2)
"""Planned like faults, yet plain messages: their flag is n."""

FAULT_NAMES = {"r": "repeated", "o": "out_of_order", "l": "late", "m": "malformed"}

DELAYS_NS = {
    OUT_OF_ORDER: (SECOND_NS, 30 * SECOND_NS),
    LATE: (3 * MINUTE_NS, 360 * MINUTE_NS),
}
"""How long after its event time such a message is sent: from, to."""

HUGE_EVERY = 100
HUGE_CHARACTERS = 200_000

_KEY = {name: key for key, (name, _) in wire_fields(Trade).items()}


def shares(settings: SimulatorSettings) -> tuple[float, ...]:
    """Return the share of each fault and amendment, in the order of their numbers."""
    return (
        settings.repeated_share,
        settings.out_of_order_share,
        settings.late_share,
        settings.malformed_share,
        settings.corrected_share,
        settings.canceled_share,
    )


class FaultPlan:
    """Places faults at random slots, their number exact to one over any run."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._shares = shares(settings)
        if sum(self._shares) > 0.9:
            raise FixSetup(
                "simulator.*_share",
                f"the injected shares add up to {sum(self._shares):g}",
                "Keep their sum at 0.9 or less: the rest is the market",
            )

    def place(
        self, first: int, count: int, rng: np.random.Generator
    ) -> NDArray[np.int8]:
        """Return the fault of each of ``count`` slots that follow ``first`` others."""
        faults = np.zeros(count, np.int8)
        places = rng.permutation(count)
        used = 0
        for fault, share in enumerate(self._shares, start=REPEATED):
            due = int((first + count) * share) - int(first * share)
            faults[places[used : used + due]] = fault
            used += due
        return faults


class Malformer:
    """Spoils trades, one kind of damage after the other."""

    KINDS = (
        "missing_symbol",
        "text_price",
        "text_size",
        "nan_price",
        "unknown_type",
        "bad_time",
        "future",
        "broken_frame",
        "negative_price",
    )

    def __init__(self) -> None:
        self.made = 0

    def spoil(self, trade: Trade) -> bytes:
        """Return the trade with the next kind of damage.

        All are one JSON object that nothing but its content makes unacceptable,
        except ``broken_frame``: the text of a whole frame that ends too early.
        """
        kind = self.KINDS[self.made % len(self.KINDS)]
        self.made += 1
        if self.made % HUGE_EVERY == 0:
            kind = "huge"
        return damaged(trade, kind)


def damaged(trade: Trade, kind: str) -> bytes:
    """Return a trade with one kind of damage, as text."""
    message = msgspec.to_builtins(trade) | _changes(trade).get(kind, {})
    present = {key: value for key, value in message.items() if value is not None}
    text = json.dumps(present, separators=(",", ":")).encode()
    return b"[" + text[: len(text) // 2] if kind == "broken_frame" else text


def _changes(trade: Trade) -> dict[str, dict[str, object]]:
    """What each kind writes over a trade; None removes the key."""
    an_hour_on = format_ns(parse_ns(trade.event_time) + 60 * MINUTE_NS)
    return {
        "missing_symbol": {_KEY["symbol"]: None},
        "text_price": {_KEY["price"]: "abc"},
        "text_size": {_KEY["size"]: "a few"},
        "nan_price": {_KEY["price"]: math.nan},
        "negative_price": {_KEY["price"]: -trade.price},
        "unknown_type": {"T": "zz"},
        "bad_time": {_KEY["event_time"]: "yesterday noon"},
        "future": {_KEY["event_time"]: an_hour_on},
        "huge": {_KEY["conditions"]: "A" * HUGE_CHARACTERS},
    }
