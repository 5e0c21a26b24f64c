"""Odd minute bars: River's local outlier factor among the bars before, unsupervised.

A bar is a point: its move, its range and its volume, each in robust deviations of the
(at most 200) bars before it. The factor says how much thinner the neighbourhood of the
point is than that of its neighbours: 1 is ordinary. A ratio of densities is huge beside
many equal bars too, so an odd bar is also far from the median in one of the three.

A bar is compared with those of its part of the day alone (before, in or after regular
hours), so an open is not odd after a quiet morning. The first of a part or after a halt
follows no other and is not judged: it may open at a price of before the split. Volumes
before a split count in the new shares. The score is a function of the bars of a week as
they were first known: no cut into batches and no restart changes it.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from river.anomaly import LocalOutlierFactor
from river.neighbors import LazySearch

from conf.lake.tables import ANOMALIES
from conf.market.bars import MINUTE_S
from conf.market.sessions import Sessions
from gold.spikes import Context

METHOD = "lof"
_VALUES = ("open", "high", "low", "close", "volume")
COLUMNS = ("symbol", "window_start", "known_time", *_VALUES)
WINDOW, WARM_UP_BARS = 200, 60
REACH = timedelta(days=7)
"""No bar is compared with older ones."""
THRESHOLD, DEVIATIONS = 2.5, 8.0
"""The factor, and the robust deviations in a coordinate, beyond which a bar is odd."""

_NEIGHBOURS = 10
_COORDINATES = ("odd_move", "odd_range", "odd_volume")
_MINUTE_NS = MINUTE_S * 10**9
_REACH_NS = REACH // timedelta(microseconds=1) * 1_000
_TO_DEVIATIONS = 1.4826  # a Gaussian's deviation in median absolute ones
# Less is no difference: a tick of the price, a tenth of the volume.
_TICK_USD, _LEAST_VOLUME = 0.01, 0.1

Splits = Mapping[str, list[tuple[int, float]]]
"""By symbol: (ns from which it trades in the new shares, new shares for an old one)."""
Floats = NDArray[np.float64]


class MinuteBar(NamedTuple):
    """A bar as it was first known; bars ascend by time."""

    start_ns: int
    session: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class OddBars:
    """Scores bars against those before them, batch by batch.

    Args:
        sessions: NYSE's.
        splits: Known ones.
    """

    def __init__(self, sessions: Sessions, splits: Splits | None = None) -> None:
        self._sessions, self._splits = sessions, splits or {}
        self._windows = defaultdict[tuple[str, int], list[MinuteBar]](list)

    def learn(self, bars: pa.Table) -> None:
        """Take bars in that were judged before.

        Args:
            bars: Like those to ``find``.
        """
        for row, bar in self._in_order(bars):
            insort(self._windows[self._key(row["symbol"], bar)], bar)

    def find(self, bars: pa.Table, context: Context) -> pa.Table:
        """Return the odd ones among new bars, as rows of ``gold.anomalies``.

        Args:
            bars: First revisions of minutes that have prices: columns ``COLUMNS``, in
                any order. One older than its symbol's newest is not judged.
            context: Halts, over which no move reaches, and more.
        """
        found = []
        for row, bar in self._in_order(bars):
            symbol = row["symbol"]
            window = self._windows[self._key(symbol, bar)]
            if not window or window[-1] < bar:
                before = [b for b in window if b.start_ns > bar.start_ns - _REACH_NS]
                points = self._points(symbol, [*before[-WINDOW:], bar], context)
                if points is not None:
                    found += _judged(row, bar, before[-1], points, context)
                window[:] = before[-WINDOW:]
            insort(window, bar)
        return pa.Table.from_pylist(found, schema=ANOMALIES.schema)

    def _in_order(self, bars: pa.Table) -> list[tuple[dict[str, Any], MinuteBar]]:
        """Return rows and their bars in the order in which they became known."""
        keys = ("known_time", "window_start", "symbol")
        rows = bars.sort_by([(key, "ascending") for key in keys]).to_pylist()
        starts_ns = [int(row["window_start"].timestamp()) * 10**9 for row in rows]
        numbers = self._sessions.at(starts_ns).tolist()
        return [
            (row, MinuteBar(start_ns, number, *(row[name] for name in _VALUES)))
            for row, start_ns, number in zip(rows, starts_ns, numbers, strict=True)
        ]

    def _key(self, symbol: str, bar: MinuteBar) -> tuple[str, int]:
        """Return the symbol and the part of the day."""
        opened = bar.start_ns >= self._sessions.open_ns[bar.session]
        closed = bar.start_ns >= self._sessions.close_ns[bar.session]
        return symbol, int(opened) + int(closed)

    def _points(
        self, symbol: str, bars: list[MinuteBar], context: Context
    ) -> Floats | None:
        """Return move, range and volume of each bar that follows another.

        They are logarithms in deviations of all bars but the last. None: the last one
        follows none, or too few.
        """
        start_ns, session = np.array([bar[:2] for bar in bars]).T
        _, high, low, close, volume = np.array([bar[2:] for bar in bars]).T
        follows = np.append(False, session[1:] == session[:-1])
        for place in np.flatnonzero(follows) if symbol in context.halted else ():
            since, until = bars[place - 1].start_ns, bars[place].start_ns + _MINUTE_NS
            follows[place] = not context.was_halted(symbol, since, until)
        for since_ns, ratio in self._splits.get(symbol, ()):
            is_split = (start_ns < since_ns) & (since_ns <= start_ns[-1])
            volume *= np.where(is_split, ratio, 1)
        points = np.stack([close / np.roll(close, 1), high / low, 1 + volume], 1)
        points = np.log(points[follows])
        if not follows[-1] or len(points) <= WARM_UP_BARS:
            return None
        middle = np.median(points[:-1], 0)
        spread = _TO_DEVIATIONS * np.median(np.abs(points[:-1] - middle), 0)
        tick = _TICK_USD / close[-1]
        least = np.maximum(spread, [tick, tick, _LEAST_VOLUME])
        scaled: Floats = (points - middle) / least
        return scaled


def local_outlier_factor(points: Floats) -> float:
    """Return the factor of the last point among those before it."""
    *before, last = (dict(enumerate(point)) for point in points.tolist())
    factor = LocalOutlierFactor(_NEIGHBOURS, LazySearch(WINDOW))
    for point in before:
        factor.learn_one(point)
    return float(factor.score_one(last))


def _judged(
    row: dict[str, Any],
    bar: MinuteBar,
    before: MinuteBar,
    points: Floats,
    context: Context,
) -> list[dict[str, Any]]:
    """Return the bar's row if it is odd."""
    far = np.abs(points[-1]) > DEVIATIONS
    if not far.any() or (score := local_outlier_factor(points)) <= THRESHOLD:
        return []
    odd = [name for name, is_far in zip(_COORDINATES, far, strict=True) if is_far]
    known = context.of(row["symbol"], bar.start_ns + _MINUTE_NS, bar.close)
    return [
        {
            "event_time": row["window_start"],
            "symbol": row["symbol"],
            "event_id": f"bar/{MINUTE_S}/{bar.start_ns}",
            "method": METHOD,
            "score": score,
            "value": bar.close,
            "expected": before.close,
            "context": [*odd, *known],
            "market_time": row["known_time"],
            "day": row["window_start"].date(),
        }
    ]
