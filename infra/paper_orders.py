"""The agent's decisions as orders of a paper account: ``python -m infra.paper_orders``.

Off unless ``orders.enabled``. A process of its own reads the rows that ``gold.signals``
gains, so no stream ever waits for a broker. An order carries its signal's id, and
Alpaca refuses an id that it knows: whatever is read or sent again after a restart, one
decision is one order. What becomes of it comes back by the account stream, into
``silver.orders``.

Writes ``<var>/run/paper_orders.json`` each second; on SIGTERM it looks
no more, once it has sent what it was sending.
"""

import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.errors import FixSetup, RetryLater
from conf.kinesis import is_loopback
from conf.lake.changes import Changes
from conf.lake.create import ensure_tables
from conf.lake.market_clock import MarketClock
from conf.lake.periodic import Offsets, PeriodicQuery
from conf.lake.roots import table_uri
from conf.lake.streams import BatchReport, OnBatch
from conf.lake.tables import RECORDS, SIGNALS
from conf.logs import get_logger
from conf.settings import LakeSettings, OrdersSettings, Settings, variable
from infra.paper_account import NoOrder, Order, PaperAccount
from infra.politeness import be_polite
from infra.status import Status, main
from models.account import Action
from models.decisions import Row
from producer.endpoints import paper_url

QUERY = "paper_orders"
_EVERY_S = 1.0
_POLITENESS = 5
_COLUMNS = ("signal_id", "symbol", "known_time", "action", "close")
_ORDERED = [Action.BUY.name, Action.SELL.name]
_log = get_logger(__name__)


def order_of(signal: Row, held: int, usd: float) -> Order:
    """Return the order that follows from a decision.

    Args:
        signal: BUY or SELL, of ``gold.signals``.
        held: Whole shares that the account holds of the symbol.
        usd: How much to buy for, at the close that was decided on.

    Raises:
        NoOrder: The account is where the decision wants it, or a share costs more.
    """
    is_buy = signal["action"] == Action.BUY.name
    if is_buy == bool(held):
        raise NoOrder("held already" if is_buy else "nothing is held")
    shares = int(usd / signal["close"]) if is_buy else held
    if not shares:
        raise NoOrder(f"a share costs more than {usd:g} USD")
    side: Literal["buy", "sell"] = "buy" if is_buy else "sell"
    return Order(signal["signal_id"], signal["symbol"], side, shares)


