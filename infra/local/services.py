"""The table of processes of a local run, in the order of their start.

Each starts when the one before is ready, so nothing waits in front of a cold Spark; the
market begins when the producer subscribes. Nothing waits for the API, which shows what
there is, or for validation, without which everything goes on.
"""

import http.client
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from conf.errors import FixSetup
from conf.java import require_java
from conf.kinesis import is_loopback
from conf.settings import Settings, environment, variable
from infra.local import process_table
from infra.local.processes import Service
from infra.local.state import (
    LIVE,
    ApiStatus,
    LakeStatus,
    ProducerStatus,
    QualityStatus,
    read,
    run_folder,
)
from producer.endpoints import paper_url

SIMULATOR, PRODUCER, LAKE, EMULATOR = "simulator", "producer", "lake", "emulator"
API, MINUTES, QUALITY = "api", "minutes", "quality"
ORDERS = "paper_orders"
DRAIN_ORDER = (ORDERS, SIMULATOR, PRODUCER, LAKE, MINUTES, QUALITY, API, EMULATOR)
"""The order of the flow: what comes first has nothing more to say to the next.

But orders end at once: nothing is traded that nobody watches.
"""

_HOST = "127.0.0.1"


def services(settings: Settings) -> list[Service]:
    """Return the processes that these settings ask for.

    There is no simulator beside Alpaca itself and no emulator beside AWS.
    """
    found = []
    if has_emulator(settings):
        found.append(_emulator(settings))
    if has_simulator(settings):
        found.append(_simulator(settings))
    found += [_api(settings), _lake(settings), _producer(settings)]
    if settings.lake.engine == "embedded":
        found.append(_minutes(settings))
    if settings.orders.enabled:
        found.append(_orders(settings))
    return [*found, _quality(settings)] if settings.quality.enabled else found


def has_emulator(settings: Settings) -> bool:
    """Return whether Kinesis is the emulator of this machine."""
    return is_loopback(settings.kinesis.endpoint_url or "")


def has_simulator(settings: Settings) -> bool:
    """Return whether the feed is the simulator of this machine."""
    return is_loopback(settings.alpaca.url)


def require_setup(settings: Settings) -> None:
    """Go on only if every process will find what it needs.

    Raises:
        FixSetup: A port is taken or belongs to no process, orders would go to an
            account with money, or there is no Java.
    """
    if settings.orders.enabled:
        paper_url(settings.alpaca)
    for key, port, address_key, address in _ports(settings):
        if urlsplit(address).port != port:
            raise FixSetup(
                variable(address_key),
                f"{address} is not where the local process listens, port {port}",
                f"Set it and {variable(key)} to one port",
            )
        require_free(port, key, address_key)
    require_java()


def require_free(port: int, *keys: str) -> None:
    """Go on only if a process can listen on a local port.

    Args:
        port: The port.
        *keys: Dotted settings that choose it.

    Raises:
        FixSetup: It is taken.
    """
    with socket.socket() as probe:
        # A server would set it too: connections that are closing do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            owner = process_table.port_owner(port)
            raise FixSetup(
                f"port {port}",
                f"taken by {owner}" if owner else "taken",
                "`make stop` if it is Tickhouse's, or choose another with "
                + " and ".join(map(variable, keys)),
            ) from error


