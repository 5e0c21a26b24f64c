"""What was trained and played back: ``models.runs`` and ``models.backtests``.

Rows are only ever added: a try that is forgotten makes the next one look better.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from conf.lake.create import ensure_tables, widen_table
from conf.lake.roots import table_uri
from conf.lake.tables import BACKTESTS, MODEL_RUNS, TableContract
from models.backtest import Backtest
from models.lake_tape import Span


@dataclass(frozen=True)
class Run:
    """One seed that was trained and scored; see ``conf.lake.tables.MODEL_RUNS``.

    Attributes:
        purpose: search, study or version.
        seed: Of weights, exploration and episodes.
        algorithm: Name of the recipe.
        data: What it learnt from, in words.
        versions: Delta version by table read; None for a file.
        hyperparameters: Every one that was set.
        scores: Out of sample.
        libraries: Versions of what trained it.
        trial: Of a search.
        verdict: Of the study.
        model_version: In the registry, if it was kept.
        model_sha256: Of its manifest.
    """

    purpose: str
    seed: int
    algorithm: str
    data: str
    versions: dict[str, int] | None
    hyperparameters: dict[str, Any]
    scores: dict[str, Any]
    libraries: dict[str, str]
    trial: int = 0
    verdict: str | None = None
    model_version: str | None = None
    model_sha256: str | None = None


def new_run_id(now: datetime) -> str:
    """Return what names all that one command does."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}"


def record_runs(
    root: str, run_id: str, runs: Sequence[Run], ended_time: datetime
) -> None:
    """Add runs to ``models.runs`` in one commit.

    Args:
        root: The lake; its table is made if it must.
        run_id: Of the command.
        runs: What it trained.
        ended_time: Wall clock.

    Raises:
        FixSetup: The table was written by another version of Tickhouse.
    """
    rows = [
        asdict(run)
        | {
            "versions": None if run.versions is None else as_json(run.versions),
            "hyperparameters": as_json(run.hyperparameters),
            "scores": as_json(run.scores),
            "libraries": as_json(run.libraries),
            "run_id": run_id,
        }
        for run in runs
    ]
    _add(root, MODEL_RUNS, rows, ended_time)


def record_backtest(
    root: str,
    found: Backtest,
    span: Span,
    history_spread_bps: float | None,
    ended_time: datetime,
) -> None:
    """Add a backtest to ``models.backtests``.

    Args:
        root: The lake; its table is made if it must.
        found: What came of it.
        span: Symbols and days that were asked for.
        history_spread_bps: As it was played.
        ended_time: Wall clock.

    Raises:
        FixSetup: The table was written by another version of Tickhouse.
    """
    row = {
        "run_id": new_run_id(ended_time),
        "result_sha256": found.result_sha256,
        "model_version": found.model_version,
        "model_sha256": found.model_sha256,
        "label": found.label,
        "versions": as_json(found.versions),
        "symbols": sorted(found.figures),
        "first_day": span.first,
        "last_day": span.last,
        "history_spread_bps": history_spread_bps,
        "costs": as_json(asdict(found.cost)),
        "figures": as_json(asdict(found)["figures"]),
        "decisions_sha256": found.decisions_sha256,
        "in_sample_share": found.in_sample_share,
    }
    _add(root, BACKTESTS, [row], ended_time)


def as_json(value: object) -> str:
    """Return figures as JSON: NaN as null, classes and functions by their names."""
    return json.dumps(_readable(value), default=_named)


def _readable(value: object) -> Any:  # noqa: ANN401 (JSON)
    if isinstance(value, dict):
        return {str(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _named(value: object) -> str:
    return value.__qualname__ if isinstance(value, type) else str(value)


def _add(
    root: str,
    contract: TableContract,
    rows: Sequence[dict[str, Any]],
    ended_time: datetime,
) -> None:
    widen_table(root, contract)
    ensure_tables(root, [contract])
    now = ended_time.astimezone(UTC)
    dated = [row | {"ended_time": now, "day": now.date()} for row in rows]
    table = pa.Table.from_pylist(dated, schema=contract.schema)
    # Others may append at the same time: appends do not conflict.
    write_deltalake(table_uri(root, contract), table, mode="append")