class PaperOrders:
    """Sends an order for each fresh decision.

    Args:
        lake: Where the signals are; the tables exist.
        chosen: How much, and how late.
        account: Takes the orders.
        now: The market clock; None while it is not known.
        on_batch: Told how many orders a look placed.
    """

    def __init__(
        self,
        lake: LakeSettings,
        chosen: OrdersSettings,
        account: PaperAccount,
        now: Callable[[], datetime | None],
        on_batch: OnBatch,
    ) -> None:
        self._root, self._chosen = lake.root, chosen
        self._account, self._now, self._on_batch = account, now, on_batch
        self._lapse = timedelta(seconds=chosen.lapse_after_s)
        self._offsets = Offsets(lake, QUERY)
        self._stored = self._offsets.read().get(SIGNALS.name)
        self._signals = self._from(self._stored)
        self._waiting: dict[str, Row] = {}
        self._store()

    def look(self, _: bool = False) -> None:
        """Order what was decided since the last look, and what could not be sent.

        How far was read is written when nothing waits: who is killed before reads the
        same signals again, and the account knows which of them it has.
        """
        for signal in self._arrived():
            self._await(signal)
        now = self._now() if self._waiting else None
        if now is not None:
            self._drop_lapsed(now)
            try:
                self._send()
            except RetryLater as error:
                _log.warning("orders wait", count=len(self._waiting), why=str(error))
        if not self._waiting:
            self._store()

    def _await(self, signal: Row) -> None:
        """Let a decision wait, in the place of an older one that still does."""
        older = self._waiting.pop(signal["symbol"], None)
        if older is not None:
            by = signal["signal_id"]
            _log.warning("superseded", signal=older["signal_id"], by=by)
        self._waiting[signal["symbol"]] = signal

    def _arrived(self) -> list[Row]:
        try:
            changes = [change.rows for change in self._signals.read()]
        except FileNotFoundError:
            _log.warning("signals were missed: their log is older than is kept")
            self._signals = self._from(None)
            return []
        is_order = pc.field("action").isin(_ORDERED)
        rows = [row for rows in changes for row in rows.filter(is_order).to_pylist()]
        return sorted(rows, key=lambda row: row["known_time"])

    def _drop_lapsed(self, now: datetime) -> None:
        """Forget what is not of this moment: late, or of another market's time."""
        for symbol, signal in list(self._waiting.items()):
            away = abs(now - signal["known_time"])
            if away > self._lapse:
                del self._waiting[symbol]
                age_s = round(away.total_seconds())
                _log.warning("lapsed", signal=signal["signal_id"], age_s=age_s)

    def _send(self) -> None:
        """Send what waits; raises ``RetryLater`` with the rest still waiting."""
        if not self._waiting:
            return
        held, placed = self._account.held(), 0
        try:
            for symbol, signal in list(self._waiting.items()):
                placed += self._place(signal, held.get(symbol, 0))
                del self._waiting[symbol]
        finally:
            self._on_batch(BatchReport(QUERY, placed))

    def _place(self, signal: Row, held: int) -> bool:
        name = signal["signal_id"]
        try:
            order = order_of(signal, held, self._chosen.usd_per_symbol)
            is_new = self._account.place(order)
        except NoOrder as why:
            _log.warning("no order", signal=name, why=str(why))
            return False
        said = "ordered" if is_new else "was ordered before"
        _log.info(said, signal=name, side=order.side, shares=order.shares)
        return is_new

    def _store(self) -> None:
        if self._stored != self._signals.version:
            self._stored = self._signals.version
            self._offsets.write({SIGNALS.name: self._stored})

    def _from(self, offset: int | None) -> Changes:
        """Return the signals after a version, or from now on: the past is over."""
        if offset is None:
            offset = DeltaTable(table_uri(self._root, SIGNALS)).version()
        return Changes(self._root, SIGNALS, _COLUMNS, offset)


def start(chosen: Settings, on_batch: OnBatch) -> PeriodicQuery:
    """Start the query; it looks each second.

    Raises:
        FixSetup: Orders are off, or the account is none for paper or refuses the keys.
        RetryLater: The account does not answer.
    """
    if not chosen.orders.enabled:
        raise FixSetup(
            "orders.enabled",
            "false, so none are sent",
            f"Set {variable('orders.enabled')}=true to send them",
        )
    account = PaperAccount(chosen.alpaca)
    account.held()
    ensure_tables(chosen.lake.root, [RECORDS, SIGNALS])
    orders = PaperOrders(
        chosen.lake, chosen.orders, account, market_clock(chosen), on_batch
    )
    return PeriodicQuery(QUERY, orders.look, _EVERY_S)


def market_clock(chosen: Settings) -> Callable[[], datetime | None]:
    """Return the clock of the account's market: of Alpaca's, the wall clock.

    The simulator's market may have a clock of its own, which its heartbeats tell. By
    them alone, decisions on a recording would be fresh for Alpaca too.
    """
    if not is_loopback(paper_url(chosen.alpaca)):
        return lambda: datetime.now(UTC)
    clock = MarketClock(chosen.lake.root)
    return lambda: clock.read(datetime.now(UTC))


def _run(chosen: Settings, status: Status, stop: threading.Event) -> None:
    be_polite(_POLITENESS)
    status.write()
    query = start(chosen, status.on_batch)
    status.note(state="live")
    while not stop.wait(1.0):
        if error := query.exception():
            raise error
        status.write()
    query.stop()
    status.note(state="stopped")


if __name__ == "__main__":
    sys.exit(main(QUERY, __doc__, _run))
