"""What the API depends on, and whether it is fit to be shown."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from api.lake import Lake
from api.pages import why_empty
from api.payloads import Kinesis
from api.responses import Dependency, Readiness
from conf.lake.tables import TABLES, TRADES

State = Literal["ok", "stale", "empty", "missing", "down"]
_STALE_AFTER_S = {
    "bronze.records": 15.0,
    "silver.trades": 15.0,
    "silver.quotes": 15.0,
    "silver.bars": 90.0,
    "gold.symbol_stats": 15.0,
}
"""By the wall clock, since the table last changed while the market is open. Rejects may
stay away for ever."""


def readiness(lake: Lake, kinesis: Kinesis, now: datetime | None = None) -> Readiness:
    """Return the state of the stream, of the lake and of each table.

    ``starting`` while there is no trade to show, ``degraded`` while anything is not as
    it should be.

    Args:
        lake: The tables.
        kinesis: How the live tail gets on with the stream.
        now: Wall clock.
    """
    found = [*_dependencies(lake, now or datetime.now(UTC)), _stream(kinesis)]
    by_name = {one.name: one.state for one in found}
    if by_name["lake"] == "missing" or by_name[TRADES.name] in ("missing", "empty"):
        return Readiness(status="starting", dependencies=found)
    is_well = all(one.state == "ok" for one in found if one.name != "silver.rejects")
    return Readiness(status="ready" if is_well else "degraded", dependencies=found)


def _stream(kinesis: Kinesis) -> Dependency:
    states: dict[str, tuple[State, str | None]] = {
        "ok": ("ok", None),
        "starting": ("empty", "The live tail has not read it yet"),
        "down": ("down", "The live tail cannot read it: see the log of the API"),
    }
    state, detail = states[kinesis.state]
    return Dependency(
        name="kinesis",
        state=state,
        newest_time=None,
        age_s=None if kinesis.behind_ms is None else kinesis.behind_ms / 1000,
        detail=detail,
    )


def _dependencies(lake: Lake, now: datetime) -> Iterator[Dependency]:
    exists = Path(lake.root).is_dir()
    yield Dependency(
        name="lake",
        state="ok" if exists else "missing",
        newest_time=None,
        age_s=None,
        detail=None if exists else "There is no lake yet: `make run` makes one",
    )
    for name in TABLES:
        yield _table(lake, name, now)


def _table(lake: Lake, name: str, now: datetime) -> Dependency:
    snapshot = lake.snapshots.get(name)
    changed = None if snapshot is None else snapshot.commit_time
    age_s = None if changed is None else max(0.0, (now - changed).total_seconds())

    def told(state: State, detail: str | None = None) -> Dependency:
        return Dependency(
            name=name,
            state=state,
            newest_time=lake.newest_event_time(name),
            age_s=None if age_s is None else round(age_s, 3),
            detail=detail,
        )

    if name in lake.failures:
        return told("down", f"{lake.failures[name]}: see the log of the lake driver")
    if snapshot is None:
        return told("missing", why_empty(name, None))
    if age_s is None:
        return told("empty", why_empty(name, snapshot))
    if age_s > _STALE_AFTER_S.get(name, float("inf")):
        return told("stale", f"Nothing new for {age_s:.0f} s: `make status`")
    return told("ok")
