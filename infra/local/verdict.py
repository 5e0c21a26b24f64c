"""The bounds of `make smoke`: what must hold, and what a run broke."""

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

MIN_INJECTED = {
    "repeated": 0.02,
    "out_of_order": 0.01,
    "late": 0.001,
    "malformed": 0.001,
}
"""Shares of the messages sent."""

MIN_RATE_SHARE = 0.995
MAX_LATENCY_S = 5.0
MAX_LATE_S = 90.0
MAX_LAG_S = 3.0
MAX_FIRST_GOLD_S = 60.0

MAX_TAIL_S = {"p50": 0.6, "p95": 1.0}
MIN_STATS_VERSIONS = 50
"""Of the statistics, so many versions are compared with what was streamed."""

LATENCY_RATE_PER_S = 4096
LATENCY_SECONDS = 295
"""A run of 300 s; a shorter one has not warmed up, so its latencies are not judged."""

Result = dict[str, Any]


def end_with(result: Result) -> int:
    """Print a result as the last line; return the exit code: 0 if nothing broke."""
    sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    return 1 if result["broken"] else 0


def broken_bounds(
    result: Result,
    *,
    nominal_rate: float | None,
    is_replay: bool,
    is_disturbed: bool = False,
) -> list[str]:
    """Return one sentence per bound that the result breaks.

    Args:
        result: Of ``smoke``.
        nominal_rate: What the market was to send per second; None if a replay's own
            clock decides.
        is_replay: Nothing is injected into a replay.
        is_disturbed: A process was killed or stopped: only correctness is judged.
    """
    broken = [*_correctness(result)]
    if not is_disturbed:
        broken += _load(result, nominal_rate)
    if not is_disturbed and not is_replay:
        broken += [*_injection(result), *_latency(result, nominal_rate)]
    return broken


def _correctness(result: Result) -> Iterator[str]:
    for fault in ("lost", "duplicated", "altered"):
        if result[fault]:
            yield f"{fault} is {result[fault]}, must be 0"
    if result["tail_differences"]:
        yield f"tail_differences is {result['tail_differences']}, must be 0"


def _load(result: Result, nominal_rate: float | None) -> Iterator[str]:
    rate = result["rate_per_s"]
    if nominal_rate is not None and rate < MIN_RATE_SHARE * nominal_rate:
        yield f"rate_per_s is {rate}, under 99.5 % of {nominal_rate:g}"
    if result["lag_s"] is None or result["lag_s"] > MAX_LAG_S:
        yield f"lag_s is {result['lag_s']}, must be at most {MAX_LAG_S:g}"
    if result["lag_is_rising"]:
        yield "Kinesis lag is rising at the end"


def _injection(result: Result) -> Iterator[str]:
    for fault, share in MIN_INJECTED.items():
        sent, least = result["injected"][fault], share * result["emitted"]
        if sent == 0 or sent < least:
            yield f"injected {fault} is {sent}, must be at least {least:.0f}"
    malformed = result["injected"]["malformed"]
    if result["rejected"] != malformed:
        yield f"rejected is {result['rejected']}, must be malformed: {malformed}"


def _latency(result: Result, nominal_rate: float | None) -> Iterator[str]:
    """Judge latencies where they were promised: embedded, nominal load, warmed up."""
    if result["engine"] != "embedded":
        return
    first_gold_s = result["warm_up"]["first_gold_s"]
    if first_gold_s is None or first_gold_s > MAX_FIRST_GOLD_S:
        yield f"first gold row after {first_gold_s} s, must be at most 60"
    is_heavier = nominal_rate is not None and nominal_rate > LATENCY_RATE_PER_S
    if is_heavier or result["seconds"] < LATENCY_SECONDS:
        return
    for stage in ("silver", "gold"):
        p99 = result[f"{stage}_latency_s"]["p99"]
        if p99 is None or p99 >= MAX_LATENCY_S:
            yield f"{stage} p99 is {p99} s, must be under {MAX_LATENCY_S:g}"
    yield from _tail(result)
    late = result["late_latency_s"]["max"]
    if late is None or late > MAX_LATE_S:
        yield f"late_latency_s max is {late}, must be at most {MAX_LATE_S:g}"


def _tail(result: Result) -> Iterator[str]:
    """Judge the live stream, if an API runs in this pipeline."""
    if result["tail_latency_s"] is None:
        return
    for quantile, most in MAX_TAIL_S.items():
        value = result["tail_latency_s"][quantile]
        if value is None or value >= most:
            yield f"tail {quantile} is {value} s, must be under {most:g}"
    versions = result["tail_checked"]["stats_versions"]
    if versions < MIN_STATS_VERSIONS:
        yield f"streamed statistics of {versions} versions, must be at least 50"
