"""The life of the process: open the store, serve, and leave nothing half done."""

import asyncio
import errno
import fcntl
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conf import logs
from conf.errors import FixSetup
from infra.local.kinesis.api import Api
from infra.local.kinesis.emulator import Emulator
from infra.local.kinesis.faults import FaultRequest, Parameters
from infra.local.kinesis.http_protocol import HttpProtocol
from infra.local.kinesis.limits import Limits
from infra.local.kinesis.retention import trim_forever
from infra.local.kinesis.store import Store

_DRAIN_S = 5

_log = logs.get_logger("infra.local.kinesis.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one emulator is started; port 0 takes any free one."""

    host: str
    port: int
    folder: Path
    limits: Limits
    duplicate_rate: float
    seed: int


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        FixSetup: The port is taken, or the folder is in use or cannot be written.
    """
    with _owned(options.folder), closing(_open(options.folder)) as store:
        emulator = Emulator(store, limits=options.limits, seed=options.seed)
        if options.duplicate_rate:
            emulator.faults.start(_duplicates(options.duplicate_rate))
        asyncio.run(_serve(emulator, options.host, options.port))


def _duplicates(rate: float) -> FaultRequest:
    return FaultRequest(
        action_id="emulator:put-records-entry-stored",
        parameters=Parameters(percentage=rate * 100),
    )


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Hold the folder: a second emulator on it would give out the same positions."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "emulator.lock").open("w")
    except OSError as error:
        raise FixSetup(
            str(folder),
            f"cannot be written ({error.strerror})",
            "Choose another --data.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FixSetup(
                str(folder),
                "another Kinesis emulator uses this folder",
                "Stop it, or choose another --data.",
            ) from error
        yield


def _open(folder: Path) -> Store:
    try:
        return Store(folder)
    except sqlite3.Error as error:
        raise FixSetup(
            str(folder), f"cannot be opened ({error})", "Delete it, or choose another."
        ) from error


async def _serve(emulator: Emulator, host: str, port: int) -> None:
    connections: set[HttpProtocol] = set()
    server = await _listen(Api(emulator), connections, host, port)
    stopping = _stop_signal()
    # a background task ends only by a defect: the group then ends the process with it
    async with asyncio.TaskGroup() as background:
        commits = background.create_task(emulator.commits.run())
        trimming = background.create_task(trim_forever(emulator))
        bound_host, bound_port = server.sockets[0].getsockname()[:2]
        _log.info("listening", host=bound_host, port=bound_port)
        await stopping.wait()
        server.close()
        await _drain(connections)
        trimming.cancel()
        commits.cancel()
    _log.info("stopped")


async def _listen(
    api: Api, connections: set[HttpProtocol], host: str, port: int
) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(api.answer, connections), host, port
        )
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise FixSetup(
            f"{host}:{port}",
            "the port is taken" if taken else f"cannot listen ({error.strerror})",
            "Stop what listens there, or choose another --port.",
        ) from error


def _stop_signal() -> asyncio.Event:
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    return stopping


async def _drain(connections: set[HttpProtocol]) -> None:
    """Answer what has been asked; a client that does not read is cut off."""
    closed = [asyncio.ensure_future(each.closed.wait()) for each in connections]
    for each in list(connections):
        each.stop()
    if closed:
        await asyncio.wait(closed, timeout=_DRAIN_S)
