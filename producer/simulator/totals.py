"""The sums of which a bar is made; prices in cents, so they are exact."""

from typing import NamedTuple


class _Counted(NamedTuple):
    """One trade as it was counted; without cents it set no price."""

    event_ns: int
    cents: int | None
    size: int


class Totals:
    """Sums over the trades of one symbol in one stretch of time.

    Args:
        keeps_trades: Remember each trade, so that it can be removed again.
    """

    __slots__ = (
        "_kept",
        "close",
        "close_ns",
        "high",
        "low",
        "notional",
        "open",
        "open_ns",
        "priced_volume",
        "trades",
        "volume",
    )  # fmt: skip

    def __init__(self, *, keeps_trades: bool = False) -> None:
        self._kept: dict[tuple[int, str], _Counted] | None = None
        if keeps_trades:
            self._kept = {}
        self._clear()

    def _clear(self) -> None:
        self.open_ns = self.close_ns = self.open = self.close = self.high = 0
        self.low = self.volume = self.trades = self.notional = self.priced_volume = 0

    @property
    def has_price(self) -> bool:
        """Whether any trade set a price: without one there is no bar."""
        return self.open_ns > 0

    def add(
        self, event_ns: int, trade_id: int, exchange: str, cents: int | None, size: int
    ) -> None:
        """Count one trade; without ``cents`` as volume only."""
        if self._kept is not None:
            self._kept[trade_id, exchange] = _Counted(event_ns, cents, size)
        self._count(event_ns, cents, size)

    def remove(self, trade_id: int, exchange: str) -> bool:
        """Take back a trade, if it is kept: the sums are made anew from the others."""
        if self._kept is None or self._kept.pop((trade_id, exchange), None) is None:
            return False
        self._clear()
        for counted in self._kept.values():
            self._count(*counted)
        return True

    def keep_no_trades(self) -> None:
        """Forget the trades; the sums stay."""
        self._kept = None

    def merge(self, other: "Totals", *, prices: bool = True) -> None:
        """Add the sums of another stretch of time, or only its volume."""
        self.volume += other.volume
        self.trades += other.trades
        if not prices or not other.has_price:
            return
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low) if self.has_price else other.low
        self.notional += other.notional
        self.priced_volume += other.priced_volume
        if not self.has_price or other.open_ns < self.open_ns:
            self.open_ns, self.open = other.open_ns, other.open
        if other.close_ns >= self.close_ns:
            self.close_ns, self.close = other.close_ns, other.close

    def _count(self, event_ns: int, cents: int | None, size: int) -> None:
        self.volume += size
        self.trades += 1
        if cents is None:
            return
        self.notional += size * cents
        self.priced_volume += size
        if not self.open_ns:
            self.high = self.low = cents
        self.high = max(self.high, cents)
        self.low = min(self.low, cents)
        if not self.open_ns or event_ns < self.open_ns:
            self.open_ns, self.open = event_ns, cents
        if event_ns >= self.close_ns:
            self.close_ns, self.close = event_ns, cents
