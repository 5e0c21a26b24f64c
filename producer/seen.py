"""What the feed already told of bars, amended trades and halts.

History gives a minute, a trade or a symbol as it is now. To tell what of it came on the
feed, what came must be remembered; these messages are few.
"""

from collections import deque

import msgspec

from producer.protocol import Message

RARE_TYPES = frozenset("bucxs")
_BARS = 10
_AMENDMENTS = 100_000
_HALTED, _RESUMED = frozenset("H2P"), frozenset("T3")

Amendment = tuple[str, str, str, int]
"""(type, symbol, exchange, trade id) of a correction or cancel."""


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
        self._trade_counts: dict[str, dict[str, int]] = {}
        self._amendments: set[Amendment] = set()
        self._order: deque[Amendment] = deque()
        self._halted: set[str] = set()

    def note(self, message: Message) -> None:
        """Remember a message of one of ``RARE_TYPES``."""
        kind, symbol = message.head.type, message.head.symbol
        if symbol is None or message.data is None:
            return
        try:
            rare = _decode(message.data)
        except msgspec.DecodeError:
            return  # silver rejects the message with its reason
        match kind:
            case "b" | "u":
                counts = self._trade_counts.setdefault(symbol, {})
                counts[rare.minute] = rare.trade_count
                if len(counts) > _BARS:
                    del counts[next(iter(counts))]
            case "c" | "x":
                trade_id = rare.original_id if kind == "c" else rare.trade_id
                self._remember((kind, symbol, rare.exchange, trade_id))
            case "s":
                self._halted -= {symbol} if rare.status_code in _RESUMED else set()
                self._halted |= {symbol} if rare.status_code in _HALTED else set()

    def trade_count(self, symbol: str, minute: str) -> int | None:
        """Return the trades of a bar as last told; None when it was not told."""
        return self._trade_counts.get(symbol, {}).get(minute)

    def is_amended(self, amendment: Amendment) -> bool:
        """Return whether a correction or cancel was told."""
        return amendment in self._amendments

    def is_halted(self, symbol: str) -> bool:
        """Return whether the last status of a symbol is a halt."""
        return symbol in self._halted

    def _remember(self, amendment: Amendment) -> None:
        if amendment not in self._amendments:
            self._amendments.add(amendment)
            self._order.append(amendment)
            if len(self._order) > _AMENDMENTS:
                self._amendments.discard(self._order.popleft())
