"""The market's trades and quotes: prices, sizes, venues, conditions and their text.

Prices walk at random, one walk per symbol, and are rounded to the cent; quotes lie
around the walk, trades on the quote's sides or between. On ``/v2/iex`` Alpaca sends one
exchange only; this market reports all of them on every feed, with trade ids of their
own per symbol and exchange, as on the tapes.
"""

from itertools import repeat
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from conf.market.rfc3339 import format_ns
from conf.market.wire import Quote, Trade
from producer.simulator.amendments import Amendments
from producer.simulator.listing import EXCHANGE_SHARES, EXCHANGES, LOT, Listing
from producer.simulator.minutes import MinuteBook
from producer.simulator.sessions import Session
from producer.simulator.traffic import running_total

VOLATILITY = 1.2e-4
"""Standard deviation of the price over one second, as a share of the price."""
LOWEST_CENTS = 100.0
ODD_LOT_SHARE = 0.45
LOTS_LAW = 0.4
"""Parameter of the geometric law of the number of lots: mostly one or two."""

_SALES = ((), ("F",), ("Z",), ("Q",), ("M",))
"""Regular, intermarket sweep, out of sequence, official open, official close."""
_SALE_SHARES = (0.655, 0.34, 0.002, 0.0015, 0.0015)
_FIRST_OFFICIAL = 3
_QUOTE_CONDITIONS = ["R"]
_LIT = EXCHANGES[1:]
"""Who quotes: all but the off-exchange reporters."""
_LIT_SHARES = EXCHANGE_SHARES[1:]

_encode = msgspec.json.Encoder().encode


class Events(NamedTuple):
    """What happened where and when; three columns of one length, in feed order."""

    symbols: NDArray[np.int64]
    """Index of the listing."""
    event_ns: NDArray[np.int64]
    is_trade: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_]) -> "Events":
        """Return some of the events."""
        return Events(
            self.symbols[chosen], self.event_ns[chosen], self.is_trade[chosen]
        )


