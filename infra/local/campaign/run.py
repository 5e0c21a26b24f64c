"""`make faults`: one pipeline, one fault after the other, then the oracle.

The pipeline is the one of ``make run``. After each fault the campaign waits until
silver has rows that came after it. At the end everything is drained and every row is
compared with what the market sent, and with what it sent while nobody was connected.
Then the planted mutants show that the oracle would have noticed (``mutants``).
"""

import random
import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import Settings
from infra.local import closed_minutes, oracle, recomputed, shown, smoke, state
from infra.local.campaign.catalog import FAULTS, Fault
from infra.local.campaign.minutes import judge_minutes
from infra.local.campaign.recovery import Silver
from infra.local.campaign.scene import Scene
from infra.local.campaign.trials import CONTROL, Trial, try_mutants
from infra.local.campaign.verdict import broken_bounds
from infra.local.observe import Observation, observe
from infra.local.supervisor import Pipeline
from producer.status import Status

RATE_PER_S = 600
WARM_UP_S = 15.0
_RECOVERY_WITHIN_S = 150.0
_SETTLED_WITHIN_S = 120.0
_MARKET = {
    "repeated_share": 0.01,
    "out_of_order_share": 0.01,
    "malformed_share": 0.001,
    "rest_minutes": 60,
}
_log = get_logger(__name__)


@dataclass(frozen=True)
class Struck:
    """What became of one fault.

    Attributes:
        name: The fault's.
        class_: The fault's.
        hits: How much it struck: calls, connections, processes or messages.
        struck_s: How long the harm lasted.
        recovery_s: Seconds from its end to silver; None if silver did not go on.
    """

    name: str
    class_: str
    hits: int
    struck_s: float
    recovery_s: float | None


class Campaign:
    """The faults of one run, in an order and with pauses that the seed chooses.

    Args:
        seed: Same seed, same faults.
        faults: What to let happen.
    """

    def __init__(self, seed: int, faults: tuple[Fault, ...] = FAULTS) -> None:
        self._dice = random.Random(seed)
        self._faults = self._dice.sample(faults, len(faults))
        self.struck: list[Struck] = []

    @property
    def order(self) -> list[str]:
        """Names of the faults, first one first."""
        return [fault.name for fault in self._faults]

    def strike(self, pipeline: Pipeline, settings: Settings) -> None:
        """Let everything happen to a live pipeline, then let it drain."""
        silver = Silver(Path(settings.lake.root))
        scene = Scene(pipeline, settings, self._dice)
        for number, fault in enumerate(self._faults, start=1):
            time.sleep(scene.between(1, 3))
            struck = _strike(scene, fault, silver)
            self.struck.append(struck)
            place = f"{number}/{len(self._faults)}"
            _log.info("recovered", place=place, **vars(struck))
            if struck.recovery_s is None:
                break
        _await_settled_gaps(scene)
        pipeline.request_drain()


