"""The newest of every symbol and its forming candle, from ticks in any order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from api.candles import CandleBook, Minute
from api.payloads import Candle, Last, Quote, Summary
from api.ticks import Opened, Tick
from api.time_text import time_text
from conf.market import wire
from conf.market.conditions import Update, effect_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_WHOLE_NS = 2**63


Reference = tuple[float, Literal["previous_close", "session_open"]]
"""The price that a symbol's change is counted from, in USD, and what it is."""


class Changes(NamedTuple):
    """What changed up to a revision."""

    revision: int
    symbols: dict[str, Summary]
    candles: list[Candle]


@dataclass(slots=True)
class _Newest:
    trade: tuple[Tick, wire.Trade] | None = None
    quote: tuple[Tick, wire.Quote] | None = None
    revision: int = 0


class MarketState:
    """What the page shows as live.

    Every change has a revision, so whoever remembers one can ask what came after it.

    Args:
        keep_s: How long after its end a minute can still change.
    """

    def __init__(self, keep_s: int) -> None:
        self._newest: dict[str, _Newest] = {}
        self._candles = CandleBook(keep_s)
        self._references: dict[str, Reference] = {}
        self._whole_since_ns = _NOT_WHOLE_NS
        self.revision = 0
        self.market_time_ns = 0
        self.source = ""
        self.is_live = True

    @property
    def market_time(self) -> datetime | None:
        """The market clock as last heard; None before the first record."""
        if not self.market_time_ns:
            return None
        return _EPOCH + timedelta(microseconds=self.market_time_ns // 1000)

    def add(self, record: Opened) -> None:
        """Take what one record holds."""
        if not record.market_time_ns:
            return
        self.revision += 1
        if record.market_time_ns >= self.market_time_ns:
            self.market_time_ns = record.market_time_ns
            self.source, self.is_live = record.source, record.is_live
        moves_ticker = record.kind == "data"
        for tick in record.ticks:
            self._add(tick, moves_ticker=moves_ticker)

    def refer(self, references: Mapping[str, Reference]) -> None:
        """Count changes from these prices from now on."""
        if references == self._references:
            return
        self.revision += 1
        for symbol in references.keys() | self._references.keys():
            if references.get(symbol) != self._references.get(symbol):
                self._row(symbol).revision = self.revision
        self._references = dict(references)

    def be_whole_since(self, event_time_ns: int) -> None:
        """Say from when on no trade is missing: earlier minutes are no candles yet."""
        if event_time_ns == self._whole_since_ns:
            return
        self.revision += 1
        for minute in self._candles.minutes():
            if event_time_ns <= minute.start_ns < self._whole_since_ns:
                minute.revision = self.revision
        self._whole_since_ns = event_time_ns

    def advance(self) -> None:
        """Close the candles that are due."""
        self._candles.close_due(self.market_time_ns, self.revision + 1)
        self.revision += 1

    def forget_old(self) -> list[tuple[str, str]]:
        """Drop minutes that cannot change any more; call it when they were told.

        Returns:
            Symbol and start of each.
        """
        forgotten = self._candles.forget_old(self.market_time_ns)
        return [(symbol, time_text(start_ns)) for symbol, start_ns in forgotten]

    def summaries(self) -> dict[str, Summary]:
        """Return the newest of every symbol, by symbol."""
        return {symbol: self._summary(symbol) for symbol in sorted(self._newest)}

    def candles(self) -> list[Candle]:
        """Return the candles that can still change, by time and symbol."""
        return self._candles_after(-1)

    def changed_since(self, revision: int) -> Changes:
        """Return what changed after a revision, and the one that is reached now."""
        changed = (s for s, row in self._newest.items() if row.revision > revision)
        symbols = {symbol: self._summary(symbol) for symbol in sorted(changed)}
        return Changes(self.revision, symbols, self._candles_after(revision))

    def _add(self, tick: Tick, *, moves_ticker: bool) -> None:
        message = tick.message
        if isinstance(message, wire.Bar):
            self._candles.add_bar(tick, message, self.market_time_ns, self.revision)
            return
        if moves_ticker:
            self._move_ticker(tick, message)
        if isinstance(message, wire.Trade):
            self._candles.add_trade(tick, message, self.market_time_ns, self.revision)

    def _move_ticker(self, tick: Tick, message: wire.Trade | wire.Quote) -> None:
        row = self._row(message.symbol)
        if isinstance(message, wire.Quote):
            if row.quote is None or tick.order > row.quote[0].order:
                row.quote, row.revision = (tick, message), self.revision
        elif _sets_price(message) and (
            row.trade is None or tick.order > row.trade[0].order
        ):
            row.trade, row.revision = (tick, message), self.revision

    def _row(self, symbol: str) -> _Newest:
        row = self._newest.get(symbol)
        if row is None:
            row = self._newest[symbol] = _Newest()
        return row

    def _candles_after(self, revision: int) -> list[Candle]:
        changed = [
            minute
            for minute in self._candles.minutes()
            if minute.revision > revision and self._is_whole(minute)
        ]
        changed.sort(key=lambda minute: (minute.start_ns, minute.symbol))
        return [minute.candle() for minute in changed]

    def _is_whole(self, minute: Minute) -> bool:
        return minute.bar is not None or minute.start_ns >= self._whole_since_ns

    def _summary(self, symbol: str) -> Summary:
        row = self._newest[symbol]
        last = _last(*row.trade) if row.trade else None
        quote = _quote(*row.quote) if row.quote else None
        if symbol not in self._references:
            return Summary(last, quote)
        price, kind = self._references[symbol]
        if last is None:
            return Summary(last, quote, price, kind)
        change = last.price - price
        percent = round(100 * change / price, 4) if price else None
        return Summary(last, quote, price, kind, round(change, 6), percent)


def _sets_price(trade: wire.Trade) -> bool:
    """The last price follows the close of a minute: no odd lots, no late prints."""
    return effect_of(trade.conditions, trade.tape).last is Update.ALWAYS


def _last(tick: Tick, trade: wire.Trade) -> Last:
    return Last(
        price=trade.price,
        size=trade.size,
        event_time=time_text(tick.event_time_ns),
        event_time_ns=str(tick.event_time_ns),
        exchange=trade.exchange,
        trade_id=str(trade.trade_id),
    )


def _quote(tick: Tick, quote: wire.Quote) -> Quote:
    return Quote(
        bid_price=quote.bid_price,
        bid_size=quote.bid_size,
        ask_price=quote.ask_price,
        ask_size=quote.ask_size,
        event_time=time_text(tick.event_time_ns),
    )
