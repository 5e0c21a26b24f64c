"""Do closed minutes survive that their processes are killed, to the last bit?

``python -m infra.local.restarts`` records a market of an hour with halts, corrections
and cancels for each seed, replays it at 60 times its pace, and ends at once, in its
middle, the driver and the process that closes minutes. When all is drained every row is
judged as by ``make smoke``: our bars by SQL, and the features' bytes by one computation
over all bars. The last line is one JSON object.
"""

import random
import sys
import tempfile
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from conf import logs
from conf.market.bars import MINUTE_S
from conf.settings import Settings, load
from infra.local.services import LAKE, MINUTES
from infra.local.signals import RATE_PER_S, SPEED, record
from infra.local.smoke import Fault, smoke
from infra.local.supervisor import Pipeline
from infra.local.verdict import end_with

SEEDS, MARKET_MINUTES = 5, 60
_APART_S = 3.0
_SUMS = ("silver_rows", "features", "lost", "duplicated", "altered")
_log = logs.get_logger(__name__)


def kill_both(dice: random.Random, pipeline: Pipeline, _: Settings) -> None:
    """End driver and minutes at once, one of them shortly after the other."""
    first, second = dice.sample((LAKE, MINUTES), 2)
    pipeline.kill(first)
    pipeline.wait(dice.uniform(0.0, _APART_S))
    pipeline.kill(second)
    _log.info("kill -9", processes=[first, second])


def run(settings: Settings, *, seeds: int, minutes: int) -> dict[str, Any]:
    """Return the sums over all seeds, and what became of each.

    Args:
        settings: What to run; the folders of the runs are made below its var.
        seeds: How many runs, numbered from 1.
        minutes: Length of each market.

    Raises:
        FixSetup: The pipeline cannot run.
    """
    results = [_run(settings, seed, minutes) for seed in range(1, seeds + 1)]
    return {
        **{name: sum(result[name] for result in results) for name in _SUMS},
        "market_minutes": minutes,
        "seeds": [{name: result[name] for name in _SUMS} for result in results],
        "broken": [sentence for result in results for sentence in result["broken"]],
    }


def _run(settings: Settings, seed: int, minutes: int) -> dict[str, Any]:
    market = settings.simulator.model_copy(update={"seed": seed})
    seeded = settings.model_copy(update={"simulator": market})
    with tempfile.TemporaryDirectory(prefix="tickhouse-") as folder:
        record(seeded, Path(folder), minutes, RATE_PER_S)
        paced = market.model_copy(update={"replay": Path(folder), "speed": SPEED})
        return smoke(
            seeded.model_copy(update={"simulator": paced}),
            seconds=minutes * MINUTE_S / SPEED,
            fault=Fault("kill-both", partial(kill_both, random.Random(seed))),
        )


def main() -> int:
    """Print the result; return the exit code: 0 if nothing differs."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--minutes", type=int, default=MARKET_MINUTES)
    given = parser.parse_args()
    settings = load()
    logs.configure("restarts", level=settings.log_level)
    result = run(settings, seeds=given.seeds, minutes=given.minutes)
    return end_with(result)


if __name__ == "__main__":
    sys.exit(main())
