"""Features of minute bars that come in any order, late, revised and withdrawn ones too.

A bar that belongs to the past changes the rest of its session and the next, so these
are computed again from the first bar of the session before: 15 ns a bar, which is
less than finding out what could be kept. The rows are those of all bars at once.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conf.market.indicator_kernel import Records
from conf.market.indicators import BAR, FEATURES, advance, new_state

_COUNTS = [name for name in FEATURES.names or () if FEATURES[name].kind == "i"]
_VALUES = [name for name in FEATURES.names or () if FEATURES[name].kind == "f"]
_ALONE = ("bid_price", "ask_price")
"""What a row of features says of its own bar beside the features."""


class Rows(NamedTuple):
    """Bars and their features, in step."""

    bars: Records
    features: Records


NOTHING = Rows(np.empty(0, BAR), np.empty(0, FEATURES))


class FeatureBook:
    """The bars of some sessions, and the features that were last told of each."""

    def __init__(self) -> None:
        self._symbols: dict[int, Rows] = {}

    def restore(self, told: Rows) -> None:
        """Take in bars that were told before, with what was told of them.

        Args:
            told: Of sessions that the book does not have.
        """
        for symbol in np.unique(told.bars["symbol"]):
            mine = told.bars["symbol"] == symbol
            held = self._symbols.get(int(symbol), NOTHING)
            self._symbols[int(symbol)] = _in_order(
                np.concatenate([held.bars, told.bars[mine]]),
                np.concatenate([held.features, told.features[mine]]),
            )

    def add(self, bars: Records, gone: Records = NOTHING.bars) -> Rows:
        """Take bars in and return what is new or changed, by symbol and time.

        The book must have all bars of the sessions before, of and after each of them.

        Args:
            bars: Rows of ``BAR``, in any order; of several of one window the last
                counts.
            gone: Rows of ``BAR`` for windows that have no bar any more, and none of
                ``bars``.
        """
        changed = [
            self._take(
                int(symbol),
                _last_of_each(bars[bars["symbol"] == symbol]),
                gone[gone["symbol"] == symbol],
            )
            for symbol in np.union1d(bars["symbol"], gone["symbol"])
        ]
        return Rows(
            *(np.concatenate(parts) for parts in zip(NOTHING, *changed, strict=True))
        )

    def forget(self, before_session: int) -> None:
        """Drop the sessions before."""
        for symbol, (bars, features) in self._symbols.items():
            kept = bars["session"] >= before_session
            self._symbols[symbol] = Rows(bars[kept], features[kept])

    def _take(self, symbol: int, arrived: Records, gone: Records) -> Rows:
        held = self._symbols.get(symbol, NOTHING)
        touched = np.concatenate([arrived, gone])
        stays = ~np.isin(held.bars["window_start_ns"], touched["window_start_ns"])
        bars = np.concatenate([held.bars[stays], arrived])
        bars = bars[np.argsort(bars["window_start_ns"])]
        first = touched["session"].min()
        now = Rows(bars[bars["session"] >= first], _features(bars, first))
        before = held.features[held.bars["session"] < first]
        self._symbols[symbol] = Rows(bars, np.concatenate([before, now.features]))
        changed = _changed(held, now)
        return Rows(now.bars[changed], now.features[changed])


def _features(bars: Records, first_session: int) -> Records:
    """Return the features of a symbol's bars from a session on."""
    reach = bars[bars["session"] >= first_session - 1].copy()
    reach["symbol"] = 0
    _, features = advance(new_state(1), reach)
    return features[reach["session"] >= first_session]


def _changed(before: Rows, now: Rows) -> NDArray[np.bool_]:
    """Tell for each row of ``now`` whether it was not so before."""
    if not len(before.bars):
        return np.ones(len(now.bars), bool)
    starts = before.bars["window_start_ns"]
    place = np.searchsorted(starts, now.bars["window_start_ns"])
    place[place == len(starts)] = 0
    same: NDArray[np.bool_] = starts[place] == now.bars["window_start_ns"]
    for name in _COUNTS:
        same &= before.features[name][place] == now.features[name]
    for name in _VALUES:
        same &= _equal(before.features[name][place], now.features[name])
    for name in _ALONE:
        same &= _equal(before.bars[name][place], now.bars[name])
    return ~same


def _equal(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (one == other) | (np.isnan(one) & np.isnan(other))
    return same


def _last_of_each(bars: Records) -> Records:
    """Return the last row of each window."""
    _, place = np.unique(bars["window_start_ns"][::-1], return_index=True)
    return bars[::-1][place]


def _in_order(bars: Records, features: Records) -> Rows:
    order = np.argsort(bars["window_start_ns"])
    return Rows(bars[order], features[order])
