"""One paper account: its cash, its positions, its orders and what is told of them.

Orders trade at the market's quotes, the next one first: a buy at the ask, a sell at the
bid, at most the shares quoted there, so that a large order is filled in parts. There
are no fees, no slippage and no settlement.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from conf.market import wire
from conf.market.rfc3339 import format_ns
from producer.simulator.paper.orders import (
    PaperOrder,
    RefusedRequest,
    Wanted,
    asset_id,
    text,
)

START_CASH = Decimal(100_000)
LEVERAGE = 2
"""Buying power per equity, as Alpaca's margin accounts have overnight."""


class Quote(NamedTuple):
    """What one quote offers; the text is its identity."""

    bid: Decimal
    bid_size: Decimal
    ask: Decimal
    ask_size: Decimal
    text: bytes


class Holding:
    """Shares of one symbol, negative when short, and what they cost."""

    def __init__(self) -> None:
        self.shares = Decimal(0)
        self.cost = Decimal(0)

    def trade(self, shares: Decimal, price: Decimal) -> None:
        """Add shares, or take away negative ones; the average cost stays theirs."""
        if self.shares * shares >= 0:
            self.cost += shares * price
        elif abs(shares) <= abs(self.shares):
            self.cost += self.cost / self.shares * shares
        else:
            self.cost = (self.shares + shares) * price
        self.shares += shares


