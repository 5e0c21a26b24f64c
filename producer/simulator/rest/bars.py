"""Longer bars out of minutes."""

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

from conf.market.rfc3339 import format_ns
from producer.simulator.rest.archive import Event
from producer.simulator.rest.query import BadQuery
from producer.simulator.slots import MINUTE_NS

_TIMEFRAME = re.compile(r"(\d+)(Min|T|Hour|H|Day|D)")
_MINUTES = {"Min": 1, "T": 1, "Hour": 60, "H": 60, "Day": 1_440, "D": 1_440}
_MOST = {"Min": 59, "T": 59, "Hour": 23, "H": 23, "Day": 1, "D": 1}

Between = Callable[[int, int], Iterator[Event]]


def length_ns(timeframe: str) -> int:
    """Return the length of a timeframe such as ``1Min``, ``5Min``, ``1Hour``, ``1Day``.

    Raises:
        BadQuery: Alpaca has no such timeframe, or this simulator has not.
    """
    found = _TIMEFRAME.fullmatch(timeframe)
    if found is None or not 1 <= int(found[1]) <= _MOST[found[2]]:
        raise BadQuery(f"invalid timeframe: {timeframe or 'it is required'}")
    return int(found[1]) * _MINUTES[found[2]] * MINUTE_NS


def aggregated(minutes: Between, length: int) -> Between:
    """Return bars of a length, each from the minutes that begin in it; days by UTC."""
    if length == MINUTE_NS:
        return minutes

    def between(start_ns: int, end_ns: int) -> Iterator[Event]:
        whole_ns = end_ns - end_ns % length + length - 1
        first_ns = -(-start_ns // length) * length
        found = minutes(first_ns, whole_ns)
        for number, group in itertools.groupby(found, key=lambda bar: bar[0] // length):
            yield Event(number * length, _rolled_up(number * length, list(group)))

    return between


def _rolled_up(start_ns: int, minutes: list[Event]) -> dict[str, Any]:
    bars = [event.fields for event in minutes]
    volume = sum(bar["v"] for bar in bars)
    return {
        "t": format_ns(start_ns),
        "o": bars[0]["o"],
        "h": max(bar["h"] for bar in bars),
        "l": min(bar["l"] for bar in bars),
        "c": bars[-1]["c"],
        "v": volume,
        "n": sum(bar["n"] for bar in bars),
        "vw": round(sum(bar["vw"] * bar["v"] for bar in bars) / volume, 6),
    }
