"""Paper accounts of one model: what it decided, was filled at, and holds.

One account per symbol, all in or flat, which begins with ``Rules.cash``. A signal is
decided on an account; what follows from it is known when the symbol's next bar is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.account import Accounts, Action, Costs
from models.card import Model
from models.decisions import (
    HISTORY_NS,
    SUPERSEDED,
    Bars,
    Row,
    bars_of,
    reasons,
    signals,
)
from models.environment import Rules
from models.fills import Order, Quotes, moment, nanoseconds, next_quotes
from models.tape import Floats

FindQuotes = Callable[[list[Order]], pa.Table]
"""Returns rows of ``silver.quotes``, at least those around some orders."""


class Standing(NamedTuple):
    """Where an account stands.

    Attributes:
        signal: Its newest row of ``gold.signals`` that no newer bar superseded.
        followed: The row of ``gold.portfolio`` of that signal, if it was written.
        session: Number of the session of the signal.
    """

    signal: Row
    followed: Row | None
    session: int


class Told(NamedTuple):
    """Rows of ``gold.portfolio`` and ``gold.signals``, in the order to write them."""

    portfolio: list[Row]
    signals: list[Row]


class Paper:
    """The paper accounts of a model.

    Args:
        model: What decides.
        standings: Where the accounts stand, by symbol; others are opened.
    """

    def __init__(self, model: Model, standings: Mapping[str, Standing]) -> None:
        self.model = model
        self._costs = Costs(**model.card.costs)
        self._standings = dict(standings)

    def take(
        self,
        features: pa.Table,
        known_ns: int,
        halted: Collection[str],
        find_quotes: FindQuotes,
    ) -> Told:
        """Settle what was ordered, and decide on the newest bar of each symbol.

        Args:
            features: Rows of ``LakeRows.first_known``, of any symbols and windows;
                loaded history among them is passed over.
            known_ns: Market clock: when all of them are known.
            halted: Symbols that may not trade.
            find_quotes: Asked once, if anything was ordered.
        """
        features = features.filter(
            pc.field("window_end") > moment(known_ns - HISTORY_NS)
        )
        is_newest = self._are_newest(features)
        bars = bars_of(features.filter(is_newest))
        before = [self._standings.get(symbol) for symbol in bars.symbols]
        accounts, portfolio = self._settle(bars, before, known_ns, find_quotes)
        session_cash = _session_cash(bars, before, accounts)
        why_not = reasons(bars, known_ns, halted)
        held = accounts, session_cash
        decided = signals(self.model, bars, known_ns, held, why_not)
        for row, session in zip(decided, bars.session, strict=True):
            self._standings[row["symbol"]] = Standing(row, None, int(session))
        late = bars_of(features.filter(pc.invert(is_newest)))
        return Told(portfolio, decided + self._superseded(late, known_ns))

    def _are_newest(self, features: pa.Table) -> pa.Array:
        newest: dict[str, object] = {}
        keys = features.select(["symbol", "window_start"]).to_pylist()
        for key in sorted(keys, key=lambda key: key["window_start"]):
            standing = self._standings.get(key["symbol"])
            start = key["window_start"]
            if standing is None or standing.signal["window_start"] < start:
                newest[key["symbol"]] = start
        return pa.array(
            [newest.get(key["symbol"]) == key["window_start"] for key in keys],
            pa.bool_(),
        )

    def _settle(
        self,
        bars: Bars,
        before: list[Standing | None],
        known_ns: int,
        find_quotes: FindQuotes,
    ) -> tuple[Accounts, list[Row]]:
        """Return the accounts after what was ordered, and the rows that say so."""
        accounts = accounts_of(standing and standing.signal for standing in before)
        quotes = _quotes(before, known_ns, find_quotes)
        sides = np.array([_side(standing) for standing in before], np.int64)
        traded = accounts.order(sides, quotes.bid, quotes.ask, self._costs)
        rows = []
        for at, standing in enumerate(before):
            if standing is None:
                continue
            if standing.followed is not None:
                _restore(accounts, at, standing.followed)
                continue
            quote = Quotes(*(column[at] for column in quotes))
            row = self._followed(standing.signal, quote, bool(traded[at]))
            account = _account(accounts, at)
            close = float(bars.close[at])
            equity = account["cash"] + account["shares"] * close
            known = {"known_time": moment(known_ns), "close": close, "equity": equity}
            rows.append(row | account | known)
        return accounts, rows

    def _followed(self, signal: Row, quote: Quotes, is_filled: bool) -> Row:
        named = ("window_start", "symbol", "model_version", "label", "day")
        is_order = signal["action"] in (Action.BUY.name, Action.SELL.name)
        row = {name: signal[name] for name in named}
        row |= {"side": signal["action"] if is_order else None, "is_filled": is_filled}
        if not is_filled:
            return row | dict.fromkeys(_OF_FILL)
        bid, ask = quote.bid, quote.ask
        is_buy = signal["action"] == Action.BUY.name
        price = (self._costs.buy_price if is_buy else self._costs.sell_price)(bid, ask)
        values = (int(quote.time_ns), float(bid), float(ask), float(price))
        return row | dict(zip(_OF_FILL, values, strict=True))

    def _superseded(self, bars: Bars, known_ns: int) -> list[Row]:
        """Return rows of bars that came when a newer one of their symbol was known."""
        of = [self._standings[symbol].signal for symbol in bars.symbols]
        held = accounts_of(of), np.array([row["session_cash"] for row in of], float)
        why_not = [SUPERSEDED] * len(of)
        return signals(self.model, bars, known_ns, held, why_not)


_OF_FILL = ("quote_time_ns", "bid_price", "ask_price", "fill_price")


def accounts_of(rows: Iterable[Row | None]) -> Accounts:
    """Return the accounts that rows of either table tell of; None opens one."""
    told = list(rows)
    accounts = Accounts.opened(len(told), Rules().cash)
    for at, row in enumerate(told):
        if row is not None:
            _restore(accounts, at, row)
    return accounts


def _restore(accounts: Accounts, at: int, row: Row) -> None:
    accounts.cash[at], accounts.shares[at] = row["cash"], row["shares"]
    paid = row["paid_price"]
    accounts.paid[at] = np.nan if paid is None else paid


def _account(accounts: Accounts, at: int) -> Row:
    paid = float(accounts.paid[at])
    return {
        "cash": float(accounts.cash[at]),
        "shares": float(accounts.shares[at]),
        "paid_price": None if np.isnan(paid) else paid,
    }


def _side(standing: Standing | None) -> int:
    """Return what is to be filled now: nothing that was filled before."""
    is_open = standing is not None and standing.followed is None
    action = standing.signal["action"] if standing and is_open else None
    return int(Action[action or Action.HOLD.name])


def _quotes(
    before: list[Standing | None], known_ns: int, find_quotes: FindQuotes
) -> Quotes:
    found = Quotes(np.zeros(len(before), np.int64), *np.full((2, len(before)), np.nan))
    ordered = [at for at, standing in enumerate(before) if _side(standing)]
    if ordered:
        orders = [
            Order(
                standing.signal["symbol"],
                nanoseconds(standing.signal["known_time"]),
                known_ns,
            )
            for at in ordered
            if (standing := before[at])
        ]
        for column, values in zip(
            found, next_quotes(orders, find_quotes(orders)), strict=True
        ):
            column[ordered] = values
    return found


def _session_cash(
    bars: Bars, before: list[Standing | None], accounts: Accounts
) -> Floats:
    """Return what each account was worth at the first bar of the bar's session."""
    worth = accounts.value(bars.close)
    for at, standing in enumerate(before):
        if standing is not None and standing.session == bars.session[at]:
            worth[at] = standing.signal["session_cash"]
    return worth