class PaperAccount:
    """The account of one key.

    Args:
        key: The API key; ids follow from it, so they are the same in every run.
        quote_of: The newest quote of a symbol, None before the first.
        clock: Market time, epoch ns.
        tell: Called with each order update.
    """

    def __init__(
        self,
        key: str,
        quote_of: Callable[[str], Quote | None],
        clock: Callable[[], int],
        tell: Callable[[wire.OrderUpdate], None],
    ) -> None:
        self._key = key
        self._quote_of = quote_of
        self._clock = clock
        self._tell = tell
        self._numbers = itertools.count(1)
        self._created_ns = clock()
        self.cash = START_CASH
        self.orders: dict[str, PaperOrder] = {}
        self.holdings: defaultdict[str, Holding] = defaultdict(Holding)

    def submit(self, wanted: Wanted) -> PaperOrder:
        """Take an order; ``announce`` it when the request is answered.

        Raises:
            RefusedRequest: Its id is known already, or there is too little money.
        """
        known = {order.client_order_id for order in self.orders.values()}
        if wanted.client_order_id in known:
            raise RefusedRequest(422, 40010001, "client_order_id must be unique")
        if self._adds_to_position(wanted) and self._price(wanted) > self.buying_power():
            raise RefusedRequest(403, 40310000, "insufficient buying power")
        number, now_ns = self._id("order"), self._clock()
        quote = self._quote_of(wanted.symbol)
        order = PaperOrder(
            id=number,
            wanted=wanted,
            client_order_id=wanted.client_order_id or str(self._id("client")),
            created_ns=now_ns,
            updated_ns=now_ns,
            seen_quote=None if quote is None else quote.text,
        )
        self.orders[str(number)] = order
        return order

    def announce(self, order: PaperOrder, *, rejected: bool) -> None:
        """Tell that an order works now, or that the venue rejected it."""
        if rejected:
            self._finish(order, "rejected", "failed_at")
        elif order.status == "pending_new":
            order.status = "new"
            self._update(order, "new")

    def cancel(self, order: PaperOrder) -> None:
        """Cancel what is left of an order.

        Raises:
            RefusedRequest: It is over.
        """
        if not order.is_open:
            message = f'order is already in "{order.status}" state'
            raise RefusedRequest(422, 42210000, message)
        self._finish(order, "canceled", "canceled_at")

    def match(self) -> None:
        """Hold every working order against the newest quote, each quote once."""
        for order in [each for each in self.orders.values() if each.is_open]:
            quote = self._quote_of(order.wanted.symbol)
            if order.status == "pending_new" or quote is None:
                continue
            if quote.text != order.seen_quote:
                order.seen_quote = quote.text
                self._trade(order, quote)

    def buying_power(self) -> Decimal:
        """Return for how many USD can be bought, open orders deducted."""
        working = [each for each in self.orders.values() if each.is_open]
        reserved = sum(
            (self._price(order.wanted) for order in working), start=Decimal(0)
        )
        exposure = sum(
            (abs(self.market_value(symbol)) for symbol in self.holdings),
            start=Decimal(0),
        )
        return max(Decimal(0), self.equity() * LEVERAGE - exposure - reserved)

    def equity(self) -> Decimal:
        """Return cash and positions, in USD."""
        return self.cash + sum(map(self.market_value, self.holdings))

    def market_value(self, symbol: str) -> Decimal:
        """Return what a position is worth at the middle of the quote."""
        return self.holdings[symbol].shares * self._middle(symbol)

    def as_wire(self) -> dict[str, Any]:
        """Return ``GET /v2/account``."""
        values = [self.market_value(symbol) for symbol in self.holdings]
        amounts = {
            "cash": self.cash,
            "equity": self.equity(),
            "portfolio_value": self.equity(),
            "last_equity": START_CASH,
            "buying_power": self.buying_power(),
            "regt_buying_power": self.buying_power(),
            "non_marginable_buying_power": max(self.cash, Decimal(0)),
            "long_market_value": sum(v for v in values if v > 0),
            "short_market_value": sum(v for v in values if v < 0),
        }
        return {
            "id": str(uuid5(NAMESPACE_URL, f"account/{self._key}")),
            "account_number": "PA3SIMULATED",
            "status": "ACTIVE",
            "currency": "USD",
            "multiplier": str(LEVERAGE),
            "shorting_enabled": True,
            "trading_blocked": False,
            "transfers_blocked": False,
            "account_blocked": False,
            "trade_suspended_by_user": False,
            "created_at": format_ns(self._created_ns),
            **{name: text(Decimal(amount)) for name, amount in amounts.items()},
        }

    def position(self, symbol: str) -> dict[str, Any]:
        """Return one position as ``GET /v2/positions/<symbol>``.

        Raises:
            RefusedRequest: 404, there is none.
        """
        holding = self.holdings.get(symbol)
        if holding is None or not holding.shares:
            raise RefusedRequest(404, 40410000, "position does not exist")
        value, cost = self.market_value(symbol), holding.cost
        return {
            "asset_id": asset_id(symbol),
            "symbol": symbol,
            "exchange": "NASDAQ",
            "asset_class": "us_equity",
            "asset_marginable": True,
            "side": "long" if holding.shares > 0 else "short",
            "qty": text(holding.shares),
            "qty_available": text(holding.shares),
            "avg_entry_price": text(cost / holding.shares),
            "market_value": text(value),
            "cost_basis": text(cost),
            "unrealized_pl": text(value - cost),
            "unrealized_plpc": text((value - cost) / abs(cost)),
            "current_price": text(self._middle(symbol)),
        }

    def positions(self) -> list[dict[str, Any]]:
        """Return every position there is."""
        held = [symbol for symbol, each in self.holdings.items() if each.shares]
        return [self.position(symbol) for symbol in sorted(held)]

    def _trade(self, order: PaperOrder, quote: Quote) -> None:
        buys = order.wanted.side == "buy"
        price, size = (
            (quote.ask, quote.ask_size) if buys else (quote.bid, quote.bid_size)
        )
        quantity = min(order.remaining, size)
        force = order.wanted.time_in_force
        is_enough = quantity == order.remaining or force != "fok"
        if price > 0 and quantity > 0 and order.accepts(price) and is_enough:
            self._execute(order, quantity, price)
        if order.is_open and force in ("ioc", "fok"):
            self._finish(order, "canceled", "canceled_at")

    def _execute(self, order: PaperOrder, quantity: Decimal, price: Decimal) -> None:
        shares = quantity if order.wanted.side == "buy" else -quantity
        self.cash -= shares * price
        holding = self.holdings[order.wanted.symbol]
        holding.trade(shares, price)
        order.fill(quantity, price)
        if not order.is_open:
            order.ended_ns["filled_at"] = self._clock()
        self._update(
            order,
            "partial_fill" if order.is_open else "fill",
            price=text(price),
            qty=text(quantity),
            position_qty=text(holding.shares),
        )

    def _finish(self, order: PaperOrder, status: str, moment: str) -> None:
        order.status = status
        order.ended_ns[moment] = self._clock()
        self._update(order, status)

    def _update(self, order: PaperOrder, event: str, **execution: str) -> None:
        order.updated_ns = self._clock()
        self._tell(
            wire.OrderUpdate(
                event=event,
                timestamp=format_ns(order.updated_ns),
                order=order.as_wire(),
                execution_id=str(self._id("execution")),
                **execution,
            )
        )

    def _adds_to_position(self, wanted: Wanted) -> bool:
        held = self.holdings[wanted.symbol].shares
        shares = wanted.shares if wanted.side == "buy" else -wanted.shares
        return abs(held + shares) > abs(held)

    def _price(self, wanted: Wanted) -> Decimal:
        return wanted.shares * (wanted.limit_price or self._middle(wanted.symbol))

    def _middle(self, symbol: str) -> Decimal:
        quote = self._quote_of(symbol)
        return Decimal(0) if quote is None else (quote.bid + quote.ask) / 2

    def _id(self, kind: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"{self._key}/{kind}/{next(self._numbers)}")


def quote_from(message: bytes) -> Quote:
    """Return what a quote message offers."""
    found = msgspec.json.decode(message, type=wire.Quote)
    bid, ask = Decimal(str(found.bid_price)), Decimal(str(found.ask_price))
    return Quote(bid, Decimal(found.bid_size), ask, Decimal(found.ask_size), message)
