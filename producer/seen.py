"""What the feed already told of bars, amended trades and halts.

History gives a minute, a trade or a symbol as it is now. To tell what of it came on the
feed, what came must be remembered; these messages are few.
"""

from collections import deque
from typing import NamedTuple

import msgspec

from conf.market.wire import HALT_CODES
from producer.protocol import Message

RARE_TYPES = frozenset("bucxs")
_BARS = 10
_AMENDMENTS = 100_000
_RESUMED = frozenset("T3")

# of the bars, what the next producer is told
_LAST, _MOST_SYMBOLS = 2, 64

Bars = dict[str, dict[str, int]]
"""Trades of each bar by symbol, then minute."""

Amendment = tuple[str, str, str, int]
"""(type, symbol, exchange, trade id) of a correction or cancel."""


class _Told(NamedTuple):
    trade_count: int
    market_ns: int


class _Rare(msgspec.Struct, frozen=True):
    """The keys of these types that matter here; ``x`` and ``i`` by ``c`` and ``x``."""

    minute: str = msgspec.field(name="t", default="")
    trade_count: int = msgspec.field(name="n", default=0)
    exchange: str = msgspec.field(name="x", default="")
    trade_id: int = msgspec.field(name="i", default=0)
    original_id: int = msgspec.field(name="oi", default=0)
    status_code: str = msgspec.field(name="sc", default="")


_decode = msgspec.json.Decoder(_Rare).decode


class Seen:
    """Remembers the last bars of each symbol, amendments, and who is halted."""

    def __init__(self) -> None:
        self._bars: dict[str, dict[str, _Told]] = {}
        self._amendments: set[Amendment] = set()
        self._order: deque[Amendment] = deque()
        self._halted: dict[str, int] = {}

    def note(self, message: Message, market_ns: int) -> None:
        """Remember a message of one of ``RARE_TYPES``, told at a market time."""
        kind, symbol = message.head.type, message.head.symbol
        if symbol is None or message.data is None:
            return
        try:
            rare = _decode(message.data)
        except msgspec.DecodeError:
            return  # silver rejects the message with its reason
        match kind:
            case "b" | "u":
                bars = self._bars.setdefault(symbol, {})
                bars[rare.minute] = _Told(rare.trade_count, market_ns)
                if len(bars) > _BARS:
                    del bars[min(bars)]
            case "c" | "x":
                trade_id = rare.original_id if kind == "c" else rare.trade_id
                self._remember((kind, symbol, rare.exchange, trade_id))
            case "s" if rare.status_code in _RESUMED:
                self._halted.pop(symbol, None)
            case "s" if rare.status_code in HALT_CODES:
                self._halted[symbol] = market_ns

    def traded(self, symbol: str, event_time_ns: int) -> None:
        """Forget a halt that was told before a trade.

        Of statuses there is no history: the one that ended it fell into a gap.
        """
        if self._halted.get(symbol, event_time_ns) < event_time_ns:
            del self._halted[symbol]

    def trade_count(self, symbol: str, minute: str) -> int | None:
        """Return the trades of a bar as last told; None when it was not told."""
        told = self._bars.get(symbol, {}).get(minute)
        return None if told is None else told.trade_count

    def bars(self, until_ns: int) -> Bars:
        """Return the last bars told by a market time, for ``restore``.

        None of them when the symbols are many: what is handed on must stay small.
        """
        if len(self._bars) > _MOST_SYMBOLS:
            return {}
        last = {
            symbol: sorted(each.items())[-_LAST:] for symbol, each in self._bars.items()
        }
        return {
            symbol: {
                minute: told.trade_count
                for minute, told in bars
                if told.market_ns <= until_ns
            }
            for symbol, bars in last.items()
        }

    def restore(self, bars: Bars) -> None:
        """Take over what an earlier producer was told; what came since is newer."""
        for symbol, counts in bars.items():
            before = {minute: _Told(n, 0) for minute, n in counts.items()}
            self._bars[symbol] = before | self._bars.get(symbol, {})

    def is_amended(self, amendment: Amendment) -> bool:
        """Return whether a correction or cancel was told."""
        return amendment in self._amendments

    def is_halted(self, symbol: str) -> bool:
        """Return whether a symbol's last status is a halt that no trade followed."""
        return symbol in self._halted

    def _remember(self, amendment: Amendment) -> None:
        if amendment not in self._amendments:
            self._amendments.add(amendment)
            self._order.append(amendment)
            if len(self._order) > _AMENDMENTS:
                self._amendments.discard(self._order.popleft())
