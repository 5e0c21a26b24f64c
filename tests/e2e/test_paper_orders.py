"""A live signal becomes one order, and what becomes of it rows of ``silver.orders``.

The real pipeline replays a market so fast that the agent has decided often within two
minutes. What should be ordered is worked out from the tables, and what was told of the
orders comes from the simulator's own record.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from deltalake import DeltaTable

from conf.lake.periodic import Offsets
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import ORDERS, PORTFOLIO, REJECTS, SIGNALS, TableContract
from conf.settings import Settings, load
from infra.local.services import ORDERS as ORDERING
from infra.local.signals import record
from infra.local.state import log_file
from infra.local.supervisor import Pipeline
from infra.paper_orders import QUERY
from models.decisions import SUPERSEDED
from tests.integration.alpaca_py import (
    GetOrdersRequest,
    QueryOrderStatus,
    TradingClient,
)
from tests.integration.simulated import free_port

pytestmark = pytest.mark.e2e

SPEED, MINUTES, RATE_PER_S = 20.0, 160, 20
"""Faster, a slow machine learns of most bars when they are too old to decide on."""
LAPSE_S = 3_600
"""At this pace a second of the pipeline is 20 s of the market."""
LOOK_S, FEW = 2.0, 5
Row = dict[str, Any]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record a market with halts and corrections once for all runs."""
    folder = tmp_path_factory.mktemp("market")
    record(load(), folder, MINUTES, RATE_PER_S)
    return folder


@pytest.fixture(scope="module")
def kernels(pytestconfig: pytest.Config) -> Path:
    """Where compiled kernels stay from run to run: compiling takes half a minute."""
    return pytestconfig.cache.mkdir("numba")


class Desk:
    """A pipeline on folders and ports of its own, its tables and its account."""

    def __init__(self, var: Path, market: Path, kernels: Path, *, orders: bool) -> None:
        stream, alpaca = free_port(), free_port()
        self.settings: Settings = load(
            var=var,
            replay=market,
            speed=SPEED,
            orders__enabled=orders,
            orders__lapse_after_s=LAPSE_S,
            lake__late_trigger_s=10,
            alpaca__trade_updates=True,
            alpaca__url=f"ws://127.0.0.1:{alpaca}",
            simulator__port=alpaca,
            simulator__truth_dir=var / "truth",
            kinesis__endpoint_url=f"http://127.0.0.1:{stream}",
            emulator__port=stream,
            quality__enabled=False,
            spark__rehearse=False,
        )
        (var / "numba").symlink_to(kernels)
        self.pipeline = Pipeline(self.settings)
        key = self.settings.alpaca.api_key.get_secret_value()
        url = f"http://127.0.0.1:{alpaca}"
        self._client = TradingClient(key, key, url_override=url, raw_data=True)

    def rows(self, contract: TableContract, **chosen: Any) -> list[Row]:
        """Return rows of a table; none before it is there."""
        root = self.settings.lake.root
        if not DeltaTable.is_deltatable(table_uri(root, contract)):
            return []
        return scan(root, contract, **chosen).to_pylist()

    def trading(self, version: int | None = None) -> list[Row]:
        """Return the decisions that ask for a trade, in the order they were known."""
        trades = "action IN ('BUY', 'SELL')"
        rows = self.rows(SIGNALS, where=trades, version=version)
        return sorted(rows, key=lambda row: row["known_time"])

    def account(self, status: QueryOrderStatus) -> list[Row]:
        """Return the orders that the account knows."""
        wanted = GetOrdersRequest(status=status, limit=500)
        return list(self._client.get_orders(wanted))

    def told(self) -> list[Row]:
        """Return the updates that the simulator told a listener, as their ``data``."""
        path = self.settings.var / "truth" / "trade_updates.jsonl"
        if not path.exists():
            return []
        lines = map(msgspec.json.decode, path.read_bytes().splitlines())
        return [line["message"]["data"] for line in lines if line["heard"]]

    def said(self, event: str) -> dict[str, Row]:
        """Return the log lines of the process that orders, by signal."""
        lines = log_file(self.settings, ORDERING).read_bytes().splitlines()
        found = (msgspec.json.decode(line) for line in lines)
        return {line["signal"]: line for line in found if line["event"] == event}

    def until(self, met: Callable[[], bool], seconds: float) -> None:
        """Wait while the pipeline works, for it goes on in its drain when it fails."""
        deadline = time.monotonic() + seconds
        while True:
            if self.pipeline.wait(LOOK_S) or self.pipeline.error:
                self.pipeline.drain()  # raises what ended it
                pytest.fail("the pipeline ended")
            if met():
                return
            assert time.monotonic() < deadline, "waited too long"


