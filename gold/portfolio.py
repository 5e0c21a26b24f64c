"""``gold.portfolio``: where the paper accounts stand, as the tables tell it.

``models.paper`` makes the rows; here they are found again after a restart or a change
of the model.
"""

import pyarrow as pa
import pyarrow.compute as pc

from conf.lake.tables import PORTFOLIO, SIGNALS
from conf.market.sessions import load_sessions
from models.decisions import IS_FOLLOWED, Row
from models.fills import nanoseconds
from models.lake_rows import LakeRows
from models.paper import Standing


def read_standings(root: str, model_version: str) -> dict[str, Standing]:
    """Return where each symbol's account of a model stands.

    Args:
        root: The lake; the tables exist.
        model_version: Whose accounts.
    """
    rows = LakeRows(root)
    mine = {"model_version": [model_version]}
    names = ("symbol", "window_start", "reason")
    keys = rows.find(SIGNALS, names, pc.scalar(True), mine).filter(IS_FOLLOWED)
    newest = keys.group_by("symbol").aggregate([("window_start", "max")])
    starts = newest["window_start_max"].unique().to_pylist()
    if not starts:
        return {}
    at = pc.field("window_start").isin(starts)
    told = rows.find(SIGNALS, SIGNALS.column_names, at, mine)
    signals = _newest(told.filter(IS_FOLLOWED))
    followed = rows.find(PORTFOLIO, PORTFOLIO.column_names, at, mine).to_pylist()
    by_key = {(row["symbol"], row["window_start"]): row for row in followed}
    sessions = load_sessions().at(nanoseconds(r["window_start"]) for r in signals)
    return {
        row["symbol"]: Standing(
            row, by_key.get((row["symbol"], row["window_start"])), int(session)
        )
        for row, session in zip(signals, sessions, strict=True)
    }


def _newest(signals: pa.Table) -> list[Row]:
    """Return the newest row of each symbol."""
    ordered = signals.sort_by("window_start").to_pylist()
    return list({row["symbol"]: row for row in ordered}.values())