def get(port: int, path: str) -> bytes | None:
    """Return what a local process answers to GET; None if it does not answer 200."""
    connection = http.client.HTTPConnection(_HOST, port, timeout=1.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None  # not up yet, or just ended
    finally:
        connection.close()


def _ports(settings: Settings) -> Iterator[tuple[str, int, str, str]]:
    """Yield (key, port, key of the address, address) of each local server."""
    if has_emulator(settings):
        address = settings.kinesis.endpoint_url or ""
        yield "emulator.port", settings.emulator.port, "kinesis.endpoint_url", address
    if has_simulator(settings):
        address = settings.alpaca.url
        yield "simulator.port", settings.simulator.port, "alpaca.url", address


def _emulator(settings: Settings) -> Service:
    port, chosen = settings.emulator.port, settings.emulator
    arguments = {
        "--host": _HOST,
        "--port": port,
        "--data": settings.var / "kinesis",
        "--duplicate-rate": chosen.duplicate_rate,
        "--seed": settings.simulator.seed,
    }
    return Service(
        name=EMULATOR,
        command=_module("infra.local.kinesis", arguments),
        environment=environment(settings),
        ready=lambda: get(port, "/health") is not None,
        ready_within_s=30,
        drain_within_s=10,
        drain_rank=DRAIN_ORDER.index(EMULATOR),
    )


def _simulator(settings: Settings) -> Service:
    port = settings.simulator.port
    return Service(
        name=SIMULATOR,
        command=_module("producer.simulator"),
        environment=environment(settings),
        ready=lambda: get(port, "/sim/status") is not None,
        ready_within_s=60,
        drain_within_s=10,
        drain_rank=DRAIN_ORDER.index(SIMULATOR),
    )


def _api(settings: Settings) -> Service:
    state_file = run_folder(settings) / "api.json"
    return Service(
        name=API,
        command=_module("api"),
        environment=environment(settings),
        ready=lambda: _is_live(state_file, ApiStatus),
        ready_within_s=60,
        drain_within_s=5,
        drain_rank=DRAIN_ORDER.index(API),
        state_file=state_file,
        awaited=False,
    )


def _lake(settings: Settings) -> Service:
    state_file = run_folder(settings) / "lake.json"
    return Service(
        name=LAKE,
        command=_module("infra.pipeline"),
        environment=environment(settings),
        ready=lambda: _is_live(state_file, LakeStatus),
        # The first start of all fetches the jars.
        ready_within_s=300,
        # What it does not land then stays in Kinesis, for the next start.
        drain_within_s=180,
        drain_rank=DRAIN_ORDER.index(LAKE),
        state_file=state_file,
    )


def _producer(settings: Settings) -> Service:
    state_file = run_folder(settings) / "producer.json"
    return Service(
        name=PRODUCER,
        command=[*_module("producer"), "run"],
        environment=environment(settings),
        ready=lambda: _is_live(state_file, ProducerStatus),
        ready_within_s=60,
        # It gives itself 20 s, then says what it could not send.
        drain_within_s=25,
        drain_rank=DRAIN_ORDER.index(PRODUCER),
        state_file=state_file,
    )


def _minutes(settings: Settings) -> Service:
    state_file = run_folder(settings) / "minutes.json"
    return Service(
        name=MINUTES,
        command=_module("infra.minutes"),
        environment=environment(settings),
        ready=lambda: _is_live(state_file, LakeStatus),
        ready_within_s=120,
        # What it does not derive then, the next start does.
        drain_within_s=60,
        drain_rank=DRAIN_ORDER.index(MINUTES),
        state_file=state_file,
        awaited=False,
    )


def _orders(settings: Settings) -> Service:
    state_file = run_folder(settings) / f"{ORDERS}.json"
    return Service(
        name=ORDERS,
        command=_module("infra.paper_orders"),
        environment=environment(settings),
        ready=lambda: _is_live(state_file, LakeStatus),
        ready_within_s=60,
        # A request to the account may still be on its way.
        drain_within_s=15,
        drain_rank=DRAIN_ORDER.index(ORDERS),
        state_file=state_file,
        awaited=False,
        vital=False,
    )


def _quality(settings: Settings) -> Service:
    state_file = run_folder(settings) / "quality.json"
    return Service(
        name=QUALITY,
        command=_module("infra.quality.service"),
        environment=environment(settings),
        ready=lambda: _is_live(state_file, QualityStatus),
        ready_within_s=120,
        # It checks what the lake wrote last; what it does not is checked next time.
        drain_within_s=60,
        drain_rank=DRAIN_ORDER.index(QUALITY),
        state_file=state_file,
        awaited=False,
        vital=False,
    )


def _module(name: str, arguments: dict[str, object] | None = None) -> list[str]:
    words = (str(word) for pair in (arguments or {}).items() for word in pair)
    return [sys.executable, "-m", name, *words]


def _is_live(
    state_file: Path,
    kind: type[ApiStatus | LakeStatus | ProducerStatus | QualityStatus],
) -> bool:
    status = read(state_file, kind)
    return status is not None and status.state == LIVE
