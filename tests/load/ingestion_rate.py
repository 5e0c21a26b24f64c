"""What a message costs on its way into Kinesis, and whether memory stays where it is.

``python -m tests.load.ingestion_rate`` lets the simulator send ``--rate`` messages a
second (20,000) for ``--minutes`` (1) through producer and emulator, and prints one JSON
object: what was sent, read and stored, CPU seconds per million messages of each
process, and how its memory grew per ten minutes, after the first third. The simulator
runs beside them and has its share of the machine; it keeps up if ``max_behind_ms`` is
small. Exit code 1: a bound did not hold.

For the slope of the memory: ``--minutes 30 --rate 4096``.
"""

import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
import numpy as np

from conf import logs
from conf.settings import DEFAULT_SYMBOLS, Settings, load
from infra.local import machine, process_table, stream_contents
from infra.local.ingestion.stage import Stage, prepared, staged
from infra.local.kinesis.store import DATABASE_NAME
from infra.local.services import EMULATOR, PRODUCER, SIMULATOR, get

RATE_PER_S, MINUTES, SHARDS = 20_000, 1.0, 8
ENOUGH = 0.98
MOST_GROWTH_MB = 1.0
"""Per ten minutes; judged from a run of half an hour on."""
_JUDGED_MINUTES = 30.0
_EVERY_S, _WARM_UP_S = 1.0, 15


class Reading(NamedTuple):
    """One look at a process, and how many messages the producer had read."""

    at_s: float
    rss_mb: float
    cpu_s: float
    messages: int


Readings = dict[str, list[Reading]]


def measured(settings: Settings, minutes: float) -> dict[str, Any]:
    """Return the figures of one run; ``broken`` names the bounds that did not hold.

    Args:
        settings: Of ``prepared``; the market lasts longer than it is watched.
        minutes: How long it is watched.
    """
    load_average = machine.load_average()
    with staged(settings) as stage:
        stage.live()
        readings = _watch(stage, minutes * 60)
        stage.until(lambda: _is_all_read(settings, stage), "everything is read")
        market, status = _simulated(settings), stage.status()
        unsent = stage.stop(PRODUCER)
        stage.stop(SIMULATOR)
        stage.stop(EMULATOR)
    lost = int(market["emitted"]) - _stored(settings.var)
    result = {
        "rate_per_s": settings.simulator.rate_per_s,
        "minutes": minutes,
        "read_per_s": round(_slope(readings[PRODUCER], "messages")),
        "sent": market["emitted"],
        "lost": lost,
        "exit_code_of_producer": unsent,
        "max_behind_ms": round(market["max_behind_ms"], 1),
        "connections": status["connections"],
        "retried_entries": status["retried_entries"],
        "cpu_s_per_million": _cost(readings),
        "rss_mb": {name: round(each[-1].rss_mb, 1) for name, each in readings.items()},
        "rss_mb_per_10_min": _growth(readings),
        "load_average": load_average,
        **machine.versions(),
    }
    return result | {"broken": list(_broken(result))}


def _watch(stage: Stage, for_s: float) -> Readings:
    readings: Readings = {PRODUCER: [], EMULATOR: [], SIMULATOR: []}
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        table = process_table.read_table()
        messages = int(stage.status()["messages_total"])
        for name, each in readings.items():
            rss_mb, cpu_s = process_table.usage(stage.pid(name), table)
            each.append(Reading(time.monotonic(), rss_mb, cpu_s, messages))
        time.sleep(_EVERY_S)
    return readings


def _is_all_read(settings: Settings, stage: Stage) -> bool:
    market = _simulated(settings)
    is_read = stage.status()["messages_total"] >= market["emitted"]
    return bool(market["finished"]) and is_read


def _cost(readings: Readings) -> dict[str, float]:
    """Return CPU seconds per million messages."""
    cost = {
        name: _slope(each, "cpu_s") / _slope(each, "messages") * 1e6
        for name, each in readings.items()
    }
    cost["producer and emulator"] = cost[PRODUCER] + cost[EMULATOR]
    return {name: round(each, 2) for name, each in cost.items()}


def _growth(readings: Readings) -> dict[str, float]:
    """Return how much memory is added in ten minutes."""
    return {
        name: round(_slope(each[len(each) // 3 :], "rss_mb") * 600, 2)
        for name, each in readings.items()
    }


def _slope(readings: list[Reading], name: str) -> float:
    """Return what a straight line through a figure gains in a second."""
    values = [getattr(reading, name) for reading in readings]
    slope, _ = np.polyfit([reading.at_s for reading in readings], values, 1)
    return float(slope)


def _stored(var: Path) -> int:
    """Return how many messages the stream holds; copies count once."""
    with duckdb.connect(str(var / "stored.duckdb")) as db:
        stream_contents.load(db, var / "kinesis" / DATABASE_NAME)
        places = "SELECT DISTINCT epoch, frame, index FROM lines WHERE kind = 'data'"
        found = db.execute(f"SELECT count(*) FROM ({places})").fetchone()  # noqa: S608
    return int(found[0]) if found else 0


def _simulated(settings: Settings) -> dict[str, Any]:
    answer = get(settings.simulator.port, "/sim/status")
    return dict(msgspec.json.decode(answer or b"{}"))


def _broken(result: dict[str, Any]) -> list[str]:
    growth = [result["rss_mb_per_10_min"][name] for name in (PRODUCER, EMULATOR)]
    bounds = {
        "read_per_s": result["read_per_s"] >= ENOUGH * result["rate_per_s"],
        "lost": result["lost"] == 0 and result["exit_code_of_producer"] == 0,
        "connections": result["connections"] == 1,
        "rss_mb_per_10_min": result["minutes"] < _JUDGED_MINUTES
        or max(growth) <= MOST_GROWTH_MB,
    }
    return [name for name, holds in bounds.items() if not holds]


def main() -> int:
    """Return the exit code: 0 if every bound held."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=RATE_PER_S)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        settings = load()
        logs.configure("ingestion-rate", level=settings.log_level)
        chosen = prepared(
            settings.model_copy(update={"var": Path(scratch)}),
            "rate",
            rate=given.rate,
            symbols=list(DEFAULT_SYMBOLS),
        )
        lasts_s = int(given.minutes * 60) + _WARM_UP_S
        market = {"stop_after_s": lasts_s, "truth_dir": None}
        result = measured(_with(chosen, market), given.minutes)
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 1 if result["broken"] else 0


def _with(settings: Settings, market: dict[str, Any]) -> Settings:
    return settings.model_copy(
        update={
            "simulator": settings.simulator.model_copy(update=market),
            "kinesis": settings.kinesis.model_copy(update={"shards": SHARDS}),
        }
    )


if __name__ == "__main__":
    sys.exit(main())
