"""Simulator, emulator and producer as processes that may be broken at any time."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from conf.errors import FixSetup
from conf.settings import ROOT, Settings
from infra.local import leash, state
from infra.local.services import EMULATOR, PRODUCER, SIMULATOR, get, services
from producer.simulator import control
from producer.simulator.disturbances import Fault
from producer.simulator.missed import Interval

SYMBOLS = ["AAPL", "MSFT", "TSLA", "SPY", "KO", "BA"]
_CHANNELS = ("trades", "quotes", "bars", "updated_bars", "statuses", "lulds")
_PATIENCE_S = 600.0
_LOOK_EVERY_S = 0.05
_TRUTH_WITHIN_NS = 250_000_000
_LEASH = str(Path(leash.__file__))

Status = dict[str, Any]


def prepared(
    settings: Settings, name: str, *, rate: int, symbols: list[str] = SYMBOLS
) -> Settings:
    """Return the settings of one run: its own folder, ports, symbols and patience."""
    var = settings.var / name / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    simulator_port, emulator_port = _free_port(), _free_port()
    url = f"ws://127.0.0.1:{simulator_port}"
    endpoint = f"http://127.0.0.1:{emulator_port}"
    market = {
        "port": simulator_port, "rate_per_s": rate, "symbols": symbols,
        "truth_dir": var / "truth", "history": False, "out_of_order_share": 0.005,
        "calendar": "always",
    }  # fmt: skip
    feed = {
        "url": url, "reconnect_max_s": 2.0, **dict.fromkeys(_CHANNELS, symbols),
    }  # fmt: skip
    patience = {"late_after_s": 5, "give_up_after_s": 60}
    return settings.model_copy(
        update={
            "var": var,
            "simulator": settings.simulator.model_copy(update=market),
            "alpaca": settings.alpaca.model_copy(update=feed),
            "backfill": settings.backfill.model_copy(update=patience),
            "emulator": settings.emulator.model_copy(update={"port": emulator_port}),
            "kinesis": settings.kinesis.model_copy(update={"endpoint_url": endpoint}),
        }
    )


@contextmanager
def staged(settings: Settings) -> Iterator["Stage"]:
    """Run the three processes; none of them is left at the end."""
    stage = Stage(settings)
    try:
        for name in (EMULATOR, SIMULATOR, PRODUCER):
            stage.start(name)
        yield stage
    finally:
        stage.end()


class Stage:
    """The processes of one run.

    Args:
        settings: Made by ``prepared``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._services = {each.name: each for each in services(settings)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._state_file = state.run_folder(settings) / "producer.json"

    def start(self, name: str) -> None:
        """Start a process; wait until it answers, but for the producer.

        Raises:
            FixSetup: It does not come up.
        """
        service = self._services[name]
        if name == PRODUCER:
            self._state_file.unlink(missing_ok=True)
        log = state.log_file(self._settings, name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            self._running[name] = subprocess.Popen(  # noqa: S603 (our own commands)
                [sys.executable, "-IS", _LEASH, str(os.getpid()), *service.command],
                cwd=ROOT,
                env={**os.environ, **service.environment},
                stdout=file,
                stderr=file,
            )
        if name != PRODUCER:
            self.until(service.ready, f"{name} answers")

    def kill(self, name: str) -> None:
        """End a process at once, wherever it is.

        Raises:
            FixSetup: It had ended by itself.
        """
        if (code := self._running[name].poll()) is not None:
            raise FixSetup(name, f"ended by itself, exit code {code}", "See its log")
        self._running[name].kill()
        self._running[name].wait()

    def pid(self, name: str) -> int:
        """Return the id of a process."""
        return self._running[name].pid

    def stop(self, name: str) -> int:
        """Let a process drain; return its exit code."""
        self._running[name].send_signal(signal.SIGTERM)
        return self._running[name].wait(self._services[name].drain_within_s)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._running.values():
            process.kill()
            process.wait()

    def status(self) -> Status:
        """Return the producer's state of this second; empty before its first."""
        try:
            return dict(msgspec.json.decode(self._state_file.read_bytes()))
        except FileNotFoundError:
            return {}

    def order(self, fault: Fault) -> None:
        """Have the simulator do something.

        Raises:
            FixSetup: It refuses.
        """
        port = self._settings.simulator.port
        is_accepted, answer = control.ask(port, "POST", "/sim/faults", fault)
        if not is_accepted:
            raise FixSetup("simulator", answer, "Correct the fault")

    def missed(self) -> list[Interval]:
        """Return what the simulator knows that it did not send, and when.

        Raises:
            FixSetup: It does not answer.
        """
        answer = get(self._settings.simulator.port, "/sim/missed")
        if answer is None:
            raise FixSetup("simulator", "does not answer", "See its log")
        return msgspec.json.decode(answer, type=list[Interval])

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Wait.

        Raises:
            FixSetup: In vain.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        while not met():
            if time.monotonic() > deadline_s:
                logs = state.log_file(self._settings, PRODUCER).parent
                waited = f"waited {_PATIENCE_S:g} s until {what}"
                raise FixSetup("run", waited, f"See {logs}")
            time.sleep(_LOOK_EVERY_S)

    def live(self, connections: int = 1) -> None:
        """Wait until the producer has so many connections behind it and one open."""
        self.until(lambda: self._is_live(connections), "the producer is live")

    def settle(self) -> int:
        """Let every gap be judged, then drain; return until when all is owed, ns.

        Raises:
            FixSetup: The producer left something unsent.
        """
        self.until(
            lambda: self._is_live(1) and self.status()["gaps_unsettled"] == 0,
            "every gap is judged",
        )
        until_ns = time.time_ns() - _TRUTH_WITHIN_NS
        if (code := self.stop(PRODUCER)) != 0:
            raise FixSetup(PRODUCER, f"ended with exit code {code}", "See its log")
        return until_ns

    def _is_live(self, connections: int) -> bool:
        status = self.status()
        is_live = bool(status.get("state") == state.LIVE)
        return is_live and int(status["connections"]) >= connections


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
