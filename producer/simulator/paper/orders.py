"""Orders: what may be asked for, and how one lives from new to its end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from conf.market import wire
from conf.market.rfc3339 import format_ns

Side = Literal["buy", "sell"]
OPEN = frozenset({"pending_new", "new", "partially_filled"})
CENT = Decimal("0.01")


class RefusedRequest(Exception):
    """A trading request that Alpaca answers with an error.

    Args:
        status: HTTP status.
        code: Alpaca's own code.
        message: Its text.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


class Wanted(msgspec.Struct, kw_only=True):
    """The body of ``POST /v2/orders``; numbers may come as text."""

    symbol: str
    side: Side
    type: Literal["market", "limit"]
    time_in_force: Literal["day", "gtc", "ioc", "fok"]
    qty: Decimal | None = None
    limit_price: Decimal | None = None
    client_order_id: str | None = None
    extended_hours: bool = False
    order_class: Literal["", "simple"] | None = None

    @property
    def shares(self) -> Decimal:
        """How many."""
        return self.qty or Decimal(0)


def parse_order(body: bytes, is_listed: Callable[[str], bool]) -> Wanted:
    """Return the order that a request's body asks for.

    Raises:
        RefusedRequest: 422, with what is wrong.
    """
    try:
        wanted = msgspec.json.decode(body, type=Wanted, strict=False)
    except msgspec.MsgspecError as wrong:
        raise _invalid(str(wrong)) from wrong
    if not is_listed(wanted.symbol):
        raise _invalid(f'asset "{wanted.symbol}" not found')
    if wanted.shares <= 0:
        raise _invalid("qty must be > 0")
    if (wanted.type == "limit") != (wanted.limit_price is not None):
        raise _invalid(f"{wanted.type} orders and limit_price do not go together")
    if wanted.limit_price is not None and wanted.limit_price % CENT:
        raise _invalid(
            f"invalid limit_price {wanted.limit_price}. sub-penny increment does not"
            " fulfill minimum pricing criteria"
        )
    return wanted


def _invalid(message: str) -> RefusedRequest:
    return RefusedRequest(422, 42210000, message)


def asset_id(symbol: str) -> str:
    """Return the id of a symbol: always the same."""
    return str(uuid5(NAMESPACE_URL, f"asset/{symbol}"))


@dataclass
class PaperOrder:
    """One order and what became of it; times are epoch ns."""

    id: UUID
    wanted: Wanted
    client_order_id: str
    created_ns: int
    updated_ns: int
    status: str = "pending_new"
    filled: Decimal = Decimal(0)
    paid: Decimal = Decimal(0)
    ended_ns: dict[str, int] = field(default_factory=dict)
    seen_quote: bytes | None = None
    """The last quote that it was held against."""

    @property
    def is_open(self) -> bool:
        """Whether anything can still happen to it."""
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        """Shares that are not filled yet."""
        return self.wanted.shares - self.filled

    def accepts(self, price: Decimal) -> bool:
        """Return whether it trades at a price."""
        limit = self.wanted.limit_price
        if limit is None:
            return True
        return price <= limit if self.wanted.side == "buy" else price >= limit

    def fill(self, quantity: Decimal, price: Decimal) -> None:
        """Count one execution."""
        self.filled += quantity
        self.paid += quantity * price
        self.status = "partially_filled" if self.remaining else "filled"

    def as_wire(self) -> wire.Order:
        """Return it as Alpaca writes it."""
        wanted = self.wanted
        created = format_ns(self.created_ns)
        average = self.paid / self.filled if self.filled else None
        ended = {name: format_ns(time_ns) for name, time_ns in self.ended_ns.items()}
        order = wire.Order(
            id=str(self.id),
            client_order_id=self.client_order_id,
            created_at=created,
            updated_at=format_ns(self.updated_ns),
            submitted_at=created,
            asset_id=asset_id(wanted.symbol),
            symbol=wanted.symbol,
            asset_class="us_equity",
            qty=text(wanted.shares),
            filled_qty=text(self.filled),
            filled_avg_price=None if average is None else text(average),
            order_class=wanted.order_class or "",
            order_type=wanted.type,
            type=wanted.type,
            side=wanted.side,
            time_in_force=wanted.time_in_force,
            limit_price=None
            if wanted.limit_price is None
            else text(wanted.limit_price),
            status=self.status,
            extended_hours=wanted.extended_hours,
        )
        return msgspec.structs.replace(order, **ended)


def text(number: Decimal) -> str:
    """Return a number as Alpaca writes it: at most nine decimals, no exponent."""
    rounded = round(number, 9)
    return f"{rounded.normalize():f}"
