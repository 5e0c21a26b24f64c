"""A short life of simulator, emulator and producer, in which much goes wrong.

What is left is a Kinesis database and the truth, as the oracle reads them.
"""

import random
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from conf.settings import Settings
from infra.local import smoke, state
from infra.local.campaign.mutants import Mutant
from infra.local.campaign.scene import Scene
from infra.local.processes import Service
from infra.local.services import EMULATOR, PRODUCER, SIMULATOR, services
from infra.local.supervisor import Pipeline
from producer.status import Status

_RATE_PER_S = 250
_MARKET = {"malformed_share": 0.004, "out_of_order_share": 0.0, "history": False}
_SETTLED_WITHIN_S = 60.0
_CUT_S = 2.5
LOOKBACK_S = 1
"""Of the backfill: more would heal what the mutants of the retry have lost. What comes
out of order by more would then be missing, so nothing does."""


@dataclass(frozen=True)
class Stream:
    """What one such life left behind.

    Attributes:
        truth: Folder of what was sent and missed.
        kinesis: The emulator's database.
        deaths: How often the producer died; it is killed once.
    """

    truth: Path
    kinesis: Path
    deaths: int


def record(
    settings: Settings, folder: Path, seed: int, mutant: Mutant | None
) -> Stream:
    """Run a market for some seconds and return what is left of it.

    Args:
        settings: All but the places and the market is taken from here.
        folder: Gets a folder for this stream.
        seed: Of the market.
        mutant: Of the producer, if there is to be one.
    """
    name = mutant.name if mutant else "none"
    chosen = prepared(settings, folder / name, seed)
    with Pipeline(chosen, table(chosen, mutant)) as pipeline:
        pipeline.start()
        _live(Scene(pipeline, chosen, random.Random(seed)))
        processes = pipeline.status.processes
    deaths = sum(x.restarts for x in processes if x.name == PRODUCER)
    return Stream(chosen.simulator.truth_dir or folder, smoke.store(chosen), deaths)


def prepared(settings: Settings, var: Path, seed: int) -> Settings:
    """Return the settings of one such life: its own folder, ports and market."""
    with ExitStack() as probes:
        feed, kinesis = (_free_port(probes) for _ in range(2))
    market = {
        **_MARKET,
        "rate_per_s": _RATE_PER_S,
        "seed": seed,
        "port": feed,
        "truth_dir": var / "truth",
    }
    endpoint = f"http://127.0.0.1:{kinesis}"
    emulator = {"port": kinesis, "duplicate_rate": 0.0}
    return settings.model_copy(
        update={
            "var": var,
            "simulator": settings.simulator.model_copy(update=market),
            "alpaca": settings.alpaca.model_copy(
                update={"url": f"ws://127.0.0.1:{feed}"}
            ),
            "emulator": settings.emulator.model_copy(update=emulator),
            "kinesis": settings.kinesis.model_copy(update={"endpoint_url": endpoint}),
            "backfill": settings.backfill.model_copy(update={"lookback_s": LOOKBACK_S}),
        }
    )


def table(settings: Settings, mutant: Mutant | None = None) -> list[Service]:
    """Return emulator, simulator and producer, the last with the mutant in it."""
    recorders = [
        service
        for service in services(settings)
        if service.name in (EMULATOR, SIMULATOR, PRODUCER)
    ]
    if mutant is None:
        return recorders
    return [
        replace(service, command=_mutated(service.command, mutant))
        if service.name == PRODUCER
        else service
        for service in recorders
    ]


def _mutated(command: Sequence[str], mutant: Mutant) -> list[str]:
    """Return ``python -m <module> …`` with the mutant planted in it."""
    python, flag, *module = command
    return [python, flag, "infra.local.campaign.mutated", mutant.name, *module]


def _live(scene: Scene) -> None:
    time.sleep(1)
    with scene.kinesis_fault("emulator:put-records-entry-failure", percentage=20):
        time.sleep(2)
    time.sleep(2 * LOOKBACK_S)
    scene.on_feed("cut", for_s=_CUT_S)
    time.sleep(_CUT_S)
    scene.until(scene.is_connected, "the producer is connected again")
    time.sleep(2 * LOOKBACK_S)
    with scene.kinesis_fault(
        "aws:fis:inject-api-unavailable-error", operations="PutRecords"
    ):
        time.sleep(3 * LOOKBACK_S)
        scene.kill(PRODUCER)
    _await_settled_gaps(scene)


def _await_settled_gaps(scene: Scene) -> None:
    """Give the backfill its time; a mutant may never be done."""
    path = state.run_folder(scene.settings) / "producer.json"
    scene.until(lambda: not path.exists(), "the killed producer is started again")
    give_up = time.monotonic() + _SETTLED_WITHIN_S
    while time.monotonic() < give_up and not scene.pipeline.wait(0.3):
        status = state.read(path, Status)
        if status is not None and status.state == "live" and not status.gaps_unsettled:
            return


def _free_port(probes: ExitStack) -> int:
    probe = probes.enter_context(socket.socket())
    probe.bind(("127.0.0.1", 0))
    return int(probe.getsockname()[1])
