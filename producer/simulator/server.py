"""The server: Alpaca's WebSocket and two HTTP answers beside it, on one port.

| path | what |
| --- | --- |
| ``/v2/iex``, ``/v2/sip`` | WebSocket: the market of ``simulator.symbols``, a replay |
| ``/v2/test`` | WebSocket: a market of FAKEPACA alone |
| ``/v2/stocks/bars`` | GET: the session before the start, as Alpaca's REST |
| ``/sim/status`` | GET: market clock, counts, state; not Alpaca's |

Any key and secret are accepted but empty ones and the key ``wrong``; the key ``free``
has no subscription to ``/v2/sip``. One connection per key and feed.
"""

import asyncio
import errno
import functools
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.http11 import Request, Response

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import SimulatorSettings
from producer.simulator import faults, http_answers
from producer.simulator.accounts import Accounts
from producer.simulator.batch import Source
from producer.simulator.client import Client
from producer.simulator.conversation import Conversation
from producer.simulator.feed import Feed
from producer.simulator.history import History
from producer.simulator.listing import TEST_SYMBOL
from producer.simulator.market import Market
from producer.simulator.record import Record
from producer.simulator.replay import Replay
from producer.simulator.sessions import previous_session

HOST = "127.0.0.1"
FREE_SYMBOLS = 30
"""Most symbols over trades and quotes on the free plan's feed."""
FLUSH_S = 1.0

_log = get_logger("simulator.server")


class Simulator:
    """The markets behind the server, and what it answers about them.

    Args:
        settings: What to simulate.
        clock: The wall clock, epoch ns.

    Raises:
        FixSetup: No recording in the folder, or too large shares of faults.
    """

    def __init__(self, settings: SimulatorSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        self._accounts = Accounts()
        self._record = Record(settings.truth_dir)
        self._stocks = self._feed(_stocks(settings))
        self._test = self._feed(_test_market(settings))
        self._feeds = {
            "/v2/iex": self._stocks,
            "/v2/sip": self._stocks,
            "/v2/test": self._test,
        }

    async def pace(self) -> None:
        """Run the markets and keep their record; never returns.

        Raises:
            FixSetup: A line of the replay is no message.
        """
        try:
            await asyncio.gather(self._stocks.run(), self._test.run(), self._flush())
        finally:
            self._record.close()

    async def talk(self, connection: ServerConnection) -> None:
        """Serve one WebSocket connection."""
        path = _path(connection.request)
        feed = self._feeds[path]
        limit = max(FREE_SYMBOLS, len(self._settings.symbols))
        client = Client(
            connection,
            symbol_limit=limit if path == "/v2/iex" else None,
            buffer_bytes=self._settings.client_buffer_bytes,
        )
        await Conversation(connection, client, feed).hold(path, self._accounts)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain HTTP request; None lets a WebSocket handshake go on."""
        match _path(request):
            case path if path in self._feeds:
                return None
            case "/sim/status":
                return http_answers.json_response(self.status())
            case "/v2/stocks/bars":
                return http_answers.bars(request, self._history)
        return connection.respond(HTTPStatus.NOT_FOUND, "404 page not found\n")

    def status(self) -> dict[str, Any]:
        """Return the market clock and the counts.

        ``clock`` gives market time as ``market_ns + speed * (now - wall_ns)``; it is
        null before the start, and in a replay paced by rate: there the market is at
        the due time of its newest message.
        """
        feed = self._test if self._test.started_ns else self._stocks
        clock = feed.market_clock()
        return {
            "market_time_ns": feed.market_time_ns(),
            "clock": None if clock is None else clock._asdict(),
            "live": feed.is_live,
            "emitted": self._record.emitted,
            "injected": self._record.injected,
            "clients": len(self._stocks.clients) + len(self._test.clients),
            "finished": feed.finished,
            "rate_nominal": _nominal_rate(self._settings),
            "started_wall_ns": feed.started_ns,
            "first_due_ns": self._record.first_due_ns,
            "max_behind_ms": self._record.summary()["max_behind_ms"],
        }

    @functools.cached_property
    def _history(self) -> History | None:
        if not self._settings.history or self._settings.replay is not None:
            return None
        opened_ns = self._stocks.started_ns or self._clock()
        session = previous_session(self._settings.calendar, opened_ns)
        return History(self._settings.seed, session)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._record.flush()

    def _feed(self, source: Source) -> Feed:
        return Feed(
            source,
            self._record,
            clock=self._clock,
            stop_after_s=self._settings.stop_after_s,
        )


@asynccontextmanager
async def running(
    settings: SimulatorSettings, *, clock: Callable[[], int] = time.time_ns
) -> AsyncIterator[asyncio.Task[None]]:
    """Listen on ``settings.port`` and yield the task that paces the market.

    The task only ends by an error. On exit the connections are closed and the truth
    is complete.

    Raises:
        FixSetup: The port is taken, or the settings cannot work.
    """
    simulator = Simulator(settings, clock)
    async with await _listen(simulator, settings.port):
        _log.info("listening", url=f"ws://{HOST}:{settings.port}")
        pacing = asyncio.create_task(simulator.pace())
        try:
            yield pacing
        finally:
            pacing.cancel()
            with suppress(asyncio.CancelledError):
                await pacing


async def serve(settings: SimulatorSettings) -> None:
    """Run the simulator until SIGTERM or SIGINT.

    Raises:
        FixSetup: The port is taken, or the settings or the recording cannot work.
    """
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    async with running(settings) as pacing:
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, pacing}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()


async def _listen(simulator: Simulator, port: int) -> Server:
    try:
        return await serve_websocket(
            simulator.talk,
            HOST,
            port,
            process_request=simulator.answer,
            compression=None,  # one machine: it would only cost CPU
        )
    except OSError as taken:
        if taken.errno != errno.EADDRINUSE:
            raise
        raise FixSetup(
            "simulator.port",
            f"port {port} is already in use",
            "Stop what listens there, or set TICKHOUSE_SIMULATOR__PORT",
        ) from taken


def _stocks(settings: SimulatorSettings) -> Source:
    if settings.replay is None:
        return Market(settings, settings.symbols)
    if any(faults.shares(settings)):
        raise FixSetup(
            "simulator.*_share",
            "a replay sends what was recorded and nothing else",
            "Leave all shares of faults at 0, or simulator.replay empty",
        )
    return Replay(settings.replay, speed=settings.speed, rate_per_s=settings.rate_per_s)


def _test_market(settings: SimulatorSettings) -> Market:
    """Return Alpaca's test stream: one symbol, around the clock."""
    changes = {"hot_symbol": None, "calendar": "always"}
    return Market(settings.model_copy(update=changes), [TEST_SYMBOL])


def _nominal_rate(settings: SimulatorSettings) -> int | None:
    if settings.replay is not None:
        return None if settings.speed else settings.rate_per_s
    return settings.rate_per_s + (settings.hot_rate_per_s if settings.hot_symbol else 0)


def _path(request: Request | None) -> str:
    return "" if request is None else request.path.partition("?")[0]
