"""Tapes of recorded bars, by the indicators that the stream computes.

A file of bars (Parquet: ``timestamp``, ``open``, ``close``, ``volume``; UTC, one
symbol) has no quotes: orders are filled at the next bar's open, half of an assumed
spread beside it.
"""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from conf.errors import FixSetup
from conf.market.indicators import BAR
from models.leaks import Columns, Computed, find_leaks, of_tape
from models.material import Material
from models.observation import columns_of, market_inputs, ordinary_return
from models.tape import Floats, Integers, Tape

DAY_NS = 86_400_000_000_000
MINUTE_NS = 60_000_000_000
_UNIT_UNTIL_KNOWN = 1e-3
_PROVED_BARS = 1_000
_NEEDED = ("timestamp", "open", "close", "volume")


@dataclass(frozen=True)
class Bars:
    """Recorded bars of one symbol, ascending; prices in USD, adjusted for splits."""

    time_ns: Integers
    open: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def digest(self) -> str:
        """SHA-256 of every column, whatever the file is called or holds beside them."""
        known = hashlib.sha256()
        for column in fields(self):
            known.update(getattr(self, column.name).tobytes())
        return known.hexdigest()


def read_bars(path: Path) -> Bars:
    """Read a file of bars.

    Raises:
        FixSetup: It is not there or has not the columns needed.
    """
    try:
        table = pq.read_table(path, columns=list(_NEEDED))
    except (OSError, KeyError, ValueError) as error:
        raise FixSetup(
            str(path), f"no bars: {error}", f"Name a Parquet file with {_NEEDED}"
        ) from error
    missing = set(_NEEDED) - set(table.column_names)
    if missing:
        raise FixSetup(
            str(path), f"misses {sorted(missing)}", f"Columns needed: {_NEEDED}"
        )
    time = table["timestamp"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    prices = (table[name].to_numpy().astype(np.float64) for name in _NEEDED[1:])
    return Bars(time, *prices)


def tape_of(bars: Bars, spread_bps: float, days_a_session: int = 1) -> Tape:
    """Return bars as an agent trades them.

    Args:
        bars: Recorded bars of any length.
        spread_bps: Assumed spread around the next open.
        days_a_session: Days that the indicators take for one session. They remember a
            session and the one before: bars of an hour need a month of days for
            indicators of 60 bars. A bar counts as a minute, whatever it lasts.
    """
    day = bars.time_ns // DAY_NS
    numbered = np.unique(day, return_inverse=True)[1]
    session = numbered // days_a_session
    begins = np.searchsorted(session, session)
    ends = np.searchsorted(session, session, side="right")
    place = np.arange(len(bars), dtype=np.int64)
    rows = np.zeros(len(bars), BAR)
    rows["session"] = session
    rows["session_open_ns"] = begins * MINUTE_NS
    rows["session_close_ns"] = ends * MINUTE_NS
    rows["window_start_ns"] = place * MINUTE_NS
    rows["close"], rows["volume"], rows["split_ratio"] = bars.close, bars.volume, 1.0
    columns = columns_of(rows)
    # How long a session lasts is not known from a bar of it: only its beginning is.
    columns["minutes_to_close"] = -columns["minutes_since_open"]
    following = np.append(bars.open[1:], np.nan)
    half = spread_bps / 2 * 1e-4
    unit = ordinary_return(columns)
    return Tape(
        time_ns=bars.time_ns,
        session=numbered.astype(np.int64),
        features=market_inputs(columns),
        mark=bars.close,
        bid=following * (1 - half),
        ask=following * (1 + half),
        unit=np.nan_to_num(unit, nan=_UNIT_UNTIL_KNOWN),
    )


def proves_honest(bars: Bars, spread_bps: float, days_a_session: int) -> list[str]:
    """Return what of these bars' tape looks ahead; empty if nothing does.

    The first bars are enough: every row is computed alike.
    """
    first = slice(0, _PROVED_BARS)
    time = bars.time_ns[first]
    columns = {name: getattr(bars, name)[first] for name in _NEEDED[1:]}

    def compute(raw: Columns) -> Computed:
        known = Bars(raw["time_ns"], raw["open"], raw["close"], raw["volume"])
        return of_tape(tape_of(known, spread_bps, days_a_session))

    moments = time[:: max(len(time) // 5, 1)][1:4]
    leaks = find_leaks(compute, {"time_ns": time, **columns}, time, moments.tolist())
    return [f"{leak.output} {leak.reason}" for leak in leaks]


def study_of_bars(path: Path, spread_bps: float, days_a_session: int) -> Material:
    """Return a file of bars as something to be studied.

    Raises:
        FixSetup: There are no bars, or their tape looks ahead.
    """
    bars = read_bars(path)
    leaks = proves_honest(bars, spread_bps, days_a_session)
    if leaks:
        raise FixSetup(str(path), f"looks ahead: {leaks}", "Mend models/history.py")
    tape = tape_of(bars, spread_bps, days_a_session)
    bars_a_day = round(len(tape) / len(np.unique(tape.session)))
    return Material(
        name=path.stem,
        source=path.name,
        tape=tape,
        bars_a_day=bars_a_day,
        embargo=2 * days_a_session * bars_a_day,
        episode_bars=21 * bars_a_day,
        data=bars.digest,
        setting={
            "file": path.name,
            "file_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "spread_bps": spread_bps,
            "session_days": days_a_session,
        },
    )
