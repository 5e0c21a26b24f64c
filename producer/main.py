"""``python -m producer run``: the market-data feed into Kinesis, until told to stop."""

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from typing import TypeVar

from conf import logs
from conf.errors import FixSetup, RetryLater
from conf.kinesis import is_loopback, open_client
from conf.settings import Settings
from producer.backoff import Backoff
from producer.history import History, fetch_history, fetch_live
from producer.kinesis import ensure_stream, put_records
from producer.last_heartbeat import last_heartbeat
from producer.pipeline import Producer
from producer.subscription import check_plan

START_DEADLINE_S = 15.0
_log = logs.get_logger("producer.main")
_T = TypeVar("_T")


async def _once_up(call: Callable[[], _T], where: str) -> _T:
    """Return the call's answer once the other side is up.

    Raises:
        FixSetup: It did not answer in time.
    """
    backoff = Backoff(0.5, 2.0)
    deadline_s = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            return await asyncio.to_thread(call)
        except RetryLater as error:
            if time.monotonic() > deadline_s:
                raise FixSetup(
                    where, str(error), "Start what it names, or correct the address"
                ) from error
            _log.info("waiting", reason=str(error))
            await asyncio.sleep(backoff.next_s())


async def _start(settings: Settings) -> tuple[Producer, History | None]:
    """Wait for the stream and the simulator; return what is ready to run."""
    kinesis, alpaca = settings.kinesis, settings.alpaca
    check_plan(alpaca)
    client = open_client(kinesis)
    await _once_up(lambda: ensure_stream(client, kinesis), "kinesis.endpoint_url")
    live, history = True, None
    if is_loopback(alpaca.url):
        live = await _once_up(lambda: fetch_live(alpaca), "alpaca.url")
        if live and settings.simulator.history:
            history = await _once_up(lambda: fetch_history(alpaca), "alpaca.url")
    producer = Producer(settings, put_records(client, kinesis), live=live)
    last = None
    if producer.is_on_new_disk:
        last = await _once_up(
            lambda: last_heartbeat(client, kinesis), "kinesis.endpoint_url"
        )
    producer.resume(last)
    return producer, history


async def produce(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; return the exit code.

    0: everything was sent; 1: messages are unsent, the spool keeps them for the next
    start.

    Raises:
        FixSetup: A person must act.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    starting = asyncio.create_task(_start(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        return 0
    producer, history = starting.result()
    gc.freeze()  # what start-up made stays: no collection looks at it again
    unsent = await producer.run(stop, history)
    return 1 if unsent else 0
