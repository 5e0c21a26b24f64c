"""Are live signals what they say? A market at 60 times its pace, replayed and judged.

``python -m infra.local.signals`` records a market with halts, corrections and cancels,
replays it through the whole pipeline, and derives its signals twice again: 1,000 random
decisions from what each of them says it read, before and after the tables were
compacted; and every signal, also why nothing was decided, by the backtest of what was
known. The last line is one JSON object.

At that pace a second of the pipeline is a market's minute, so most bars are superseded
before they are known: the market is long enough for the rest to be a sample.
"""

import itertools
import shutil
import sys
from argparse import ArgumentParser
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from conf import logs
from conf.lake.manifest import tie
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import BARS, CORRECTIONS, FEATURES, QUOTES, SIGNALS, STATUSES
from conf.market.bars import MINUTE_S
from conf.settings import Settings, load
from infra.local.observe import observe
from infra.local.state import settled_in
from infra.local.verdict import end_with
from models.backtest import decisions
from models.decisions import Row
from models.lake_rows import LakeRows
from models.lake_tape import Span
from models.replay import Replay
from models.serving import find_version
from producer.recording import Recording
from producer.simulator.market import Market
from producer.simulator.slots import SECOND_NS

START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
"""A session that is over: a recording has a clock of its own."""
SPEED = 60.0
MINUTES, RATE_PER_S = 200, 20
SAMPLE = 1_000
_MARKET = {
    "corrected_share": 0.004,
    "canceled_share": 0.002,
    "halt_every_s": 900.0,
    "halt_s": 150.0,
}
_COMPACTED = (SIGNALS, FEATURES, BARS, QUOTES, STATUSES)
_EXAMPLES = 5
_log = logs.get_logger(__name__)


def record(settings: Settings, folder: Path, minutes: int, rate: int) -> int:
    """Record a market that was never sent; return its messages."""
    market = settings.simulator.model_copy(update={**_MARKET, "rate_per_s": rate})
    start_ns = int(START.timestamp()) * SECOND_NS
    end_ns = start_ns + minutes * 60 * SECOND_NS
    recording = Recording(folder)
    batches = Market(market, market.symbols).batches(start_ns)
    for batch in itertools.takewhile(lambda b: b.due_ns[0] < end_ns, batches):
        for text in batch.texts:
            recording.add(text)
    recording.write()
    return recording.messages


def run(
    settings: Settings, *, minutes: int, rate: int, speed: float, keep: bool
) -> dict[str, Any]:
    """Return what became of the signals of a market; see the module.

    Args:
        settings: What to run; the folder of this run is made below its var.
        minutes: Length of the market.
        rate: Messages per second of the market's clock.
        speed: How much faster it is replayed.
        keep: Leave the run's folder even if every bound held.

    Raises:
        FixSetup: The pipeline cannot run.
    """
    var = settings.var / "signals" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    replay = var / "recording"
    messages = record(settings, replay, minutes, rate)
    paced = {"replay": replay, "speed": speed, "truth_dir": var / "truth"}
    chosen = settled_in(settings, var).model_copy(
        update={"simulator": settings.simulator.model_copy(update=paced)}
    )
    observe(chosen)
    result = {"speed": speed, "messages": messages, **judged(chosen)}
    result["broken"] = broken_bounds(result)
    for sentence in result["broken"]:
        _log.error(sentence)
    if result["broken"] or keep:
        _log.info("the run's folder is kept", folder=str(var))
    else:
        shutil.rmtree(var)
    return result


def judged(settings: Settings, sample: int = SAMPLE) -> dict[str, Any]:
    """Return how a drained lake's signals compare with those derived again."""
    root, registry = settings.lake.root, settings.agent.registry
    stored = scan(root, SIGNALS).to_pylist()
    held = _replayed(root, registry, sample)
    for contract in _COMPACTED:
        DeltaTable(table_uri(root, contract)).optimize.compact()
    compacted = _replayed(root, registry, sample)
    again = _backtest(root, registry, stored)
    revisions = scan(root, FEATURES, columns=["revision"])["revision"]
    restated = revisions.to_numpy() > 0
    return {
        "signals": len(stored),
        "actions": Counter(row["action"] for row in stored if row["action"]),
        "reasons": Counter(row["reason"] for row in stored if row["reason"]),
        "minutes_missing": len(_undecided(root, stored)),
        "corrections": scan(root, CORRECTIONS).num_rows,
        "restated_features": int(restated.sum()),
        "replayed": held | {"differ_after_compaction": compacted["differ"]},
        "backtest": again,
    }


def broken_bounds(result: dict[str, Any]) -> list[str]:
    """Return one sentence per bound that a result breaks."""
    replayed, backtest = result["replayed"], result["backtest"]
    must_be_0 = {
        "signals that replay otherwise": replayed["differ"],
        "the same after compaction": replayed["differ_after_compaction"],
        "decisions that the backtest has otherwise": backtest["differ"],
        "closed minutes without a signal": result["minutes_missing"],
    }
    told = [f"{n} {what}, must be 0" for what, n in must_be_0.items() if n]
    if replayed["sampled"] < SAMPLE:
        told.append(f"only {replayed['sampled']} decisions, must be {SAMPLE}")
    if not result["corrections"] or not result["restated_features"]:
        told.append("nothing was corrected")
    return told


def _replayed(root: str, registry: str, count: int) -> dict[str, int]:
    replay = Replay(root, registry)
    found = [replay.replay(name) for name in replay.sample(count, seed=7, decided=True)]
    wrong = [one for one in found if not one.is_identical]
    for one in wrong[:_EXAMPLES]:
        _log.error("replays otherwise", signal=one.signal_id, why=one.differences)
    return {"sampled": len(found), "differ": len(wrong)}


def _backtest(root: str, registry: str, stored: list[Row]) -> dict[str, int]:
    """Compare every live row with the one of the backtest as known."""
    days = sorted(row["window_start"].date() for row in stored)
    (version,) = {row["model_version"] for row in stored}
    rows = LakeRows(root, tie(root))
    span = Span([], days[0], days[-1])
    told = decisions(rows, span, find_version(registry, version))
    mine = {row["signal_id"]: row for row in stored}
    theirs = {row["signal_id"]: row for row in told}
    wrong = [
        name
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]
    for name in wrong[:_EXAMPLES]:
        _log.error("decided otherwise", live=mine.get(name), backtest=theirs.get(name))
    return {"decisions": len(theirs), "differ": len(wrong)}


def _undecided(root: str, stored: list[Row]) -> set[tuple[str, datetime]]:
    """Return the minutes without a signal, of those since the first that has one.

    The query begins with what comes after its own start.
    """
    first = min(row["window_start"] for row in stored)
    columns = ["symbol", "window_start", "bar_length_s"]
    told = {
        (row["symbol"], row["window_start"])
        for row in scan(root, FEATURES, columns=columns).to_pylist()
        if row["bar_length_s"] == MINUTE_S and row["window_start"] >= first
    }
    return told - {(row["symbol"], row["window_start"]) for row in stored}


def main() -> int:
    """Print the result; return the exit code: 0 if every bound held."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--rate", type=int, default=RATE_PER_S)
    parser.add_argument("--speed", type=float, default=SPEED)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    settings = load()
    logs.configure("signals", level=settings.log_level)
    result = run(
        settings,
        minutes=given.minutes,
        rate=given.rate,
        speed=given.speed,
        keep=given.keep,
    )
    return end_with(result)


if __name__ == "__main__":
    sys.exit(main())
