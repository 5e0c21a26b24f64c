"""``python -m api``: the HTTP API and the dashboard, until told to stop.

Writes ``<var>/run/api.json`` each second: state, the address, and why it failed.

Exit codes: 0 stopped as told, 1 it failed, 3 something a person must change.
"""

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import uvicorn

from api.app import create_app
from api.connection import Connection
from conf import logs
from conf.errors import FixSetup
from conf.settings import ROOT, Settings, load, variable

_PORTS = 20
"""How many ports are tried, from the one in the settings."""
_STATUS_EVERY_S = 1.0
_CLOSE_WITHIN_S = 2
_log = logs.get_logger("api.main")


class Status(msgspec.Struct):
    """What ``api.json`` says; times are Unix seconds."""

    state: Literal["starting", "live", "stopped", "failed"]
    pid: int
    updated: float = 0.0
    url: str | None = None
    error: str | None = None

    def write(self, path: Path) -> None:
        """Replace the file at once: a reader sees the old state or the new one."""
        self.updated = time.time()
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".new")
        half.write_bytes(msgspec.json.encode(self))
        half.replace(path)


class _Server(uvicorn.Server):
    """Uvicorn, whose signals are ours: it would raise them again after its end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the handlers of ``serve`` in place."""
        yield


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on ``api.port`` or the next free one.

    Raises:
        FixSetup: None of the next ports is free, or there is no such address.
    """
    host, first = settings.api.host, settings.api.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(first, min(first + _PORTS, 65_536)):
        server = socket.socket(family)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
            server.listen()
        except OSError as error:
            server.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise FixSetup(
                variable("api.host"), f"{host}: {error.strerror}", "Use 127.0.0.1"
            ) from error
        return server
    raise FixSetup(
        variable("api.port"),
        f"{first} and the next {_PORTS - 1} ports are taken",
        "Set it to a free one",
    )


async def serve(settings: Settings, listening: socket.socket, status: Status) -> None:
    """Answer until SIGTERM or SIGINT.

    Args:
        settings: What to serve.
        listening: Where.
        status: Told each second, in the folder of the run.
    """
    server = _Server(
        uvicorn.Config(
            create_app(settings),
            http=Connection,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_WITHIN_S,
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(
            number, setattr, server, "should_exit", True
        )
    reporting = asyncio.create_task(_report(server, settings, status))
    try:
        await server.serve([listening])
    finally:
        reporting.cancel()
    if not server.started:
        raise RuntimeError("the application did not start; its log says why")


async def _report(server: uvicorn.Server, settings: Settings, status: Status) -> None:
    while True:
        if server.started and status.state == "starting":
            status.state = "live"
            _log.info("live", url=status.url)
        status.write(_status_file(settings))
        await asyncio.sleep(_STATUS_EVERY_S if server.started else 0.05)


def _status_file(settings: Settings) -> Path:
    return ROOT / settings.var / "run" / "api.json"


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _run(settings: Settings) -> int:
    status, file = Status("starting", os.getpid()), _status_file(settings)
    try:
        with listen(settings) as listening:
            status.url = _url(listening)
            asyncio.run(serve(settings, listening, status))
    except Exception as error:
        status.state, status.error = "failed", str(error)[:2000]
        status.write(file)
        raise
    status.state = "stopped"
    status.write(file)
    return 0


def main() -> int:
    """Run the API; return its exit code."""
    try:
        settings = load()
        logs.configure("api", level=settings.log_level)
        return _run(settings)
    except FixSetup as error:
        sys.stderr.write(f"api: {error}\n")
        return 3


if __name__ == "__main__":
    sys.exit(main())
