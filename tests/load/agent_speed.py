"""How quickly an agent learns and decides: ``python -m tests.load.agent_speed``.

Needs the dependency group ``rl``. Prints JSON: decisions a second of a training on one
core, environment included; milliseconds to score with the network that came of it, for
one symbol and for 512, and with all five of the model that is served; how many rows'
bits depend on their batch; and the calibration error of the served model's confidence
on a planted market that it has not seen.
"""

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console

from models.account import Action
from models.decisions import scores_of
from models.demo_market import demo_tape
from models.environment import Rules
from models.planted_tasks import Question, learn
from models.publish import judged
from models.scoring import Network, score
from models.serving import BUNDLED, champion_of
from models.tape import Booleans, Floats
from models.train import RECIPES
from models.watch import Watch
from tests.load.ratios import Figures, percentiles

SYMBOLS = 512
BATCHES = (1, 7, 1_000)
ROUNDS = 5_000
UNSEEN_BARS = 20_000
SEED = 7


def main() -> None:
    """Measure, and print what was found."""
    network, learned_per_s = trained("maskable-ppo")
    model = champion_of(str(BUNDLED))
    random = np.random.default_rng(SEED)
    rows = random.normal(size=(max(*BATCHES, SYMBOLS), network.inputs))
    masks = np.ones((len(rows), len(Action)), np.bool_)
    one, every = slice(1), slice(SYMBOLS)
    is_long = random.random(SYMBOLS) < 0.5
    unseen = demo_tape(bars=UNSEEN_BARS, seed=SEED)
    found = judged(model.networks[0], model.calibration, unseen, Rules())
    figures = {
        "learned_per_s": {
            "maskable-ppo": learned_per_s,
            "ppo": trained("ppo")[1],
        },
        "symbols": SYMBOLS,
        "score_one_ms": timed_ms(lambda: score(network, rows[one], masks[one])),
        "score_all_ms": timed_ms(lambda: score(network, rows[every], masks[every])),
        "networks_served": len(model.networks),
        "served_all_ms": timed_ms(lambda: scores_of(model, rows[every], is_long)),
        "rows_by_batch": rows_that_depend_on_their_batch(network, rows, masks),
        "calibration_error": round(found.expected_error, 4),
        "calibration_decisions": model.calibration.decisions,
    }
    print(json.dumps(figures))  # noqa: T201 (what this command is for)


def trained(algorithm: str) -> tuple[Network, float]:
    """Return the network of a whole training, and its decisions a second."""
    recipe, watch = RECIPES[algorithm], Watch(Console(file=sys.stderr))
    begun = time.perf_counter()
    network = learn(recipe, Question("visible_ar1", SEED, SEED), watch)
    return network, round(recipe.steps / (time.perf_counter() - begun))


def timed_ms(action: Callable[[], object]) -> Figures:
    """Return percentiles of how long an action takes."""
    samples_ms = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        action()
        samples_ms.append((time.perf_counter() - begun) * 1e3)
    return percentiles(samples_ms)


def rows_that_depend_on_their_batch(
    network: Network, rows: Floats, masks: Booleans
) -> int:
    """Return how many rows have other bits in one of the batches than alone."""
    alone = [bits(network, rows[[at]], masks[[at]])[0] for at in range(max(BATCHES))]
    differ = set()
    for size in BATCHES:
        for first in range(0, len(alone), size):
            part = slice(first, min(first + size, len(alone)))
            together = bits(network, rows[part], masks[part])
            differ |= {
                first + at
                for at, found in enumerate(together)
                if found != alone[first + at]
            }
    return len(differ)


def bits(network: Network, rows: Floats, masks: Booleans) -> list[bytes]:
    """Return the bytes of everything that is scored, a row each."""
    columns = vars(score(network, rows, masks)).values()
    return [
        b"".join(column[at].tobytes() for column in columns) for at in range(len(rows))
    ]


if __name__ == "__main__":
    main()
