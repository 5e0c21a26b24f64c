"""The lake's own history as something to be studied, at pinned versions."""

from datetime import date

import numpy as np
import pyarrow.compute as pc

from conf.errors import FixSetup
from conf.lake.manifest import Manifest, tie
from conf.lake.tables import BARS, FEATURES, QUOTES
from models.feed import feed_of
from models.lake_proof import proves_honest
from models.lake_rows import LakeRows
from models.lake_tape import Span, read_tapes
from models.material import Material
from models.tape import Tape

SESSION_BARS = 390
LEAST_MINUTES = 8 * SESSION_BARS
"""Half to learn from, then four tests of a session each."""
_READ = (FEATURES.name, BARS.name, QUOTES.name)
_ALL_DAYS = date(2005, 1, 1), date(2100, 1, 1)


def study_of_lake(
    root: str, symbol: str, as_of: str, history_spread_bps: float
) -> Material:
    """Return a symbol's minutes as they were known, with the quotes that followed.

    Args:
        root: The lake.
        symbol: Which.
        as_of: See ``conf.lake.manifest.tie``; empty: the newest.
        history_spread_bps: Assumed where minutes were loaded without quotes.

    Raises:
        FixSetup: There are fewer than ``LEAST_MINUTES``, or the tape looks ahead.
    """
    manifest = tie(root, as_of or None)
    if FEATURES.name not in manifest.versions:
        raise _too_short(symbol, 0)
    rows = LakeRows(root, manifest)
    span = Span([symbol], *_days(rows, symbol))
    tape = read_tapes(rows, span, history_spread_bps).get(symbol)
    minutes = 0 if tape is None else len(tape)
    if tape is None or minutes < LEAST_MINUTES:
        raise _too_short(symbol, minutes)
    leaks = proves_honest(rows, span)
    if leaks:
        raise FixSetup(
            FEATURES.name,
            f"tells what was not known yet: {leaks}",
            "Mend what wrote these rows; nothing may be learnt from them",
        )
    bars_a_day = _bars_a_day(tape)
    return Material(
        name=f"lake {symbol}",
        source=f"{symbol} of {pinned(manifest)}",
        tape=tape,
        bars_a_day=bars_a_day,
        # The indicators remember a session and the one before.
        embargo=2 * bars_a_day,
        episode_bars=bars_a_day,
        manifest=manifest,
        is_live=True,
        feed=feed_of(rows, symbol),
        symbol=symbol,
        data=f"lake {symbol}",
        setting={"history_spread_bps": history_spread_bps},
    )


def _too_short(symbol: str, minutes: int) -> FixSetup:
    return FixSetup(
        FEATURES.name,
        f"{minutes} minutes of {symbol} exist, {LEAST_MINUTES} are needed",
        "Let the pipeline run on, let it begin with more of the simulator's past "
        "(simulator.history_sessions=9), or study a file: `make train BARS=…`",
    )


def pinned(manifest: Manifest) -> str:
    """Return the versions of the tables that a tape is made of, as text."""
    held = ((name, manifest.versions.get(name)) for name in _READ)
    return ", ".join(f"{name}@{version}" for name, version in held)


def read_versions(manifest: Manifest | None) -> dict[str, int] | None:
    """Return the versions of the tables that a tape is made of; None for a file."""
    if manifest is None:
        return None
    return {
        name: manifest.versions[name] for name in _READ if name in manifest.versions
    }


def _days(rows: LakeRows, symbol: str) -> tuple[date, date]:
    mine = {"symbol": [symbol]}
    starts = rows.find(FEATURES, ("window_start",), pc.scalar(True), mine)[0]
    if not len(starts):
        return _ALL_DAYS[0], _ALL_DAYS[0]
    ends = pc.min_max(starts).as_py()
    return ends["min"].date(), ends["max"].date()


def _bars_a_day(tape: Tape) -> int:
    return round(len(tape) / len(np.unique(tape.session)))
