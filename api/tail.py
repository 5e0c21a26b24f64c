"""The live tail: newest prices straight from Kinesis, ahead of every commit.

It reads each shard at most twice a second: five GetRecords a second are all that a
shard gives to bronze, the tail and tools together. Whatever happens to the stream, the
tail goes on by itself, and ``status`` says how it fares.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from api.candles import MINUTE_NS
from api.market_state import MarketState
from api.payloads import Kinesis, Latency, Rates
from api.recent import RecentRate, RecentSamples
from api.shard_reader import (
    CLOCK_MARGIN_S,
    MINUTES_BEFORE,
    Course,
    Lane,
    ShardReader,
    StreamGone,
    Throttled,
)
from api.ticks import Opened, open_record
from conf.errors import RetryLater
from conf.kinesis import open_client
from conf.logs import get_logger
from conf.settings import Settings

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

POLL_S = 0.5
"""From one read of a shard to the next."""

RETRY_S = 1.0
_LATENCY_WINDOW_S, _RATE_WINDOW_S = 60.0, 5.0
_SECOND_NS, _NEVER_NS = 10**9, 2**63

_log = get_logger(__name__)


class Tail:
    """Follows the stream and keeps ``state``.

    Args:
        settings: Names the stream; what counts as late or too far ahead.
        clock_s: Wall clock, Unix seconds.
        client: A Kinesis client that does not retry; by default the settings' one.

    Attributes:
        state: What the page shows as live.
        changed: Set when ``state`` may have changed; whoever waits for it clears it.
    """

    def __init__(
        self,
        settings: Settings,
        clock_s: Callable[[], float] = time.time,
        client: "KinesisClient | None" = None,
    ) -> None:
        kinesis = settings.kinesis
        self.state = MarketState(settings.lake.late_after_s)
        self.changed = asyncio.Event()
        self._clock_s = clock_s
        self._future_max_s = settings.lake.future_max_s
        self._reader = ShardReader(
            client or open_client(kinesis),
            kinesis.stream_name,
            kinesis.endpoint_url or f"Kinesis in {kinesis.region}",
        )
        self._courses: dict[str, Course] = {}
        self._behind_ms: dict[str, int] = {}
        self._failures: dict[str, str] = {}
        self._closed = asyncio.Event()
        self._rate = RecentRate(_RATE_WINDOW_S)
        self._tail_latency = RecentSamples(_LATENCY_WINDOW_S)
        self._event_latency = RecentSamples(_LATENCY_WINDOW_S)

    @property
    def status(self) -> Kinesis:
        """How the tail gets on; ``behind_ms`` is that of the slowest shard."""
        behind_ms = max(self._behind_ms.values()) if self._behind_ms else None
        if self._failures:
            return Kinesis("down", behind_ms)
        is_reading = self._courses and self._behind_ms.keys() >= self._courses.keys()
        return Kinesis("ok" if is_reading else "starting", behind_ms)

    @property
    def latency(self) -> Latency:
        """How old records were when they were read, over the last minute."""
        now_s = self._clock_s()
        tail = self._tail_latency.quantiles(now_s)
        event = self._event_latency.quantiles(now_s)
        return Latency(tail.p50_s, tail.p95_s, event.p50_s, event.p95_s)

    @property
    def rates(self) -> Rates:
        """Messages per second over the last five."""
        return Rates(self._rate.per_s(self._clock_s()))

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        while True:
            try:
                await self._follow_stream()
            except* RetryLater as group:
                self._failed("stream", group.exceptions[0])
            await asyncio.sleep(RETRY_S)

    async def _follow_stream(self) -> None:
        """Follow every shard, also those that are born later.

        Raises:
            ExceptionGroup: Of ``RetryLater``: everything must begin anew.
        """
        started_s = self._clock_s() - CLOCK_MARGIN_S
        self._courses, self._behind_ms = {}, {}
        async with asyncio.TaskGroup() as group:
            known = set[str]()
            minutes_before: int | None = MINUTES_BEFORE
            while True:
                listed = set(await asyncio.to_thread(self._reader.shards))
                self._failures.clear()
                for place, shard in enumerate(sorted(listed - known)):
                    self._courses[shard] = Course(started_s, minutes_before)
                    delay_s = POLL_S * place / len(listed)
                    group.create_task(self._follow(shard, delay_s))
                known, minutes_before = listed, None
                await self._closed.wait()
                self._closed.clear()

    async def _follow(self, shard: str, delay_s: float) -> None:
        """Read one shard until it is closed by a split or merge.

        Raises:
            StreamGone: It is another stream than before.
        """
        await asyncio.sleep(delay_s)  # shards take turns, so frames come evenly
        course, loop = self._courses[shard], asyncio.get_running_loop()
        while not course.is_finished:
            due_s = loop.time() + POLL_S
            try:
                await self._read(shard, course)
            except Throttled as error:
                _log.debug("throttled", shard=shard, reason=str(error))
            except StreamGone:
                raise
            except RetryLater as error:
                self._failed(shard, error)
                due_s += RETRY_S
            await asyncio.sleep(due_s - loop.time())
        del self._courses[shard]
        self._behind_ms.pop(shard, None)
        self._closed.set()

    async def _read(self, shard: str, course: Course) -> None:
        lane = course.next()
        records, behind_ms = await asyncio.to_thread(self._open, shard, lane)
        self._failures.pop(shard, None)
        for record in records:
            self.state.add(record)
        if lane is course.head:
            if shard in self._behind_ms:  # the first read goes back a little
                self._measure(records)
            self._behind_ms[shard] = behind_ms
        elif times_ns := [x.market_time_ns for x in records if x.market_time_ns]:
            oldest_ns = course.oldest_market_ns
            course.oldest_market_ns = min(oldest_ns or times_ns[0], *times_ns)
        course.drop_finished()
        whole_since_ns = max(map(self._whole_since_ns, self._courses.values()))
        self.state.be_whole_since(whole_since_ns)
        self.changed.set()

    def _open(self, shard: str, lane: Lane) -> tuple[list[Opened], int]:
        """Read and decode; in a thread, so that the event loop stays free."""
        answer = self._reader.read(shard, lane)
        opened = (open_record(data, self._future_max_s) for data in answer.payloads)
        return [record for record in opened if record], answer.behind_ms

    def _whole_since_ns(self, course: Course) -> int:
        """Return the event time from which on no trade of a shard is missing."""
        if self.state.is_live:
            return int(course.whole_since_s * _SECOND_NS)
        # A replay's events have another clock than their arrival.
        if course.past:
            return _NEVER_NS
        oldest_ns = course.oldest_market_ns or 0
        return -(-oldest_ns // MINUTE_NS) * MINUTE_NS

    def _measure(self, records: list[Opened]) -> None:
        now_s = self._clock_s()
        self._rate.add(now_s, sum(record.messages for record in records))
        for record in records:
            if record.kind != "data" or not record.ticks:
                continue
            self._tail_latency.add(now_s, now_s - record.receive_time_ns / _SECOND_NS)
            if record.is_live:
                event_s = record.ticks[0].event_time_ns / _SECOND_NS
                self._event_latency.add(now_s, now_s - event_s)

    def _failed(self, shard: str, error: BaseException) -> None:
        if self._failures.get(shard) != str(error):
            _log.warning("Kinesis not read", shard=shard, reason=str(error))
        self._failures[shard] = str(error)
        self.changed.set()
