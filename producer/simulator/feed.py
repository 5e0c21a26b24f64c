"""The pace: every message at its time, whatever the clients behind it do."""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from conf.logs import get_logger
from producer.simulator.batch import Batch, LinearClock, Source
from producer.simulator.client import Client
from producer.simulator.missed import Missed
from producer.simulator.record import Record
from producer.simulator.slots import SECOND_NS

TICK_NS = 15_000_000
"""What is due within one tick is sent together."""
AHEAD_NS = SECOND_NS
"""How far ahead of the clock messages are made."""
PREPARE_NS = 5_000_000
"""How long the making may take of one tick."""
IDLE_NS = SECOND_NS // 4

_NEVER_NS = 2**62
_log = get_logger("simulator.feed")


class Feed:
    """Sends one source's schedule to its clients; open-loop.

    The schedule begins when the first client has subscribed and then goes on without
    regard to anybody: what nobody takes is gone.

    Args:
        source: The schedule.
        record: Where to count and keep what was sent.
        symbols: What the source has, as far as that is known.
        clock: The wall clock, epoch ns.
        stop_after_s: End of the schedule; None for as long as the source has more.
    """

    def __init__(
        self,
        source: Source,
        record: Record,
        *,
        symbols: Iterable[str],
        clock: Callable[[], int],
        stop_after_s: float | None,
    ) -> None:
        self.clients: set[Client] = set()
        self.watchers: list[Callable[[Batch], None]] = []
        """Told of every message when it is due, whoever is connected."""
        self.missed = Missed(symbols, clock)
        self.finished = False
        self.started_ns: int | None = None
        self._source = source
        self._record = record
        self._clock = clock
        self._stop_after_s = stop_after_s
        self._end_ns = _NEVER_NS
        self._started = asyncio.Event()
        self._queue: deque[Batch] = deque()
        self._next = 0
        self._last_market_ns: int | None = None
        record.keep(self.missed.intervals)

    def start(self) -> None:
        """Begin the schedule now, unless it began before."""
        if self.started_ns is not None:
            return
        self.started_ns = self._clock()
        if self._stop_after_s is not None:
            self._end_ns = self.started_ns + int(self._stop_after_s * SECOND_NS)
        self._started.set()
        _log.info("market started", started_ns=self.started_ns)

    def leave(self, client: Client) -> None:
        """Send no more to a client: from now on it misses what it subscribed to."""
        if client not in self.clients:
            return
        self.clients.discard(client)
        is_replaced = any(
            client.who == other.who and other.is_reachable for other in self.clients
        )
        if client.who is None or is_replaced or self.finished:
            return
        self.missed.begin(
            client.who,
            client.subscription,
            client.end_cause or "client_closed",
            since_ns=client.lost_since_ns(self._clock()),
        )

    @property
    def is_live(self) -> bool:
        """Whether market time is the wall clock."""
        return self._source.live

    def market_clock(self) -> LinearClock | None:
        """Return how market time follows from wall time; None: from messages only."""
        if self.started_ns is None:
            return None
        return self._source.clock(self.started_ns)

    def market_time_ns(self) -> int | None:
        """Return the market time; None while nothing was due in a replay."""
        if self._source.live:
            return self._clock()
        clock = self.market_clock()
        if clock is None or self.finished:
            return self._last_market_ns
        return clock.market_time_ns(self._clock())

    async def run(self) -> None:
        """Pace the schedule from its start to its end."""
        await self._started.wait()
        batches = self._source.batches(self.started_ns or 0)
        while not self.finished:
            self._send_due()
            self._prepare(batches)
            await asyncio.sleep(self._pause_s())
        self._record.finish()
        _log.info("market finished", **self._record.summary())

    def _send_due(self) -> None:
        limit_ns = min(self._clock(), self._end_ns - 1)
        while self._queue and self._queue[0].due_ns[self._next] <= limit_ns:
            batch = self._queue[0]
            stop = bisect_right(batch.due_ns, limit_ns, lo=self._next)
            self._send(batch.part(self._next, stop))
            self._next = stop
            if stop == len(batch.due_ns):
                self._queue.popleft()
                self._next = 0

    def _send(self, part: Batch) -> None:
        self._last_market_ns = part.market_ns[-1]
        for watch in self.watchers:
            watch(part)
        for client in [client for client in self.clients if client.is_over]:
            self.leave(client)
        taken = [client.send(part) for client in self.clients]
        is_sent = [any(each) for each in zip(*taken, strict=True)]
        self._keep_missed(part, is_sent)
        sent = part.only(is_sent) if is_sent else None
        if sent and sent.texts:
            self._record.add(sent, behind_ns=self._clock() - sent.due_ns[0])

    def _keep_missed(self, part: Batch, is_sent: list[bool]) -> None:
        owed = self.missed.count(part)
        if owed is None:
            return
        if is_sent:
            both = zip(owed, is_sent, strict=True)
            owed = [is_owed and not is_there for is_owed, is_there in both]
        missed = part.only(owed)
        if missed.texts:
            self._record.add_missed(missed)

    def _prepare(self, batches: Iterator[Batch]) -> None:
        now_ns = self._clock()
        while not self._queue or self._queue[-1].due_ns[-1] < now_ns + AHEAD_NS:
            batch = next(batches, None)
            if batch is None:
                self.finished = not self._queue
                return
            self._queue.append(batch)
            if self._clock() - now_ns > PREPARE_NS:
                return
        self.finished = self._queue[0].due_ns[self._next] >= self._end_ns

    def _pause_s(self) -> float:
        if not self._queue:
            return 0
        early_ns = self._queue[0].due_ns[self._next] - self._clock()
        if early_ns < -TICK_NS:
            return 0
        return min(max(early_ns, TICK_NS), IDLE_NS) / SECOND_NS
