"""Fills gaps from Alpaca's history, one interval at a time, until each is settled."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Protocol

from conf.errors import RetryLater
from conf.logs import get_logger
from conf.market.gaps import GapTransition
from conf.settings import Settings
from producer import order_history, order_updates
from producer.attempts import Attempts
from producer.endpoints import is_always_open
from producer.findings import Findings
from producer.gaps import Gap, Interval, Ledger, interval
from producer.history_pages import HistoryPages
from producer.history_process import HistoryProcess, NoHistory, Page, Throttled
from producer.judgement import Sessions, Verdict, judge, open_ns
from producer.order_updates import Order
from producer.protocol import Message
from producer.rates import Rates
from producer.relay import Frame, Row
from producer.seen import Seen
from producer.told import Told

ORDERS, NOTHING = "orders", "nothing"
RESOURCES = {
    NOTHING: ("statuses", "lulds", "dailyBars"),
    "trades": ("trades", "corrections", "cancelErrors"),
    "quotes": ("quotes",),
    "bars": ("bars", "updatedBars"),
    ORDERS: (order_updates.CHANNEL,),
}
"""Which channels a resource tells of; of some Alpaca keeps no history."""

_ROWS_AT_ONCE = 250
_IDLE_S = 0.5
_NS_PER_S = 1_000_000_000
_log = get_logger(__name__)


class Outlet(Protocol):
    """Where the findings go, and what must be known of the feed."""

    async def publish(self, page: Frame, rows: list[Row]) -> None:
        """Take rows for the stream; waits while there is no room."""

    async def publish_orders(
        self, page: Frame, orders: list[Order], gap: tuple[int, int]
    ) -> int:
        """Take what orders tell of an interval; return how many updates that is."""

    def announce(self, transitions: list[GapTransition]) -> None:
        """Take transitions for the stream, after what was published."""

    def market_ns(self) -> int:
        """Return the market time."""

    def payloads(self, since_ns: int, until_ns: int) -> Iterator[bytes]:
        """Yield the records that the stream has or will have, in any thread.

        Those received in a market time, as far as they are still on disk, and others.
        """

    def symbols(self) -> list[str]:
        """Return every symbol that the feed told of, for a gap of all."""


class Backfill:
    """Asks for what gaps hid, publishes it, and says what became of each gap.

    Args:
        settings: Feed, patience, calendar.
        ledger: Has the gaps.
        history: Answers pages.
        outlet: Takes the findings.
        seen: What the feed told of bars, amendments and halts.
        rates: What may be expected of it.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        history: HistoryProcess,
        outlet: Outlet,
        seen: Seen,
        rates: Rates,
    ) -> None:
        self._settings, self._pages = settings.backfill, HistoryPages(settings, history)
        self._is_always_open = is_always_open(settings)
        self._ledger, self._history, self._outlet = ledger, history, outlet
        self._seen, self._rates = seen, rates
        self._attempts: dict[Interval, Attempts] = {}
        self._transitions: list[GapTransition] = []
        self.rows_total = 0
        self.lost_total = 0
        self.unreadable_total = 0

    @property
    def since_ns(self) -> int:
        """From which market time on it must be known what the stream has.

        A gap that has been open for longer than one is tried to be filled needs nothing
        before its end: what history then tells again is dropped by silver.
        """
        now_ns = self._outlet.market_ns()
        open_ns = self._settings.give_up_after_s * _NS_PER_S
        return self._pages.since_ns(self._ledger.since_ns(now_ns, open_ns))

    async def run(self) -> None:
        """Fill for ever; the history process lives only while there is a gap."""
        while True:
            groups = {interval(gaps[0]): gaps for gaps in self._ledger.to_fill()}
            self._attempts = {
                key: self._attempts.get(key) or Attempts(time.monotonic())
                for key in groups
            }
            for key, gaps in groups.items():
                attempts = self._attempts[key]
                if time.monotonic() >= attempts.due_s:
                    attempts.begin(time.monotonic())
                    await self._fill(gaps, attempts)
            if not groups:
                await self._history.close()
            await asyncio.sleep(_IDLE_S)

    async def _fill(self, gaps: list[Gap], attempts: Attempts) -> None:
        left = list(gaps)
        for resource, channels in RESOURCES.items():
            mine = [gap for gap in left if gap.channel in channels]
            try:
                if mine:
                    await self._fill_from(resource, mine, attempts)
            except NoHistory as error:
                for gap in mine:
                    self._settle(gap, Verdict("lost", str(error)), 0)
            except RetryLater as error:
                least_s = error.wait_s if isinstance(error, Throttled) else 0.0
                attempts.postpone(time.monotonic(), least_s)
                self._wait(left, attempts, str(error))
                self._tell(gaps[0].outage)
                return
            # before anything else: a mark must not know of an end that nobody told
            self._tell(gaps[0].outage)
            left = [gap for gap in left if gap not in mine]

    async def _fill_from(
        self, resource: str, gaps: list[Gap], attempts: Attempts
    ) -> None:
        if resource == ORDERS:
            await self._publish_orders(gaps[0])
            return
        sessions = await self._sessions(gaps[0])
        if resource == NOTHING:
            self._give_up(gaps, sessions)
            return
        found = await self._publish(resource, gaps, attempts.told)
        waiting: dict[str, list[Gap]] = {}
        for gap in gaps:
            rows = found.count(gap)
            verdict = judge(
                gap,
                rows,
                per_s=self._rates.per_s(gap.channel, gap.symbol),
                sessions=sessions,
                is_halted=self._seen.is_halted(gap.symbol),
            )
            if verdict.state is None:
                waiting.setdefault(verdict.detail or "", []).append(gap)
            else:
                self._settle(gap, verdict, rows)
        if waiting:
            attempts.postpone(time.monotonic())
        for detail, late in waiting.items():
            self._wait(late, attempts, detail, found)

    def _give_up(self, gaps: list[Gap], sessions: Sessions) -> None:
        """Settle gaps that nobody can fill; a closed market hid nothing."""
        lost = Verdict("lost", "Alpaca keeps no history of it")
        for gap in gaps:
            is_closed = open_ns(gap, sessions) == 0
            self._settle(gap, Verdict("closed_market") if is_closed else lost, 0)

    def _wait(
        self,
        gaps: list[Gap],
        attempts: Attempts,
        detail: str,
        found: Findings | None = None,
    ) -> None:
        """Say that gaps are late, or lost when it has been too long."""
        waited_s = attempts.waited_s(time.monotonic())
        for gap in gaps:
            if waited_s >= self._settings.give_up_after_s:
                rows = found.count(gap) if found else 0
                self._settle(gap, Verdict("lost", detail), rows)
            elif waited_s >= self._settings.late_after_s:
                now_ns = self._outlet.market_ns()
                self._transitions += self._ledger.delay(gap, detail, now_ns)

    def _settle(self, gap: Gap, verdict: Verdict, rows: int) -> None:
        now_ns, state = self._outlet.market_ns(), verdict.state or "lost"
        self.lost_total += state == "lost" and gap.channel not in RESOURCES[NOTHING]
        self._transitions.append(
            self._ledger.settle(gap, state, now_ns, rows=rows, detail=verdict.detail)
        )

    def _tell(self, outage: str) -> None:
        told, self._transitions = self._transitions, []
        if not told:
            return
        self._outlet.announce(told)
        log = _log.warning if any(x.state == "lost" for x in told) else _log.info
        states = Counter(transition.state for transition in told)
        rows = sum(transition.rows or 0 for transition in told)
        log("gaps judged", outage=outage, rows=rows, **states)

    async def _publish_orders(self, gap: Gap) -> None:
        interval = gap.from_ns, gap.to_ns or gap.from_ns
        epoch = f"backfill-{gap.outage}-{ORDERS}"
        rows, numbers = 0, count()
        async for page in order_history.orders(self._history, *interval):
            frame = Frame(epoch, next(numbers), time.time_ns(), b"")
            rows += await self._outlet.publish_orders(frame, page, interval)
        self.rows_total += rows
        self._settle(gap, Verdict("backfilled"), rows)

    async def _publish(self, resource: str, gaps: list[Gap], told: Told) -> Findings:
        """Publish what an interval hid.

        And of some time before, for a message may have been delayed into it.
        """
        first = gaps[0]
        from_ns, to_ns = first.from_ns, first.to_ns or first.from_ns
        self._remember(told.amendments)
        findings = Findings(resource, gaps, self._seen, told)
        epoch, numbers = f"backfill-{first.outage}-{resource}", count()
        symbols = self._symbols(gaps)
        async for page in self._pages.of(resource, symbols, from_ns, to_ns):
            if not told.is_read:  # not before history answers: there is time
                await self._recall(told, from_ns, to_ns)
            frame = Frame(epoch, next(numbers), time.time_ns(), b"")
            findings.rows.start_page()
            found = list(_flat(page))
            for low in range(0, len(found), _ROWS_AT_ONCE):
                news = list(findings.news(found[low : low + _ROWS_AT_ONCE]))
                await self._outlet.publish(frame, news)
                told.add(news)
                self.rows_total += len(news)
        self._remember(findings.rows.bars)
        return findings

    async def _recall(self, told: Told, from_ns: int, to_ns: int) -> None:
        """Read what the stream has of an interval; what is not known is told again."""
        times_ns = self._pages.since_ns(from_ns), self._pages.until_ns(to_ns)
        records = self._outlet.payloads(*times_ns)
        try:
            await asyncio.to_thread(told.read, records, *times_ns)
        except OSError as error:
            _log.warning("what the spool has is told again", reason=str(error))
        if told.unreadable:
            self.unreadable_total += told.unreadable
            _log.error("records in the spool are none", records=told.unreadable)
        self._remember(told.amendments)

    def _remember(self, messages: list[Message]) -> None:
        """Note bars and amendments as if the feed had just told them."""
        for message in messages:
            self._seen.note(message, self._outlet.market_ns())

    def _symbols(self, gaps: list[Gap]) -> list[str]:
        symbols = {gap.symbol for gap in gaps}
        if "*" in symbols:
            symbols = symbols - {"*"} | set(self._outlet.symbols())
        return sorted(symbols)

    async def _sessions(self, gap: Gap) -> Sessions:
        if self._is_always_open:
            return None
        first, last = _day(gap.from_ns), _day(gap.to_ns or gap.from_ns)
        margin = timedelta(days=1)
        return await self._history.sessions(
            (first - margin).date().isoformat(), (last + margin).date().isoformat()
        )


def _flat(page: Page) -> Iterable[tuple[str, dict[str, Any]]]:
    return ((symbol, row) for symbol, rows in page.rows.items() for row in rows)


def _day(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // _NS_PER_S, UTC)
