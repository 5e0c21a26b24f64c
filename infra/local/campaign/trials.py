"""Would the oracle notice? Each mutant runs, and the oracle judges what it left.

Simulator, emulator and producer run for some seconds, in which entries fail, the feed
is cut and the producer is killed while Kinesis is away (``streams``). The layers then
work off what Kinesis holds, lose their checkpoints half way, and meet a driver of
before (``layers``). Without a mutant the oracle must find nothing; with one, what the
mutant is known to do.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from conf.lake.session import build_session
from conf.logs import get_logger
from conf.settings import Settings
from infra.local import oracle, smoke
from infra.local.campaign import layers, streams
from infra.local.campaign.mutants import IN_LAYERS, IN_PRODUCER, Mutant
from infra.local.campaign.streams import Stream

CONTROL = "none"
_AT_ONCE = 3
_FAULTS = ("lost", "duplicated", "altered")
_log = get_logger(__name__)


@dataclass(frozen=True)
class Trial:
    """What the oracle found in the lake of one mutant.

    Attributes:
        name: The mutant's; ``none`` is the run without one.
        found: Rows lost, duplicated, altered.
        is_right: It found what the mutant does; without one, nothing. What a producer
            loses that dies of its mutant is no proof.
    """

    name: str
    found: dict[str, int]
    is_right: bool


def try_mutants(settings: Settings, seed: int) -> list[Trial]:
    """Return the trial of no mutant, then of each.

    Args:
        settings: Those of the campaign; the folders go into its own.
        seed: Of the market.
    """
    folder = settings.var / "mutants"
    recorded = (None, *IN_PRODUCER)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        held = list(
            pool.map(lambda x: streams.record(settings, folder, seed, x), recorded)
        )
    spark = build_session(settings, "mutants")
    try:
        trials = [
            _judge(spark, settings, folder, stream, mutant)
            for stream, mutant in zip(held, recorded, strict=True)
        ]
        for mutant in IN_LAYERS:
            with mutant.planted():
                trials.append(_judge(spark, settings, folder, held[0], mutant))
    finally:
        spark.stop()
    return trials


def is_right(mutant: Mutant | None, found: dict[str, int]) -> bool:
    """Tell whether the oracle found what it should."""
    if mutant is None:
        return not any(found.values())
    return found[mutant.shows_as] > 0


def _judge(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    stream: Stream,
    mutant: Mutant | None,
) -> Trial:
    name = mutant.name if mutant else CONTROL
    var = folder / "lakes" / name
    lake = {"root": str(var / "lake"), "checkpoints": str(var / "checkpoints")}
    chosen = settings.model_copy(
        update={"var": var, "lake": settings.lake.model_copy(update=lake)}
    )
    layers.build(spark, chosen, stream.kinesis)
    with oracle.open_database(var) as db:
        report = oracle.judge(
            db,
            Path(chosen.lake.root),
            truth_dir=stream.truth,
            kinesis=stream.kinesis,
            with_missed=True,
        )
    smoke.keep_report(var, report)
    found = {fault: report.total(fault) for fault in _FAULTS}
    trial = Trial(name, found, is_right(mutant, found) and stream.deaths == 1)
    deaths = stream.deaths
    _log.info("judged", mutant=name, is_right=trial.is_right, deaths=deaths, **found)
    return trial
