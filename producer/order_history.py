"""Orders as the account's REST has them: what an outage of its stream hid."""

import time
from collections.abc import AsyncIterator

from conf.market.rfc3339 import format_ns, parse_ns
from producer.history_process import HistoryProcess
from producer.order_updates import Order

LONGEST_NS = 90 * 86_400_000_000_000
"""How long an order can work at Alpaca (good till canceled)."""

PAGE_ORDERS = 500
_LATER_NS = 1_000


async def orders(
    history: HistoryProcess, from_ns: int, to_ns: int
) -> AsyncIterator[list[Order]]:
    """Yield pages of every order that may have changed in an interval, oldest first.

    REST lists orders by when they were submitted, which is long before some change.

    Args:
        history: Answers the pages.
        from_ns: Inclusive, epoch ns.
        to_ns: Exclusive, epoch ns.

    Raises:
        RetryLater: Nobody answers, or the server is in trouble.
        NoHistory: The request will never be answered.
    """
    after = format_ns(max(0, from_ns - LONGEST_NS))
    known: set[str] = set()
    while True:
        query = {
            "status": "all",
            "direction": "asc",
            "limit": str(PAGE_ORDERS),
            "after": after,
            # `until` is exclusive at Alpaca, and its clock is cruder than ours
            "until": format_ns(to_ns + _LATER_NS),
        }
        page = await history.orders(query, time.time())
        fresh = [order for order in page if str(order.get("id")) not in known]
        if fresh:
            yield fresh
        if len(page) < PAGE_ORDERS or not fresh:
            return
        # several orders may share the last moment: it is asked for again
        known = {str(order.get("id")) for order in page}
        after = _just_before(str(page[-1].get("submitted_at")))


def _just_before(text: str) -> str:
    return format_ns(parse_ns(text) - _LATER_NS)