class Prints:
    """Makes the messages of some listings.

    Args:
        listings: The symbols; events name them by index.
        rates_per_s: Each symbol's mean messages per second: how far its price moves
            from one to the next.
        amendments: Gets to know every trade.
    """

    def __init__(
        self,
        listings: list[Listing],
        rates_per_s: NDArray[np.float64],
        amendments: Amendments,
    ) -> None:
        self._amendments = amendments
        self._names = [each.symbol for each in listings]
        self._tapes = [each.tape for each in listings]
        self._sales = [_sales_on(each.tape) for each in listings]
        self._cents = np.array([float(each.price_cents) for each in listings])
        self._half_spreads = np.array([each.half_spread_cents for each in listings])
        self._sigmas = self._cents * VOLATILITY / np.sqrt(rates_per_s)
        self._trade_ids = np.zeros(len(listings) * len(EXCHANGES), np.int64)

    def make(
        self,
        events: Events,
        rng: np.random.Generator,
        book: MinuteBook,
        regular: Session,
    ) -> list[bytes]:
        """Return the text of each event, in order.

        Args:
            events: What happened.
            rng: The market's random numbers.
            book: Where the trades are counted.
            regular: The regular hours; a trade outside them says so.
        """
        mids = self._walk(events.symbols, rng)
        sold = events.where(events.is_trade)
        trades = self._trades(sold, mids[events.is_trade], rng, regular)
        quotes = self._quotes(
            events.where(~events.is_trade), mids[~events.is_trade], rng
        )
        columns = sold.symbols.tolist(), sold.event_ns.tolist(), trades
        for symbol, event_ns, trade in zip(*columns, strict=True):
            book.add(symbol, event_ns, trade)
            self._amendments.offer(symbol, event_ns, trade)
        of_kind = map(_encode, quotes), map(_encode, trades)
        return [next(of_kind[kind]) for kind in events.is_trade.tolist()]

    def next(self, symbol: int, exchange: str) -> int:
        """Use up the next trade id of a symbol on an exchange."""
        place = symbol * len(EXCHANGES) + EXCHANGES.index(exchange)
        self._trade_ids[place] += 1
        return int(self._trade_ids[place])

    def prices(self) -> list[float]:
        """Return where each symbol's price is, in cents."""
        return self._cents.tolist()  # type: ignore[no-any-return]

    def specimen(self, symbol: int, event_ns: int, trade_id: int) -> Trade:
        """Return a plausible trade that is none: no price moves, no id is used up."""
        return Trade(
            symbol=self._names[symbol],
            trade_id=trade_id,
            exchange=EXCHANGES[0],
            price=round(float(self._cents[symbol])) / 100,
            size=LOT,
            event_time=format_ns(event_ns),
            conditions=self._sales[symbol][0],
            tape=self._tapes[symbol],
        )

    def _walk(
        self, symbols: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        steps = rng.standard_normal(len(symbols)) * self._sigmas[symbols]
        cents = running_total(symbols, steps, self._cents)
        np.maximum(self._cents, LOWEST_CENTS, out=self._cents)
        mids: NDArray[np.int64] = np.rint(np.maximum(cents, LOWEST_CENTS)).astype(int)
        return mids

    def _trades(
        self,
        events: Events,
        mids: NDArray[np.int64],
        rng: np.random.Generator,
        regular: Session,
    ) -> list[Trade]:
        count = len(mids)
        exchanges = _draw(EXCHANGE_SHARES, count, rng)
        ids = running_total(
            events.symbols * len(EXCHANGES) + exchanges,
            np.ones(count, np.int64),
            self._trade_ids,
        )
        sides = rng.integers(-1, 2, count) * self._half_spreads[events.symbols]
        sales = _draw(_SALE_SHARES, count, rng)
        is_odd = (rng.random(count) < ODD_LOT_SHARE) & (sales < _FIRST_OFFICIAL)
        sizes = np.where(is_odd, rng.integers(1, LOT, count), _lots(count, rng))
        is_extended = (events.event_ns < regular[0]) | (events.event_ns >= regular[1])
        symbols = events.symbols.tolist()
        return list(
            map(
                Trade,
                [self._names[symbol] for symbol in symbols],
                ids.tolist(),
                [EXCHANGES[exchange] for exchange in exchanges.tolist()],
                ((mids + sides) / 100).tolist(),
                sizes.tolist(),
                map(format_ns, events.event_ns.tolist()),
                map(
                    self._conditions,
                    symbols,
                    (sales * 4 + is_odd * 2 + is_extended).tolist(),
                ),
                [self._tapes[symbol] for symbol in symbols],
            )
        )

    def _conditions(self, symbol: int, sale: int) -> list[str]:
        return self._sales[symbol][sale]

    def _quotes(
        self, events: Events, mids: NDArray[np.int64], rng: np.random.Generator
    ) -> "map[Quote]":
        count = len(mids)
        half_spreads = self._half_spreads[events.symbols]
        asks = mids + half_spreads + rng.integers(0, 2, count)
        bid_exchanges, ask_exchanges = _draw(_LIT_SHARES, 2 * count, rng).reshape(2, -1)
        symbols = events.symbols.tolist()
        return map(
            Quote,
            [self._names[symbol] for symbol in symbols],
            [_LIT[exchange] for exchange in bid_exchanges.tolist()],
            ((mids - half_spreads) / 100).tolist(),
            _lots(count, rng).tolist(),
            [_LIT[exchange] for exchange in ask_exchanges.tolist()],
            (asks / 100).tolist(),
            _lots(count, rng).tolist(),
            map(format_ns, events.event_ns.tolist()),
            repeat(_QUOTE_CONDITIONS),
            [self._tapes[symbol] for symbol in symbols],
        )


def _sales_on(tape: str) -> list[list[str]]:
    regular = "@" if tape == "C" else " "
    return [
        [regular, *sale, *extended, *odd_lot]
        for sale in _SALES
        for odd_lot in ((), ("I",))
        for extended in ((), ("T",))
    ]


def _draw(
    shares: tuple[float, ...], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    limits = np.cumsum(shares)[:-1]
    return np.searchsorted(limits, rng.random(count) * sum(shares), side="right")


def _lots(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.geometric(LOTS_LAW, count) * LOT
