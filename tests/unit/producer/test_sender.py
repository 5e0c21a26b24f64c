import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.errors import FixSetup, RetryLater
from producer.backoff import Backoff
from producer.batcher import Record
from producer.kinesis import MAX_CALL_BYTES, MAX_ENTRIES
from producer.outbox import Entry, Outbox
from producer.segments import Place
from producer.sender import Sender

THROTTLED = "ProvisionedThroughputExceededException"


class Stream:
    """Stores records; each call's answer is the next of ``answers``, then success."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.calls: list[list[Record]] = []
        self.stored: list[Record] = []

    def __call__(self, records: list[Record]) -> list[str | None]:
        self.calls.append(records)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        codes = answer if isinstance(answer, list) else [None] * len(records)
        self.stored += [
            record for record, code in zip(records, codes, strict=True) if not code
        ]
        return codes


def records(count: int, size: int = 10) -> list[Record]:
    return [Record(f"K{n}", bytes(size), 1, float(n)) for n in range(count)]


class Sending(Sender):
    """A sender with an outbox that is in memory alone."""

    def __init__(self, stream: Stream) -> None:
        self.outbox, self.arrived = Outbox(never_read, 10**9), asyncio.Event()
        super().__init__(stream, Backoff(0.001, 0.001), self.outbox, self.arrived)

    def put(self, records: list[Record]) -> None:
        first = self.outbox.depth + self.records_total + 1
        self.outbox.put(Entry(first + n, 0.0, x) for n, x in enumerate(records))
        self.arrived.set()

    @property
    def queue_depth(self) -> int:
        return self.outbox.depth


def never_read(place: Place, number: int) -> Record:
    raise AssertionError(place, number)


def sender(stream: Stream) -> Sending:
    return Sending(stream)


@asynccontextmanager
async def running(work: Callable[[], Awaitable[None]]):
    task = asyncio.ensure_future(work())
    try:
        async with asyncio.timeout(5):
            yield task
    finally:
        task.cancel()


async def test_only_failed_records_go_again_with_the_same_bytes():
    batch = records(4)
    stream = Stream([None, THROTTLED, None, "InternalFailure"], [THROTTLED, None])
    out = sender(stream)
    async with running(out.run):
        out.put(batch)
        await out.drain()
    first, second, third = stream.calls
    assert first == batch
    assert [id(x) for x in second] == [id(batch[1]), id(batch[3])]
    assert [id(x) for x in third] == [id(batch[1])]
    assert (out.records_total, out.retried_entries, out.queue_depth) == (4, 3, 0)


async def test_failed_records_go_before_those_that_still_wait():
    batch = records(MAX_ENTRIES + 1)
    stream = Stream([THROTTLED] * MAX_ENTRIES)
    out = sender(stream)
    async with running(out.run):
        out.put(batch)
        await out.drain()
    assert stream.stored == batch


async def test_an_endpoint_that_is_away_loses_nothing():
    stream = Stream(*[RetryLater("refused")] * 5)
    out = sender(stream)
    async with running(out.run):
        out.put(records(3))
        await out.drain()
    assert stream.stored == records(3)
    assert out.retried_entries == 15


async def test_a_setup_error_ends_the_sender_and_forgets_nothing():
    out = sender(Stream(FixSetup("where", "what", "do")))
    async with running(out.run) as task:
        out.put(records(3))
        with pytest.raises(FixSetup):
            await task
    assert out.queue_depth == 3


async def test_calls_hold_at_most_500_records_and_5_mib():
    stream = Stream()
    out = sender(stream)
    async with running(out.run):
        out.put(records(1100))
        out.put(records(3, size=2 * 1024 * 1024))
        out.put(records(2, size=MAX_CALL_BYTES + 1))
        await out.drain()
    assert len(stream.stored) == 1105
    for call in stream.calls:
        assert len(call) <= MAX_ENTRIES
        assert sum(len(x.data) for x in call) <= MAX_CALL_BYTES or len(call) == 1


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), max_size=6))
def test_records_of_one_key_are_all_stored_whatever_fails(outcomes: list[list[bool]]):
    batch = [Record("K", b"%d" % n, 1, 0.0) for n in range(20)]

    class Flaky(Stream):
        def __call__(self, records: list[Record]) -> list[str | None]:
            if outcomes:
                pattern = outcomes.pop()
                codes = [
                    THROTTLED if pattern[n % len(pattern)] else None
                    for n in range(len(records))
                ]
                self.answers = [codes]
            return super().__call__(records)

    async def send() -> Stream:
        stream = Flaky()
        out = sender(stream)
        async with running(out.run):
            out.put(batch)
            await out.drain()
        return stream

    stream = asyncio.run(send())
    assert sorted(stream.stored) == sorted(batch)


async def test_draining_ends_when_all_that_waits_is_damaged_on_disk():
    stream, arrived = Stream(), asyncio.Event()
    outbox = Outbox(lambda place, number: None, 0)
    outbox.put([Entry(n, 0.0, None, Place(1, n, 10)) for n in (1, 2)])
    sending = Sender(stream, Backoff(0.001, 0.001), outbox, arrived)
    async with running(sending.run):
        arrived.set()
        await sending.drain()
    assert (stream.calls, outbox.stored_until, sending.records_total) == ([], 2, 0)
