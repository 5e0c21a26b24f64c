"""The server: Alpaca's two WebSockets and its REST, on one port.

| path | what |
| --- | --- |
| ``/v2/iex``, ``/v2/sip`` | WebSocket: the market of ``simulator.symbols``, a replay |
| ``/v2/test`` | WebSocket: a market of FAKEPACA alone |
| ``/stream`` | WebSocket: the paper account's ``trade_updates`` |
| ``/v2/stocks/...`` | REST: what was sent, and the sessions before it |
| ``/v2/account``, ``orders``, ``positions``, ``assets`` | REST: the paper account |
| ``/sim/status`` | GET: market clock, counts, state; not Alpaca's |
| ``/sim/faults`` | GET, POST, DELETE: faults by command |
| ``/sim/missed`` | GET: what subscribers did not get |

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
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.http11 import Request, Response

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import SimulatorSettings
from producer.simulator.accounts import Accounts
from producer.simulator.batch import Source
from producer.simulator.client import Client
from producer.simulator.connection import Connection
from producer.simulator.conversation import Conversation
from producer.simulator.disturbances import Disturbances
from producer.simulator.feed import Feed
from producer.simulator.history import History
from producer.simulator.http_answers import Answers, json_response
from producer.simulator.latest import Latest
from producer.simulator.listing import TEST_SYMBOL, with_symbol
from producer.simulator.missed import Interval
from producer.simulator.paper import stream as account_stream
from producer.simulator.paper.broker import Broker
from producer.simulator.paper.stream import AccountStream
from producer.simulator.record import Record
from producer.simulator.rest.archive import Archive
from producer.simulator.rest.market_data import MarketData
from producer.simulator.rest.pages import Pages
from producer.simulator.rest.rate_limit import RateLimit
from producer.simulator.sessions import previous_sessions
from producer.simulator.sources import nominal_rate, stocks, test_market

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
        self._disturbances = Disturbances(clock)
        self._record = Record(settings.truth_dir)
        self._archive = Archive(settings.rest_minutes)
        self._latest = Latest()
        symbols = with_symbol(settings.symbols, settings.hot_symbol)
        self._stocks = self._feed(stocks(settings), symbols)
        self._test = self._feed(test_market(settings), [TEST_SYMBOL])
        self._broker = self._paper_broker(symbols)
        self._answers = self._http_answers()
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
            self._disturbances.remove()
            self._record.close()
            self._archive.close()

    async def talk(self, server_connection: ServerConnection) -> None:
        """Serve one WebSocket connection."""
        connection = cast("Connection", server_connection)
        path = _path(connection.request)
        if path == account_stream.PATH:
            stream = AccountStream(connection, self._broker, self._disturbances)
            await stream.hold()
            return
        limit = max(FREE_SYMBOLS, len(self._settings.symbols))
        client = Client(
            connection,
            symbol_limit=limit if path == "/v2/iex" else None,
            buffer_bytes=self._settings.client_buffer_bytes,
        )
        conversation = Conversation(client, path, self._feeds[path], self._disturbances)
        await conversation.hold(self._accounts)

    async def answer(
        self, server_connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer a plain HTTP request; None lets a WebSocket handshake go on."""
        connection = cast("Connection", server_connection)
        path = _path(request)
        if path in self._feeds or path == account_stream.PATH:
            if self._disturbances.is_away(path):
                return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "away\n")
            return None
        if path.startswith("/v2/"):
            return await self._answers.rest(connection, request)
        return self._about_itself(connection, path)

    def _about_itself(self, connection: Connection, path: str) -> Response:
        match path.strip("/").split("/"):
            case ["sim", "status"]:
                return json_response(self.status())
            case ["sim", "missed"]:
                return json_response(self._missed())
            case ["sim", "faults", *rest]:
                return self._answers.faults(connection, rest)
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
            "missed": self._record.missed,
            "clients": len(self._stocks.clients) + len(self._test.clients),
            "finished": feed.finished,
            "rate_nominal": nominal_rate(self._settings),
            "started_wall_ns": feed.started_ns,
            "first_due_ns": self._record.first_due_ns,
            "max_behind_ms": self._record.summary()["max_behind_ms"],
        }

    @functools.cached_property
    def _history(self) -> History | None:
        if not self._settings.history or self._settings.replay is not None:
            return None
        opened_ns = self._stocks.started_ns or self._clock()
        sessions = previous_sessions(
            self._settings.calendar, opened_ns, self._settings.history_sessions
        )
        return History(self._settings.seed, sessions)

    def _missed(self) -> list[Interval]:
        return self._stocks.missed.intervals + self._test.missed.intervals

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self._record.flush()
            await self._archive.flush()

    def _feed(self, source: Source, symbols: list[str]) -> Feed:
        feed = Feed(
            source,
            self._record,
            symbols=symbols,
            clock=self._clock,
            stop_after_s=self._settings.stop_after_s,
        )
        feed.watchers = [self._archive.add, self._latest.keep]
        return feed

    def _paper_broker(self, symbols: list[str]) -> Broker:
        broker = Broker(
            symbols,
            self._latest.texts,
            self._market_ns,
            self._record,
            self._disturbances,
            self._stocks.start,
        )
        self._stocks.watchers.append(broker.match)
        return broker

    def _http_answers(self) -> Answers:
        data = MarketData(
            self._archive,
            lambda: Pages(self._archive, self._history, self._disturbances.is_withheld),
            self._latest.texts,
            self._market_ns,
        )
        limit = RateLimit(self._settings.rest_calls_per_min)
        return Answers(data, self._broker, self._disturbances, limit)

    def _market_ns(self) -> int:
        return self._stocks.market_time_ns() or self._clock()


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
            create_connection=Connection,
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


def _path(request: Request | None) -> str:
    return "" if request is None else request.path.partition("?")[0]
