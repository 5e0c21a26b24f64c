"""`make smoke`: the whole pipeline under load, drained, compared row by row.

It runs what `make run` runs, on a var folder of its own, with a market that repeats,
disorders, delays and spoils messages by seed. A reader of its own process notes when
each commit can be seen. After the drain the oracle compares the lake with the truth;
the result is one JSON object, whose ``broken`` lists the bounds that did not hold.
"""

import math
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from conf.errors import FixSetup
from conf.logs import get_logger
from conf.settings import Settings, SimulatorSettings
from infra.local import (
    closed_minutes,
    machine,
    oracle,
    recomputed,
    recording,
    shown,
    stream_contents,
)
from infra.local.kinds import KINDS
from infra.local.kinesis.store import DATABASE_NAME
from infra.local.latency import SECOND_NS, Lag, lag_at, measure
from infra.local.observe import Observation, Strike, observe
from infra.local.state import settled_in
from infra.local.truth import Summary, read_summary
from infra.local.verdict import broken_bounds

INJECTED = {
    "repeated_share": 0.01,
    "out_of_order_share": 0.012,
    "late_share": 0.0012,
    "malformed_share": 0.0012,
    "corrected_share": 0.0004,
    "canceled_share": 0.0002,
}
"""A little more than the bounds ask for: what is due after the end is never sent."""

DUPLICATE_RATE = 0.025
SHARD_RATE_PER_S = 2048
WARM_UP_S, WARM_UP_SHARE = 120.0, 0.4
_FIGURES = ("expected", "stored", "lost", "duplicated", "altered")

