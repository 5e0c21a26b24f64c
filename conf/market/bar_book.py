"""Minute bars of effective trades that come in any order, corrected ones too.

A trade that comes is added to its bar: bars are exact, so the order leaves no trace. A
correction cannot be subtracted (who was second highest?), so the bars of a corrected
minute are built again from its trades, and so is one that is not in memory.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from conf.market.bars import MINUTE_S, Bar, minute_bars, to_records
from conf.market.effective_trades import Correction, Trade, TradeKey, resolve

Window = tuple[str, int]
"""Symbol and start of the minute, epoch ns."""

NEVER_NS = 2**63 - 1
MINUTE_NS = MINUTE_S * 10**9


class Archive(Protocol):
    """All trades that the book was told of, wherever they are kept."""

    def bars_in(
        self, windows: Collection[Window], without: Collection[TradeKey]
    ) -> Iterable[Bar]:
        """Return the bars, or parts of them, of trades as reported but some."""
        ...

    def trades_in(
        self, windows: Collection[Window], ids: Collection[int]
    ) -> Iterable[Trade]:
        """Return the trades of these windows that have such an id, as reported."""
        ...


class BarBook:
    """The bars of some minutes.

    Args:
        archive: Has every trade given to ``add``, and those before.
        complete_from_ns: Minutes from here on have had no trade before the first
            ``add``: what is not in memory does not exist.
    """

    def __init__(self, archive: Archive, complete_from_ns: int = NEVER_NS) -> None:
        self._archive = archive
        self.complete_from_ns = complete_from_ns
        self._bars: dict[Window, Bar | None] = {}
        self._stale: set[Window] = set()
        self._corrections = defaultdict[Window, set[Correction]](set)

    def add(self, parts: Iterable[Bar]) -> list[Window]:
        """Add what new trades make of their minutes, as reported.

        Returns:
            The windows that may have changed.
        """
        touched = []
        for part in parts:
            window = (part.symbol, part.window_start_ns)
            touched.append(window)
            if window in self._corrections or not self._is_known(window):
                self._stale.add(window)
            elif window not in self._stale:
                held = self._bars.get(window)
                self._bars[window] = held.merge(part) if held else part
        return touched

    def correct(self, corrections: Iterable[tuple[Window, Correction]]) -> list[Window]:
        """Take in corrections that are matched, each with the minute of its trade.

        Returns:
            The windows that may have changed.
        """
        touched = []
        for window, correction in corrections:
            if correction not in self._corrections[window]:
                self._corrections[window].add(correction)
                self._stale.add(window)
                touched.append(window)
        return touched

    def bars(self, windows: Collection[Window]) -> Mapping[Window, Bar | None]:
        """Return the bars as they are now; None where no trade counts."""
        self._rebuild([w for w in windows if w in self._stale or not self._is_known(w)])
        return {window: self._bars.get(window) for window in windows}

    def forget(self, before_ns: int) -> None:
        """Drop the bars of minutes before; they can be built again."""
        old = [window for window in self._bars if window[1] < before_ns]
        for window in old:
            del self._bars[window]
        self.complete_from_ns = max(self.complete_from_ns, before_ns)

    def _is_known(self, window: Window) -> bool:
        return window in self._bars or window[1] >= self.complete_from_ns

    def _rebuild(self, windows: Collection[Window]) -> None:
        if not windows:
            return
        self._bars |= dict.fromkeys(windows)
        replaced = self._replaced([w for w in windows if w in self._corrections])
        self._keep(self._archive.bars_in(windows, without=replaced.keys()))
        now = [trade for trade in replaced.values() if trade is not None]
        symbols = sorted({trade.symbol for trade in now})
        self._keep(minute_bars(to_records(now, symbols), symbols))
        self._stale.difference_update(windows)

    def _replaced(self, windows: Collection[Window]) -> Mapping[TradeKey, Trade | None]:
        """Return the trades that are not as reported, as they are now; None: not."""
        if not windows:
            return {}
        ids = {each.trade_id for w in windows for each in self._corrections[w]}
        named = defaultdict[Window, list[Trade]](list)
        for trade in self._archive.trades_in(windows, ids):
            named[window_of(trade.symbol, trade.event_time_ns)].append(trade)
        replaced: dict[TradeKey, Trade | None] = {}
        for window, trades in named.items():
            replaced |= resolve(trades, self._corrections[window]).replaced
        return replaced

    def _keep(self, parts: Iterable[Bar]) -> None:
        for part in parts:
            window = (part.symbol, part.window_start_ns)
            held = self._bars[window]
            self._bars[window] = held.merge(part) if held else part


def window_of(symbol: str, time_ns: int) -> Window:
    """Return the minute of a symbol that a moment is in."""
    return symbol, time_ns // MINUTE_NS * MINUTE_NS
