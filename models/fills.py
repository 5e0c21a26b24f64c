"""Which quote an order is filled at: the first that followed the decision in time.

Live, in backtests and in training it is found by what each quote says of itself, so the
answer does not depend on when somebody looked.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from models.tape import Floats, Integers

SECOND_NS = 1_000_000_000
_MS = 1_000_000
FRESH_NS = 5 * SECOND_NS
"""A quote that came later than this after its event time fills nobody."""
WITHIN_NS = 60 * SECOND_NS
"""An order that nothing follows for so long lapses."""
QUOTE_COLUMNS = (
    "symbol",
    "event_time_ns",
    "quote_hash",
    "occurrence",
    "bid_price",
    "ask_price",
    "market_time",
)


class Order(NamedTuple):
    """An order of a symbol: decided, and known to be filled or not, at market times."""

    symbol: str
    decided_ns: int
    settled_ns: int


class Quotes(NamedTuple):
    """The quote that fills each order; prices in USD, NaN and time 0 where none."""

    time_ns: Integers
    bid: Floats
    ask: Floats


def next_quotes(orders: Sequence[Order], quotes: pa.Table) -> Quotes:
    """Return the first two-sided quote after each decision.

    It must have come within ``FRESH_NS`` of its event time, and as long before the
    order is settled: then it is there whoever asks. Of several at one nanosecond the
    smallest (``quote_hash``, ``occurrence``) counts.

    Args:
        orders: In any order.
        quotes: Rows of ``silver.quotes`` with ``QUOTE_COLUMNS``, at least those that
            ``around`` these orders.
    """
    found = Quotes(np.zeros(len(orders), np.int64), *np.full((2, len(orders)), np.nan))
    usable = _usable(quotes)
    for symbol in {order.symbol for order in orders}:
        mine = usable.filter(pc.field("symbol") == symbol)
        time_ns = mine["event_time_ns"].to_numpy()
        places = [n for n, order in enumerate(orders) if order.symbol == symbol]
        after = np.array([orders[place].decided_ns for place in places])
        until = np.array([orders[place].settled_ns for place in places]) - FRESH_NS
        first = np.searchsorted(time_ns, after, side="right")
        last_ns = np.minimum(until, after + WITHIN_NS)
        padded = np.append(time_ns, np.iinfo(np.int64).max)
        is_there = padded[first] <= last_ns
        rows, at = first[is_there], np.array(places)[is_there]
        found.time_ns[at] = time_ns[rows]
        found.bid[at] = mine["bid_price"].to_numpy()[rows]
        found.ask[at] = mine["ask_price"].to_numpy()[rows]
    return found


def _usable(quotes: pa.Table) -> pa.Table:
    """Return the quotes that can fill somebody, in the order in which they do."""
    read_ns = quotes["market_time"].cast(pa.int64()).to_numpy() * 1_000
    is_fresh = read_ns - quotes["event_time_ns"].to_numpy() <= FRESH_NS
    usable = quotes.filter(pa.array(is_fresh))
    usable = usable.filter((pc.field("bid_price") > 0) & (pc.field("ask_price") > 0))
    order = ("event_time_ns", "quote_hash", "occurrence")
    return usable.sort_by([(name, "ascending") for name in order])


def around(orders: Sequence[Order]) -> ds.Expression:
    """Return a condition on ``silver.quotes`` that all quotes wanted meet."""
    # Spark cuts the times in a file's statistics to milliseconds.
    first = min(order.decided_ns for order in orders) // _MS * _MS
    last = max(min(o.settled_ns, o.decided_ns + WITHIN_NS) for o in orders)
    begin, end = moment(first), moment(last)
    days = [
        begin.date() + timedelta(days=n)
        for n in range((end.date() - begin.date()).days + 1)
    ]
    return (
        pc.field("day").isin(days)
        & (pc.field("event_time") >= begin)
        & (pc.field("event_time") <= end)
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time_ns: int) -> datetime:
    """Return a time cut to microseconds, UTC."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def nanoseconds(time: datetime) -> int:
    """Return epoch ns."""
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000
