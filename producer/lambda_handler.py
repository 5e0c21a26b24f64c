"""``producer.lambda_handler.handler``: the producer as an AWS Lambda function.

It is the producer of ``pipeline`` without a disk that lasts. One invocation follows the
other; Alpaca allows one connection, so they take turns:

    invocation 1 ──── reads ────────┤ leaves, drains, says its last word
    invocation 2        │ refused … ├──── reads ─────────────────┤ leaves …
                        └ started by the schedule, before 1 ends

What the first had not stored when the second began to read is a gap of cause
``hand_over``, from the first one's last heartbeat in the stream, and the second fills
it. An invocation that dies leaves the same gap, only wider.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any, Protocol

from conf import logs
from conf.errors import FixSetup, RetryLater
from conf.kinesis import is_loopback, open_client
from conf.settings import Settings, load
from producer.history import fetch_live
from producer.kinesis import ensure_stream, put_records
from producer.last_heartbeat import last_heartbeat
from producer.mark import Mark
from producer.pipeline import Producer
from producer.status import Status
from producer.subscription import check_plan

LAST_WORD_S = 2.0
"""How long the one before may drain, after this one began to read."""

_RESERVE_S = 2.0
_LOOK_EVERY_S = 0.05
_RETRY_S = 1.0
_log = logs.get_logger("producer.lambda")


class Context(Protocol):
    """What AWS hands over: how much time this invocation has left."""

    def get_remaining_time_in_millis(self) -> int:
        """Return milliseconds."""


def handler(event: object, context: Context) -> dict[str, Any]:
    """Produce until little time is left; return what was done.

    Args:
        event: The schedule's; nothing in it is looked at.
        context: Knows the time limit.

    Raises:
        FixSetup: A person must act.
        RetryLater: Kinesis does not answer; the next invocation may do better.
    """
    settings = load()
    logs.configure("producer.lambda", level=settings.log_level)
    return asyncio.run(produce(settings, context))


async def produce(settings: Settings, context: Context) -> dict[str, Any]:
    """Produce in one invocation; see ``handler``."""
    with tempfile.TemporaryDirectory(prefix="tickhouse-") as folder:
        # nothing on this disk outlives the invocation: the stream has the last word
        passing = settings.model_copy(update={"var": Path(folder)})
        return await _Invocation(passing, context).run()


class _Invocation:
    def __init__(self, settings: Settings, context: Context) -> None:
        check_plan(settings.alpaca)
        self._settings, self._context = settings, context
        self._leave_before_s = settings.aws_lambda.leave_before_s
        self._client = open_client(settings.kinesis)

    async def run(self) -> dict[str, Any]:
        reading_s = self._left_s() - self._leave_before_s
        if reading_s <= 0:
            raise FixSetup(
                "the function's timeout",
                f"leaves nothing beside the last {self._leave_before_s} s",
                "Raise it, or lower aws_lambda.leave_before_s",
            )
        await asyncio.to_thread(ensure_stream, self._client, self._settings.kinesis)
        producer = await self._producer()
        stop = asyncio.Event()
        running = asyncio.create_task(producer.run(stop))
        following = asyncio.create_task(self._follow(producer))
        try:
            reading_s = self._left_s() - self._leave_before_s
            await asyncio.wait({running}, timeout=max(0.0, reading_s))
            stop.set()
            unsent = await running
            return _told(producer.status(), unsent=unsent)
        finally:
            for task in (following, running):
                task.cancel()
            await asyncio.gather(running, following, return_exceptions=True)

    async def _producer(self) -> Producer:
        kinesis, alpaca = self._settings.kinesis, self._settings.alpaca
        live = True
        if is_loopback(alpaca.url):
            live = await asyncio.to_thread(fetch_live, alpaca)
        return Producer(
            self._settings,
            put_records(self._client, kinesis),
            live=live,
            successor=True,
            drain_s=max(1.0, self._leave_before_s - _RESERVE_S),
        )

    async def _follow(self, producer: Producer) -> None:
        """Go on where the one before ended; without a connection, say nothing.

        Time may be up before that: then the next one begins at the same last word, and
        gets again what this one has stored.
        """
        while not producer.has_connected:
            await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.sleep(LAST_WORD_S)
        producer.resume(await self._last_word(), "hand_over")

    async def _last_word(self) -> Mark | None:
        while True:
            try:
                return await asyncio.to_thread(
                    last_heartbeat, self._client, self._settings.kinesis
                )
            except RetryLater as error:
                _log.warning("last heartbeat not read yet", reason=str(error))
                await asyncio.sleep(_RETRY_S)

    def _left_s(self) -> float:
        return self._context.get_remaining_time_in_millis() / 1000


def _told(status: Status, *, unsent: int) -> dict[str, Any]:
    return {
        "epoch": status.epoch,
        "messages": status.messages_total,
        "records": status.records_total,
        "unsent": unsent,
        "connections": status.connections,
        "backfilled_rows": status.backfilled_rows,
        "gaps_unsettled": status.gaps_unsettled,
    }
