"""The bounds of the campaign."""

from collections.abc import Iterator
from typing import Any

MAX_RECOVERY_P95_S = 45.0
MAX_SECONDS = 1_200.0
_MUST_BE_0 = (
    "lost",
    "duplicated",
    "altered",
    "minutes_missing",
    "minutes_twice",
    "tail_differences",
)


def broken_bounds(result: dict[str, Any]) -> list[str]:
    """Return one sentence per bound that a campaign's result breaks."""
    return [*_rows(result), *_recovery(result), *_mutants(result), *_time(result)]


def _rows(result: dict[str, Any]) -> Iterator[str]:
    for fault in _MUST_BE_0:
        if result[fault]:
            yield f"{fault} is {result[fault]}, must be 0"
    if not result["silver_rows"]:
        yield "silver is empty"


def _recovery(result: dict[str, Any]) -> Iterator[str]:
    for fault in result["faults"]:
        if not fault["hits"]:
            yield f"{fault['name']} struck nothing"
        if fault["recovery_s"] is None:
            yield f"silver did not go on after {fault['name']}"
    p95 = result["recovery_s"]["p95"]
    if p95 is None or p95 > MAX_RECOVERY_P95_S:
        yield f"recovery p95 is {p95} s, must be at most {MAX_RECOVERY_P95_S:g}"


def _mutants(result: dict[str, Any]) -> Iterator[str]:
    for trial in result["trials"]:
        if trial["is_right"]:
            continue
        if trial["name"] == "none":
            yield f"without a mutant the oracle finds {trial['found']}"
        else:
            yield f"the mutant {trial['name']} was not caught: {trial['found']}"


def _time(result: dict[str, Any]) -> Iterator[str]:
    if result["seconds"] > MAX_SECONDS:
        yield f"took {result['seconds']} s, must be at most {MAX_SECONDS:g}"
