"""Features of minute bars that come in any order, late and revised ones too.

A bar that continues its symbol costs one step of the kernel. One that belongs to the
past changes the rest of its session and the next, so the symbol is computed again from
the bars of three sessions. Either way the rows are those of all bars at once.
"""

from typing import NamedTuple

import numpy as np

from conf.market.indicator_kernel import Records
from conf.market.indicators import BAR, State, advance, new_state

_KEPT_SESSIONS = 3


class Row(NamedTuple):
    """A bar and its features: one row each of ``BAR`` and ``FEATURES``."""

    bar: np.void
    features: np.void


class FeatureBook:
    """The newest sessions' bars of some symbols, with their features.

    After a restart, ``add`` the bars of the newest three sessions to a new book.
    """

    def __init__(self, symbols: int) -> None:
        self._states = [new_state(1) for _ in range(symbols)]
        self._rows: list[dict[int, Row]] = [{} for _ in range(symbols)]

    def add(self, bars: Records) -> list[Row]:
        """Take bars in and return what is new or changed, by symbol and time.

        Args:
            bars: Rows of ``BAR``, in any order; of several of one window the last
                counts.

        Raises:
            ValueError: A bar is older than the previous session. No bar was taken in:
                restate its two sessions with ``advance`` from all their bars.
        """
        arrived: dict[int, dict[int, np.void]] = {}
        for bar in bars:
            arrived.setdefault(int(bar["symbol"]), {})[int(bar["window_start_ns"])] = (
                bar
            )
        for symbol, by_start in arrived.items():
            self._require_recent(symbol, by_start)
        return [
            row
            for symbol, by_start in sorted(arrived.items())
            for row in self._take(symbol, by_start)
        ]

    def _require_recent(self, symbol: int, arrived: dict[int, np.void]) -> None:
        known = self._rows[symbol]
        if not known:
            return
        newest = known[max(known)].bar["session"]
        oldest = min(bar["session"] for bar in arrived.values())
        if oldest < newest - 1:
            raise ValueError(f"a bar of session {oldest} comes in session {newest}")

    def _take(self, symbol: int, arrived: dict[int, np.void]) -> list[Row]:
        known = self._rows[symbol]
        first = min(bar["session"] for bar in arrived.values())
        state, bars = self._states[symbol], arrived
        if known and min(arrived) <= max(known):
            state = new_state(1)
            # What is left out cannot reach the first session that changes.
            kept = (
                row.bar for row in known.values() if row.bar["session"] >= first - 1
            )
            bars = {int(bar["window_start_ns"]): bar for bar in kept} | arrived
        rows = self._advance(symbol, state, [bars[start] for start in sorted(bars)])
        changed = {
            start: row
            for start, row in rows.items()
            if row.bar["session"] >= first and _bytes(known.get(start)) != _bytes(row)
        }
        oldest = max(row.bar["session"] for row in rows.values()) - _KEPT_SESSIONS + 1
        self._rows[symbol] = {
            start: row
            for start, row in (known | changed).items()
            if row.bar["session"] >= oldest
        }
        return list(changed.values())

    def _advance(
        self, symbol: int, state: State, bars: list[np.void]
    ) -> dict[int, Row]:
        of_one = np.array(bars, BAR)
        of_one["symbol"] = 0
        self._states[symbol], features = advance(state, of_one)
        return {
            int(bar["window_start_ns"]): Row(bar, row)
            for bar, row in zip(bars, features, strict=True)
        }


def _bytes(row: Row | None) -> tuple[bytes, bytes] | None:
    return None if row is None else (row.bar.tobytes(), row.features.tobytes())
