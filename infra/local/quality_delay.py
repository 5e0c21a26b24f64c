"""How soon does validation say that something is wrong, at full rate?

``python -m infra.local.quality_delay`` lets quotes that cross their own venue's book
come at 4,096 messages a second, one each twelve seconds: silver stores them, and a rule
of ``silver.quotes`` does not hold. For each of them the time is taken from its sending
until a reader of ``quality.results`` finds it among the examples; then everything is
drained, and every row compared with what was sent. The last line is one JSON object.
"""

import random
import statistics
import sys
import time
from argparse import ArgumentParser
from typing import Any

import msgspec
from deltalake.exceptions import TableNotFoundError

from conf import logs
from conf.lake.read import scan
from conf.lake.tables import QUOTES, RESULTS
from conf.market.rfc3339 import format_ns
from conf.settings import Settings, load
from infra.local.campaign import run as campaign
from infra.local.campaign import storms
from infra.local.campaign.scene import Scene
from infra.local.observe import observe
from infra.local.supervisor import Pipeline
from infra.local.verdict import end_with

RATE_PER_S, WARM_UP_S, QUOTES_SENT = 4_096, 60.0, 12
_EVERY_S = 12.0
"""Of one validation's failures five are told as examples; it comes each 40 seconds."""
_MOST_S = 60.0
_GIVE_UP_S = 180.0
_LOOK_EVERY_S = 1.0


class Watch:
    """Sends wrong quotes, and notes when validation tells of each.

    Args:
        seed: Chooses their symbols.
        count: How many.
    """

    def __init__(self, seed: int, count: int) -> None:
        self._dice, self._left = random.Random(seed), count
        self._sent_s: dict[int, float] = {}
        self.delays_s: dict[int, float] = {}

    def __call__(self, pipeline: Pipeline, settings: Settings) -> None:
        """Send all and wait for the last; return what was found until then."""
        scene = Scene(pipeline, settings, self._dice)
        due_s = time.monotonic()
        give_up_s = due_s + self._left * _EVERY_S + _GIVE_UP_S
        while self._left or len(self.delays_s) < len(self._sent_s):
            now_s = time.monotonic()
            if now_s > give_up_s or pipeline.wait(_LOOK_EVERY_S):
                break
            if self._left and now_s >= due_s:
                self._send(scene)
                due_s += _EVERY_S
            self._look(settings.lake.root)
        pipeline.request_drain()

    @property
    def sent(self) -> int:
        """How many were sent."""
        return len(self._sent_s)

    def _send(self, scene: Scene) -> None:
        event_time_ns = time.time_ns()
        quote = {
            "T": "q",
            "S": self._dice.choice(scene.settings.simulator.symbols),
            **{"bx": "V", "bp": 101.0, "bs": 1, "ax": "V", "ap": 100.0, "as": 1},
            "c": ["R"],
            "z": "C",
            "t": format_ns(event_time_ns),
        }
        self._sent_s[event_time_ns] = time.monotonic()
        storms.send(scene, "n", [msgspec.json.encode(quote).decode()])
        self._left -= 1

    def _look(self, root: str) -> None:
        where = f"suite = '{QUOTES.name}' AND NOT success AND examples IS NOT NULL"
        try:
            told = scan(root, RESULTS, columns=["examples"], where=where)
        except TableNotFoundError:
            return  # no validation has ended yet
        now_s = time.monotonic()
        for examples in told["examples"].to_pylist():
            for row in msgspec.json.decode(examples):
                time_ns = int(row.get("event_time_ns", 0))
                if time_ns in self._sent_s:
                    taken_s = round(now_s - self._sent_s[time_ns], 1)
                    self.delays_s.setdefault(time_ns, taken_s)


def run(settings: Settings, *, seed: int, count: int) -> dict[str, Any]:
    """Return the delays, and what became of the rows.

    Args:
        settings: What to run; the folder of the run is made below its var.
        seed: Chooses the market.
        count: Wrong quotes to send.

    Raises:
        FixSetup: The pipeline cannot run.
    """
    watch = Watch(seed, count)
    chosen = campaign.prepared(settings, seed, RATE_PER_S)
    observed = observe(chosen, strike=watch, strike_after_s=WARM_UP_S)
    counts = campaign.judge(chosen, observed)
    delays_s = sorted(watch.delays_s.values())
    result = {
        **counts,
        "sent": watch.sent,
        "told": len(delays_s),
        "told_after_s": {
            "p50": statistics.median(delays_s) if delays_s else None,
            "max": max(delays_s, default=None),
        },
    }
    wrong = {name: result[name] for name in ("lost", "duplicated", "altered")}
    wrong["not told"] = watch.sent - len(delays_s)
    wrong[f"told after {_MOST_S:g} s"] = sum(s > _MOST_S for s in delays_s)
    result["broken"] = [f"{n} {what}, must be 0" for what, n in wrong.items() if n]
    campaign.leave(chosen, keep=bool(result["broken"]))
    return result


def main() -> int:
    """Print the result; return the exit code: 0 if every bound held."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quotes", type=int, default=QUOTES_SENT)
    given = parser.parse_args()
    settings = load()
    logs.configure("quality-delay", level=settings.log_level)
    result = run(settings, seed=given.seed, count=given.quotes)
    return end_with(result)


if __name__ == "__main__":
    sys.exit(main())