def test_each_signal_that_trades_is_one_order_told_once(
    tmp_path: Path, market: Path, kernels: Path
):
    desk = Desk(tmp_path, market, kernels, orders=True)
    with desk.pipeline as pipeline:
        pipeline.start()
        desk.until(lambda: has_traded(desk.rows(ORDERS)), seconds=300)
        pipeline.pause(ORDERING)
        desk.until(lambda: not desk.account(QueryOrderStatus.OPEN), seconds=30)
        placed = desk.account(QueryOrderStatus.ALL)
        pipeline.drain()

    updates, rejected = desk.rows(ORDERS), desk.rows(REJECTS)
    assert rejected == []
    assert Counter(map(stored, updates)) == Counter(map(sent, desk.told()))
    assert {row["order_id"] for row in updates} == {order["id"] for order in placed}
    assert_each_lives_once(updates)

    # What is decided while the pipeline drains is not ordered any more.
    read_until = Offsets(desk.settings.lake, QUERY).read()[SIGNALS.name]
    decisions, superseded = desk.trading(read_until), desk.said("superseded")
    may_be_ordered = [d for d in decisions if d["signal_id"] not in superseded]
    wanted = worked_out(may_be_ordered, updates, desk.settings.orders.usd_per_symbol)
    assert ordered(updates) == wanted
    assert desk.said("lapsed") == {}
    assert desk.said("ordered").keys() == wanted.keys()
    left_out = {d["signal_id"] for d in may_be_ordered} - wanted.keys()
    assert desk.said("no order").keys() == left_out
    assert_portfolio_agrees(desk.rows(PORTFOLIO), desk.rows(SIGNALS), wanted)


def test_with_orders_off_none_is_sent(tmp_path: Path, market: Path, kernels: Path):
    desk = Desk(tmp_path, market, kernels, orders=False)
    with desk.pipeline as pipeline:
        pipeline.start()
        desk.until(lambda: len(desk.trading()) > FEW, seconds=300)
        assert ORDERING not in {each.name for each in pipeline.status.processes}
        assert desk.account(QueryOrderStatus.ALL) == []
        pipeline.drain()
    assert desk.told() == desk.rows(ORDERS) == []


def has_traded(updates: list[Row]) -> bool:
    """Whether silver has enough orders that were filled, of either side."""
    filled = Counter(row["side"] for row in updates if row["status"] == "filled")
    return filled["buy"] > FEW and filled["sell"] > 1


def assert_each_lives_once(updates: list[Row]) -> None:
    """Hold each order to one beginning, one end, and fills that add up to it."""
    for order_id in {row["order_id"] for row in updates}:
        mine = [row for row in updates if row["order_id"] == order_id]
        mine.sort(key=lambda row: (row["event_time_ns"], row["event"] != "new"))
        events = [row["event"] for row in mine]
        assert events[0] == "new"
        assert events[1:-1] == ["partial_fill"] * (len(events) - 2)
        assert events[-1] in ("fill", "canceled")
        assert len({(row["client_order_id"], row["side"]) for row in mine}) == 1
        filled = sum(row["fill_quantity"] or 0 for row in mine)
        assert filled == max(row["filled_quantity"] for row in mine)


def worked_out(
    decisions: list[Row], updates: list[Row], usd: float
) -> dict[str, tuple[str, float]]:
    """Return side and shares of the orders that decisions ask for, by signal.

    As the how-to has it: bought is what the budget pays, if nothing is held; sold is
    all. What is held is what the orders before were filled.
    """
    filled = Counter[str]()
    for row in updates:
        filled[row["client_order_id"]] += row["fill_quantity"] or 0
    held, wanted = Counter[str](), {}
    for decision in decisions:
        name, symbol = decision["signal_id"], decision["symbol"]
        is_buy = decision["action"] == "BUY"
        budget = 0 if held[symbol] else math.floor(usd / decision["close"])
        if shares := budget if is_buy else held[symbol]:
            wanted[name] = ("buy" if is_buy else "sell", shares)
            held[symbol] += filled[name] if is_buy else -filled[name]
    return wanted


def ordered(updates: list[Row]) -> dict[str, tuple[str, float]]:
    """Return side and shares of every order, by the signal that it names."""
    new = [row for row in updates if row["event"] == "new"]
    assert len({row["client_order_id"] for row in new}) == len(new)
    return {row["client_order_id"]: (row["side"], row["quantity"]) for row in new}


def assert_portfolio_agrees(
    portfolio: list[Row], signals: list[Row], wanted: dict[str, tuple[str, float]]
) -> None:
    """Hold orders to what the agent's own accounts did: the side, not the shares.

    Those have other money and other quotes. A row follows when the next bar is known,
    so the newest signal of a symbol has none yet.
    """
    sides = {(row["symbol"], row["window_start"]): row["side"] for row in portfolio}
    followed = [row for row in signals if row["reason"] != SUPERSEDED]
    followed.sort(key=lambda row: row["known_time"])
    newest = {row["symbol"]: row["signal_id"] for row in followed}
    for signal in followed:
        name, key = signal["signal_id"], (signal["symbol"], signal["window_start"])
        if name in wanted and (key in sides or name != newest[signal["symbol"]]):
            assert sides.get(key) == signal["action"] == wanted[name][0].upper()


_UPDATE = ("order_id", "event", "execution_id", "client_order_id", "status", "side")
_NUMBERS = ("quantity", "filled_quantity", "filled_price_mean")
_EXECUTION = ("fill_price", "fill_quantity", "position_quantity")


def stored(row: Row) -> tuple[Any, ...]:
    """Return what silver has of an update."""
    return tuple(row[name] for name in (*_UPDATE, *_NUMBERS, *_EXECUTION))


def sent(data: Row) -> tuple[Any, ...]:
    """Return the same of an update as it was sent."""
    order = data["order"]
    texts = (order["client_order_id"], order["status"], order["side"])
    numbers = [order[name] for name in ("qty", "filled_qty", "filled_avg_price")]
    numbers += [data.get(name) for name in ("price", "qty", "position_qty")]
    return (
        *(order["id"], data["event"], data["execution_id"], *texts),
        *(None if number is None else float(number) for number in numbers),
    )
