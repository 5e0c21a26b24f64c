"""``kill -9`` of the producer and of the emulator at random points, then a comparison.

``python -m infra.local.ingestion.kills --seed 1`` prints one JSON object as its last
line: 30 producers and 10 emulators die, in an order and at moments that the seed
chooses, most of them while the one before is still being mended. Once the spool is
wiped as by a new disk, once it is cut back to where it was certainly synced, as by a
lost power supply. What a spool held must be in the stream, byte for byte; everything
else that was sent must be backfilled.
"""

import hashlib
import os
import random
import shutil
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from conf import logs
from conf.settings import Settings, load
from infra.local.ingestion.judge import COUNTED, compare, read_stream
from infra.local.ingestion.stage import Stage, prepared, staged
from infra.local.kinesis.store import DATABASE_NAME
from infra.local.services import EMULATOR, PRODUCER, SIMULATOR
from infra.local.verdict import end_with
from producer.segments import MARK, RECORD, Segments, Stored

KILLS, EMULATOR_KILLS, SEED, RATE_PER_S = 30, 10, 1, 500
_LONGEST_S, _LONGEST_AWAY_S = 5.0, 3.0
_HEARTBEATS_S = 3.0
_log = logs.get_logger(__name__)

Victim = Literal["producer", "emulator"]
Disk = Literal["kept", "wiped", "cut back"]


class Kill(NamedTuple):
    """Who dies ``after_s``, stays away ``away_s``, and what becomes of the spool."""

    victim: Victim
    after_s: float
    away_s: float
    disk: Disk = "kept"


def script(seed: int, producers: int, emulators: int) -> list[Kill]:
    """Return kills in order; the same for the same arguments."""
    rng = random.Random(seed)
    victims: list[Victim] = ["producer" for _ in range(producers)]
    victims += ["emulator" for _ in range(emulators)]
    rng.shuffle(victims)
    kills = [_kill(rng, victim) for victim in victims]
    # not among the first: there must be something to lose
    at = [n for n, kill in enumerate(kills) if kill.victim == "producer"]
    wiped, cut_back = rng.sample(at[len(at) // 4 :], 2)
    kills[wiped] = kills[wiped]._replace(disk="wiped")
    kills[cut_back] = kills[cut_back]._replace(disk="cut back")
    return kills


def run(
    settings: Settings, kills: list[Kill], *, rate: int = RATE_PER_S, keep: bool = False
) -> dict[str, Any]:
    """Return the result of one run; ``broken`` names the bounds that did not hold.

    Args:
        settings: What to run; folder, ports and symbols are chosen here.
        kills: What happens.
        rate: Messages a second.
        keep: Leave the run's folder even if every bound held.
    """
    chosen = prepared(settings, "kills", rate=rate)
    began_s = time.monotonic()
    owed: set[str] = set()
    with staged(chosen) as stage:
        stage.live()
        for number, kill in enumerate(kills, start=1):
            _log.info("kill", number=number, **kill._asdict())
            owed |= strike(stage, kill, chosen.var / "spool")
        until_ns = stage.settle()
        stage.stop(SIMULATOR)
        stage.stop(EMULATOR)
    stored = read_stream(chosen.var / "kinesis" / DATABASE_NAME)
    verdict = compare(chosen.var / "truth", stored, until_ns)
    result = {
        "kills": len(kills),
        "seconds": round(time.monotonic() - began_s, 1),
        **msgspec.to_builtins(verdict),
        "spooled": len(owed),
        "spooled_lost": len(owed - stored.records),
        "causes": sorted({gap.cause for gap in stored.gaps}),
    }
    wanted = (*COUNTED, "spooled_lost")
    result["broken"] = [name for name in wanted if result[name]]
    if not keep and not result["broken"]:
        shutil.rmtree(chosen.var)
    return result


def strike(stage: Stage, kill: Kill, spool: Path) -> set[str]:
    """Let one die and come back; return the MD5 of each record that a spool owes."""
    if kill.disk == "wiped":
        # the stream itself must be able to tell where the last producer ended
        stage.live()
        time.sleep(_HEARTBEATS_S)
    time.sleep(kill.after_s)
    stage.kill(kill.victim)
    owed: set[str] = set()
    if kill.victim == PRODUCER:
        if kill.disk == "cut back":
            cut_back(spool)
        owed = {_digest(entry.body) for entry in unsent(spool)}
        if kill.disk == "wiped":
            shutil.rmtree(spool)
            owed = set()
    time.sleep(kill.away_s)
    stage.start(kill.victim)
    return owed


def unsent(spool: Path) -> list[Stored]:
    """Return the records that a dead producer's spool has and nobody acknowledged."""
    entries = _entries(spool)
    marks = [entry for entry in entries if entry.kind == MARK]
    if not marks:
        return [entry for entry in entries if entry.kind == RECORD]
    stored_until = msgspec.json.decode(marks[-1].body)["stored_until"]
    return [
        entry
        for entry in entries
        if entry.kind == RECORD and entry.number > stored_until
    ]


def cut_back(spool: Path) -> None:
    """Leave of a spool what was synced when the last write began.

    Each write ends with a mark and begins only after the one before was synced: what
    follows the last mark but one may never have reached the disk.
    """
    entries = _entries(spool)
    marks = [entry.place for entry in entries if entry.kind == MARK]
    if not marks:
        return
    is_torn = entries[-1].kind != MARK
    synced = marks[-1] if is_torn or len(marks) == 1 else marks[-2]
    for path in spool.glob("*.spool"):
        if int(path.stem) > synced.segment:
            path.unlink()
        elif int(path.stem) == synced.segment:
            os.truncate(path, synced.offset + synced.length)


def _entries(spool: Path) -> list[Stored]:
    segments = Segments(spool)
    try:
        return list(segments.read_all())
    finally:
        segments.close()


def _kill(rng: random.Random, victim: Victim) -> Kill:
    after_s = round(rng.uniform(0.1, _LONGEST_S), 3)
    away_s = round(rng.choice([0.0, rng.uniform(0, _LONGEST_AWAY_S)]), 3)
    return Kill(victim, after_s, away_s)


def _digest(payload: bytes) -> str:
    return hashlib.md5(payload, usedforsecurity=False).hexdigest()


def main() -> int:
    """Return the exit code: 0 if every bound held."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--producers", type=int, default=KILLS)
    parser.add_argument("--emulators", type=int, default=EMULATOR_KILLS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--rate", type=int, default=RATE_PER_S)
    parser.add_argument("--keep", action="store_true", help="leave the run's folder")
    given = parser.parse_args()
    settings = load()
    logs.configure("kills", level=settings.log_level)
    kills = script(given.seed, given.producers, given.emulators)
    result = run(settings, kills, rate=given.rate, keep=given.keep)
    return end_with(result)


if __name__ == "__main__":
    sys.exit(main())