_log = get_logger(__name__)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong during a run.

    Attributes:
        name: As on the command line.
        strike: Does it; returns when nothing more is to be done.
        may_lose_before_kinesis: The market's messages may not all reach Kinesis, so
            the lake owes what Kinesis stored instead of what was sent.
    """

    name: str
    strike: Strike
    may_lose_before_kinesis: bool = False


def smoke(
    settings: Settings,
    *,
    seconds: float = 300,
    rate: int = 4096,
    fault: Fault | None = None,
    keep: bool = False,
    with_page: bool = False,
) -> dict[str, Any]:
    """Run the pipeline, drain it, judge it; return the result.

    Args:
        settings: What to run; replay, speed, engine and profile are taken from here.
        seconds: Length of the market; a replay ends with its recording.
        rate: Messages per second.
        fault: Happens once, in the middle of the run.
        keep: Leave the run's folder even if every bound held.
        with_page: A browser holds the page open meanwhile.

    Raises:
        FixSetup: The pipeline cannot run, its market stands still, or no browser.
    """
    chosen = prepared(settings, seconds=seconds, rate=rate)
    strike = fault.strike if fault else None
    observed = observe(
        chosen, strike=strike, strike_after_s=seconds / 2, with_page=with_page
    )
    only_stored = fault is not None and fault.may_lose_before_kinesis
    result = result_of(chosen, observed, only_stored=only_stored)
    result["broken"] = broken_bounds(
        result,
        nominal_rate=nominal_rate(chosen.simulator),
        is_replay=chosen.simulator.replay is not None,
        is_disturbed=fault is not None,
    )
    if with_page:
        found = observed.page
        result["broken"] += found.complaints if found else ["no page was open"]
    for sentence in result["broken"]:
        _log.error(sentence)
    if result["broken"] or keep:
        _log.info("the run's folder is kept", folder=str(chosen.var))
    else:
        shutil.rmtree(chosen.var)
    return result


def prepared(settings: Settings, *, seconds: float, rate: int) -> Settings:
    """Return the settings of one smoke run: its own folder, load and faults."""
    var = settings.var / "smoke" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    is_replay = settings.simulator.replay is not None
    market: dict[str, Any] = {"rate_per_s": rate, "truth_dir": var / "truth"}
    faults: dict[str, Any] = {}
    if not is_replay:
        market |= {**INJECTED, "stop_after_s": seconds}
        faults = {"duplicate_rate": DUPLICATE_RATE}
    simulator = settings.simulator.model_copy(update=market)
    shards = max(2, math.ceil((nominal_rate(simulator) or rate) / SHARD_RATE_PER_S))
    return settled_in(settings, var).model_copy(
        update={
            "simulator": simulator,
            "emulator": settings.emulator.model_copy(update=faults),
            "kinesis": settings.kinesis.model_copy(update={"shards": shards}),
        }
    )


def nominal_rate(market: SimulatorSettings) -> float | None:
    """Return the messages per second of a market; None if its recording decides."""
    if market.replay is not None and market.speed is not None:
        return None
    return market.rate_per_s + (market.hot_rate_per_s if market.hot_symbol else 0)


def result_of(
    settings: Settings, observed: Observation, *, only_stored: bool = False
) -> dict[str, Any]:
    """Judge a finished run; return its result, all but ``broken``.

    Args:
        settings: Those of the run.
        observed: What was seen of it.
        only_stored: See ``oracle.judge``.

    Raises:
        FixSetup: Its market sent nothing.
    """
    sent = read_summary(_truth_dir(settings))
    if not sent.emitted or sent.first_due_ns is None or sent.last_due_ns is None:
        raise FixSetup("simulated market", "sent nothing", "See simulator.log")
    seconds = (sent.last_due_ns - sent.first_due_ns) / SECOND_NS
    with oracle.open_database(settings.var) as db:
        report = _judge(db, settings, only_stored=only_stored)
        tail = _judge_stream(db, settings, observed.shown)
        latencies = measure(
            db,
            Path(settings.lake.root),
            observed.sightings,
            warm_up_s=round(min(WARM_UP_S, WARM_UP_SHARE * seconds), 1),
            has_stream=observed.shown is not None,
        )
        bars = _recorded_bars(db, settings.simulator.replay)
    warm_up = latencies.pop("warm_up") | {"first_gold_s": observed.first_gold_s}
    return {
        "seconds": round(seconds, 1),
        "rate_per_s": round(sent.emitted / seconds, 1),
        "engine": settings.lake.engine,
        "emitted": sent.emitted,
        "injected": _injected(sent, stream_contents.resent_messages(store(settings))),
        **counts(report),
        **latencies,
        "warm_up": warm_up,
        **_lag(lag_at(observed.sightings, sent.last_due_ns)),
        **tail,
        "page": msgspec.to_builtins(observed.page),
        "peak_rss_mb": observed.usage.peak_rss_mb,
        "cpu_s": observed.usage.cpu_s,
        "versions": machine.versions(),
        "features": report.total("stored", recomputed.TABLE),
        **bars,
    }


def _judge(
    db: duckdb.DuckDBPyConnection, settings: Settings, *, only_stored: bool
) -> oracle.Report:
    """Judge the lake and keep the verdict."""
    lake = Path(settings.lake.root)
    report = oracle.judge(
        db,
        lake,
        truth_dir=_truth_dir(settings),
        kinesis=store(settings),
        only_stored=only_stored,
    )
    derived = [*closed_minutes.judge(db, lake), recomputed.judge(db)]
    report = replace(report, tables=[*report.tables, *derived])
    keep_report(settings.var, report)
    return report


def keep_report(folder: Path, report: oracle.Report) -> None:
    """Log the verdict on each table, and write it with its examples."""
    for table in report.tables:
        figures = {name: getattr(table, name) for name in _FIGURES}
        _log.info(table.table, **figures)
    text = msgspec.json.encode(asdict(report), enc_hook=str)
    (folder / "report.json").write_bytes(msgspec.json.format(text, indent=2))


def _judge_stream(
    db: duckdb.DuckDBPyConnection, settings: Settings, seen: shown.Shown | None
) -> dict[str, Any]:
    """Compare what the live stream showed with the tables; None without an API."""
    if seen is None:
        return {"tail_differences": None, "tail_checked": None}
    verdict = shown.judge(db, Path(settings.lake.root), seen)
    for sentence in verdict.examples:
        _log.error("the stream differs", what=sentence)
    checked = {"trades": verdict.trades, "stats_versions": verdict.stats_versions}
    return {"tail_differences": verdict.differences, "tail_checked": checked}


def _recorded_bars(
    db: duckdb.DuckDBPyConnection, replay: Path | None
) -> dict[str, Any]:
    if replay is None or not (replay / recording.BARS_FILE).exists():
        return {}
    return {"recording": recording.compare_bars(db, replay)}


def _truth_dir(settings: Settings) -> Path:
    return settings.simulator.truth_dir or settings.var / "truth"


def store(settings: Settings) -> Path:
    """Return the emulator's database of a run."""
    return settings.var / "kinesis" / DATABASE_NAME


def counts(report: oracle.Report) -> dict[str, int]:
    """Return what a result says of a report."""
    rows = [f"silver.{name}" for name in KINDS]
    return {
        "bronze_records": report.total("stored", "bronze.records"),
        "silver_expected": sum(report.total("expected", name) for name in rows),
        "silver_rows": sum(report.total("stored", name) for name in rows),
        "lost": report.total("lost"),
        "duplicated": report.total("duplicated"),
        "altered": report.total("altered"),
        "rejected": report.rejected,
        "late_restated": report.late_restated,
    }


def _injected(sent: Summary, resent: int) -> dict[str, int]:
    return {
        "repeated": sent.repeated + resent,
        "out_of_order": sent.out_of_order,
        "late": sent.late,
        "malformed": sent.malformed,
    }


def _lag(lag: Lag | None) -> dict[str, Any]:
    if lag is None:
        return {"lag_s": None, "lag_slope": None, "lag_is_rising": True}
    return {
        "lag_s": lag.seconds,
        "lag_slope": lag.slope,
        "lag_is_rising": lag.is_rising,
    }
