"""Cuts, mutes and slow-client events, one after another, then everything compared.

``python -m infra.local.ingestion.cuts --events 50 --seed 1`` prints one JSON object as
its last line. The same seed orders the same events; each begins when the connection
has stood for a while. Now and then REST fails for a moment, or never learns of
something: only that may be lost, and the ledger must say so.
"""

import random
import shutil
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from conf import logs
from conf.settings import Settings, load
from infra.local.ingestion.intervals import SECOND_NS, agreement
from infra.local.ingestion.judge import (
    COUNTED,
    Withheld,
    compare,
    read_stream,
)
from infra.local.ingestion.stage import SYMBOLS, Stage, prepared, staged
from infra.local.kinesis.store import DATABASE_NAME
from infra.local.services import EMULATOR, SIMULATOR
from infra.local.verdict import end_with
from producer.simulator.disturbances import Fault

EVENTS, SEED, RATE_PER_S = 50, 1, 500
MOST_OFF_S = 1.0
_WITHHOLD_EVERY = 10
_WITHHELD_S, _CUT_WHILE_WITHHELD_S = 12.0, 4.0
_log = logs.get_logger(__name__)


class Event(NamedTuple):
    """What happens ``pause_s`` after the connection stands; the first fault ends it."""

    name: str
    pause_s: float
    faults: list[Fault]


def script(seed: int, events: int) -> Iterator[Event]:
    """Yield events; the same for the same seed."""
    rng = random.Random(seed)
    makers = [maker for maker, weight in _MAKERS for _ in range(weight)]
    for number in range(1, events + 1):
        pause_s = round(rng.uniform(0.5, 4.0), 3)
        if number % _WITHHOLD_EVERY == 0:
            yield Event("withhold", pause_s, _withhold(rng))
            continue
        faults = rng.choice(makers)(rng)
        if rng.random() < 0.15:
            code = rng.choice([429, 500])
            faults.append(Fault(kind="rest_error", code=code, count=rng.randint(1, 3)))
        yield Event(faults[0].kind, pause_s, faults)


def run(
    settings: Settings,
    *,
    events: int = EVENTS,
    seed: int = SEED,
    rate: int = RATE_PER_S,
    keep: bool = False,
) -> dict[str, Any]:
    """Return the result of one run; ``broken`` names the bounds that did not hold.

    Args:
        settings: What to run; folder, ports and symbols are chosen here.
        events: How many.
        seed: Chooses them.
        rate: Messages a second.
        keep: Leave the run's folder even if every bound held.
    """
    chosen = prepared(settings, "cuts", rate=rate)
    began_s = time.monotonic()
    withheld: list[Withheld] = []
    with staged(chosen) as stage:
        stage.live()
        for number, event in enumerate(script(seed, events), start=1):
            _log.info("event", number=number, name=event.name, pause_s=event.pause_s)
            time.sleep(event.pause_s)
            withheld += strike(stage, event)
        missed = stage.missed()
        until_ns = stage.settle()
        state = stage.status()
        stage.stop(SIMULATOR)
        stage.stop(EMULATOR)
    stored = read_stream(chosen.var / "kinesis" / DATABASE_NAME)
    verdict = compare(chosen.var / "truth", stored, until_ns, withheld)
    spans = agreement(stored.gaps, missed)
    result = {
        "events": events,
        "seed": seed,
        "seconds": round(time.monotonic() - began_s, 1),
        **msgspec.to_builtins(verdict),
        "intervals": spans.intervals,
        "intervals_worst_s": spans.worst_s,
        "intervals_unmatched": spans.unmatched,
        "connections": state["connections"],
        "backfilled_rows": state["backfilled_rows"],
    }
    wanted = (*COUNTED, "intervals_unmatched")
    result["broken"] = [name for name in wanted if result[name]]
    result["broken"] += ["intervals_worst_s"] if spans.worst_s > MOST_OFF_S else []
    if not keep and not result["broken"]:
        shutil.rmtree(chosen.var)
    return result


def strike(stage: Stage, event: Event) -> list[Withheld]:
    """Let one event happen; return when the producer is back, with what is withheld."""
    before = int(stage.status()["connections"])
    withheld = []
    for fault in reversed(event.faults):
        stage.order(fault)
        if fault.kind == "withhold":
            now_ns = time.time_ns()
            # the order took a moment: what is at its edges may be hidden or not
            span = now_ns - SECOND_NS, now_ns + int((fault.for_s + 1) * SECOND_NS)
            withheld.append(Withheld(fault, span))
    stage.live(before + 1)
    # the next gap must not be withheld in part: nobody could tell
    over_ns = max((each.span[1] for each in withheld), default=0)
    time.sleep(max(0.0, (over_ns - time.time_ns()) / SECOND_NS))
    return withheld


def _cut(rng: random.Random) -> list[Fault]:
    code = rng.choice([None, None, 1001, 1011])
    for_s = rng.choice([0.0, round(rng.uniform(0.2, 5.0), 3)])
    return [Fault(kind="cut", for_s=for_s, code=code)]


def _mute(rng: random.Random) -> list[Fault]:
    # longer than the producer's patience: it must find out by itself
    return [Fault(kind="mute", for_s=round(rng.uniform(20, 30), 3))]


def _half_open(rng: random.Random) -> list[Fault]:
    return [Fault(kind="half_open", for_s=round(rng.uniform(20, 30), 3))]


def _torn(rng: random.Random) -> list[Fault]:
    return [Fault(kind="torn_frame")]


def _slow_client(rng: random.Random) -> list[Fault]:
    return [Fault(kind="error", code=407)]


def _refused(rng: random.Random) -> list[Fault]:
    refusal = rng.choice([401, 404, 406, 500])
    at_login = Fault(kind="error", code=406, for_s=round(rng.uniform(1, 4), 3))
    again = Fault(kind="error", code=refusal, count=1)
    return [Fault(kind="cut"), rng.choice([at_login, again])]


def _withhold(rng: random.Random) -> list[Fault]:
    symbol, channel = rng.choice(SYMBOLS), rng.choice(["trades", "quotes"])
    return [
        Fault(kind="cut", for_s=_CUT_WHILE_WITHHELD_S),
        Fault(kind="withhold", for_s=_WITHHELD_S, symbols=[symbol], channels=[channel]),
    ]


_MAKERS = [
    (_cut, 6), (_mute, 3), (_half_open, 2), (_torn, 3), (_slow_client, 4), (_refused, 2)
]  # fmt: skip
"""Kinds of events, and how often each among twenty."""


def main() -> int:
    """Return the exit code: 0 if every bound held."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--rate", type=int, default=RATE_PER_S)
    parser.add_argument("--keep", action="store_true", help="leave the run's folder")
    given = parser.parse_args()
    settings = load()
    logs.configure("cuts", level=settings.log_level)
    result = run(
        settings,
        events=given.events,
        seed=given.seed,
        rate=given.rate,
        keep=given.keep,
    )
    return end_with(result)


if __name__ == "__main__":
    sys.exit(main())