def run(
    settings: Settings,
    *,
    seed: int,
    only: list[str] | None = None,
    keep: bool = False,
) -> dict[str, Any]:
    """Return the result of the campaign; its ``broken`` says which bounds were.

    Args:
        settings: What to run.
        seed: Chooses the market, the order of the faults and all that they leave open.
        only: Names of faults; all, and the mutants, if left out.
        keep: Leave the folders even if every bound held.

    Raises:
        FixSetup: The pipeline cannot run, or there is no such fault.
    """
    began = time.monotonic()
    names = [fault.name for fault in FAULTS]
    for unknown in set(only or ()).difference(names):
        raise FixSetup("--only", f"no fault {unknown}", f"Choose of {', '.join(names)}")
    chosen = prepared(settings, seed)
    campaign = Campaign(seed, tuple(x for x in FAULTS if not only or x.name in only))
    observed = observe(chosen, strike=campaign.strike, strike_after_s=WARM_UP_S)
    counts = judge(chosen, observed)
    trials = [] if only else try_mutants(chosen, seed)
    result = {
        **counts,
        **summary(campaign.struck, trials),
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    result["broken"] = broken_bounds(result)
    for sentence in result["broken"]:
        _log.error(sentence)
    leave(chosen, keep=keep or bool(result["broken"]))
    return result


def leave(settings: Settings, *, keep: bool) -> None:
    """Remove a run's folder, or say where it is."""
    if keep:
        _log.info("the run's folder is kept", folder=str(settings.var))
    else:
        shutil.rmtree(settings.var)


def prepared(settings: Settings, seed: int, rate: int = RATE_PER_S) -> Settings:
    """Return the settings of a campaign: its own folder, market and seed."""
    var = settings.var / "campaign" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    market = {
        **_MARKET,
        "rate_per_s": rate,
        "seed": seed,
        "truth_dir": var / "truth",
    }
    lake = {"root": str(var / "lake"), "checkpoints": str(var / "checkpoints")}
    emulator = {"duplicate_rate": smoke.DUPLICATE_RATE}
    return settings.model_copy(
        update={
            "var": var,
            "simulator": settings.simulator.model_copy(update=market),
            "emulator": settings.emulator.model_copy(update=emulator),
            "lake": settings.lake.model_copy(update=lake),
        }
    )


def summary(struck: list[Struck], trials: list[Trial]) -> dict[str, Any]:
    """Return what the result says of the faults and the mutants."""
    mutants = [trial for trial in trials if trial.name != CONTROL]
    recoveries = [x.recovery_s for x in struck if x.recovery_s is not None]
    return {
        "mutants_caught": sum(x.is_right for x in mutants),
        "mutants": len(mutants),
        "recovery_s": _percentiles(recoveries),
        "faults": [
            {
                "name": x.name,
                "class": x.class_,
                "hits": x.hits,
                "struck_s": x.struck_s,
                "recovery_s": x.recovery_s,
            }
            for x in struck
        ],
        "trials": [
            {"name": trial.name, "is_right": trial.is_right, "found": trial.found}
            for trial in trials
        ],
    }


def _strike(scene: Scene, fault: Fault, silver: Silver) -> Struck:
    _log.info("strikes", fault=fault.name, class_=fault.class_)
    began = time.monotonic()
    hits = fault.strike(scene)
    over, struck_s = datetime.now(UTC), round(time.monotonic() - began, 1)
    recovery_s = silver.recovery_s(
        over, _RECOVERY_WITHIN_S, lambda: scene.pipeline.wait(0)
    )
    return Struck(fault.name, fault.class_, hits, struck_s, recovery_s)


def _await_settled_gaps(scene: Scene) -> None:
    """Give the backfill its time: what it has not filled by then counts as lost."""
    path = state.run_folder(scene.settings) / "producer.json"
    give_up = time.monotonic() + _SETTLED_WITHIN_S
    while time.monotonic() < give_up and not scene.pipeline.wait(1.0):
        status = state.read(path, Status)
        if status is not None and status.state == "live" and not status.gaps_unsettled:
            return
    _log.warning("not every gap is settled")


def judge(settings: Settings, observed: Observation) -> dict[str, Any]:
    """Compare the drained lake with the truth, and the live stream with the lake."""
    lake = Path(settings.lake.root)
    with oracle.open_database(settings.var) as db:
        report = oracle.judge(
            db,
            lake,
            truth_dir=settings.simulator.truth_dir or settings.var / "truth",
            kinesis=smoke.store(settings),
            with_missed=True,
        )
        closed_minutes.load(db, lake)
        report = replace(report, tables=[*report.tables, recomputed.judge(db)])
        smoke.keep_report(settings.var, report)
        seen = observed.shown
        differs = shown.judge(db, lake, seen).differences if seen else None
    return {
        **smoke.counts(report),
        **judge_minutes(lake),
        "tail_differences": differs,
    }


def _percentiles(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p95": None, "max": None}
    p50, p95, most = (round(float(x), 1) for x in np.percentile(values, (50, 95, 100)))
    return {"p50": p50, "p95": p95, "max": most}
