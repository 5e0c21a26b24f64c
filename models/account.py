"""Accounts and what an order does to them: the same sums live, in backtests, training.

An account is long with all it has, or flat. Arrays hold one entry per account.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from models.tape import Booleans, Floats


class Action(IntEnum):
    """What the agent can do: Discrete(3)."""

    HOLD = 0
    BUY = 1
    SELL = 2


Actions = NDArray[np.int64]


@dataclass(frozen=True)
class Costs:
    """What an order costs beyond the mid price, per side.

    Attributes:
        fee_bps: Fee as a share of the traded amount.
        fee_usd_per_share: Fee per share.
        slippage_bps: How much worse than the quote the fill is.
        multiple: Factor on all of it and on half the spread; 0 trades at the mid.
    """

    fee_bps: float = 0.0
    fee_usd_per_share: float = 0.0
    slippage_bps: float = 0.0
    multiple: float = 1.0

    def times(self, multiple: float) -> "Costs":
        """Return these costs, ``multiple`` times as high."""
        return replace(self, multiple=self.multiple * multiple)

    def buy_price(self, bid: Floats, ask: Floats) -> Floats:
        """Return USD paid for a share, fees included."""
        return self._filled(bid, ask, 1.0)

    def sell_price(self, bid: Floats, ask: Floats) -> Floats:
        """Return USD got for a share, fees taken off."""
        return self._filled(bid, ask, -1.0)

    def _filled(self, bid: Floats, ask: Floats, side: float) -> Floats:
        middle = (bid + ask) / 2
        # A crossed quote is no gift.
        half_spread = np.maximum(ask - bid, 0.0) / 2
        slippage = middle * self.slippage_bps * 1e-4
        price = middle + side * self.multiple * (half_spread + slippage)
        fee = price * self.fee_bps * 1e-4 + self.fee_usd_per_share
        return price + side * self.multiple * fee


@dataclass
class Accounts:
    """What some accounts hold.

    Attributes:
        cash: USD.
        shares: Shares, fractions allowed; 0 when flat.
        paid: USD per share of the open position, costs included; NaN when flat.
    """

    cash: Floats
    shares: Floats
    paid: Floats

    @classmethod
    def opened(cls, count: int, cash: float) -> "Accounts":
        """Return flat accounts with ``cash`` USD each."""
        return cls(np.full(count, cash), np.zeros(count), np.full(count, np.nan))

    @property
    def is_long(self) -> Booleans:
        """Whether shares are held."""
        return self.shares > 0

    def value(self, mark: Floats) -> Floats:
        """Return USD if the shares were worth ``mark`` each."""
        return self.cash + self.shares * mark

    def order(
        self, actions: Actions, bid: Floats, ask: Floats, costs: Costs
    ) -> Booleans:
        """Fill orders at the quotes given and return which accounts traded.

        A BUY when long, a SELL when flat and an order without a quote do nothing.
        """
        quoted = np.isfinite(bid) & np.isfinite(ask) & (bid > 0) & (ask > 0)
        buys = quoted & (actions == Action.BUY) & ~self.is_long
        sells = quoted & (actions == Action.SELL) & self.is_long
        if buys.any():
            self.paid[buys] = costs.buy_price(bid[buys], ask[buys])
            self.shares[buys] = self.cash[buys] / self.paid[buys]
            self.cash[buys] = 0.0
        if sells.any():
            price = costs.sell_price(bid[sells], ask[sells])
            self.cash[sells] += self.shares[sells] * price
            self.shares[sells] = 0.0
            self.paid[sells] = np.nan
        traded: Booleans = buys | sells
        return traded

    def reopen(self, which: Booleans, cash: float) -> None:
        """Make some accounts flat again, with ``cash`` USD each."""
        self.cash[which], self.shares[which], self.paid[which] = cash, 0.0, np.nan
