"""Computes the features again, all at once, and compares their bytes.

The stream computed them bar by bar, across restarts, late trades and corrections. The
kernel over the bars that count at last must come to the same float64, bit by bit.
Whether the formulas are right is told in ``closed_minutes``, without the kernel.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from conf.market.indicator_kernel import Records
from conf.market.indicators import BAR, FEATURES, advance, new_state
from conf.market.sessions import fill_times, load_sessions
from infra.local.comparison import EXAMPLES, TableReport

TABLE = "silver.recomputed_features"
"""Its name in the report."""
_INPUTS = ("close", "volume", "bid_price", "ask_price")
_US_TO_NS = 1000


def judge(db: duckdb.DuckDBPyConnection) -> TableReport:
    """Compare the newest features of each minute with those of one computation.

    Args:
        db: With the tables that ``closed_minutes.load`` makes.
    """
    values = FEATURES.names or ()
    table = db.sql(
        f"""
        WITH newest AS (
            SELECT * FROM minute_features QUALIFY 1 = row_number() OVER (
                PARTITION BY symbol, window_start_us ORDER BY revision DESC
            )
        )
        SELECT symbol, window_start_us, {", ".join((*_INPUTS, *values))}
        FROM chosen_bars LEFT JOIN newest USING (symbol, window_start_us)
        WHERE coalesce(bar_count, 1) > 0
        ORDER BY window_start_us, symbol
        """
    ).to_arrow_table()
    again = _computed(table)
    is_stored = table["bar_count"].is_valid().to_numpy()
    differs = {name: is_stored & ~_same(table[name], again[name]) for name in values}
    is_altered = np.logical_or.reduce(list(differs.values()))
    altered = [
        table.slice(place, 1).select(["symbol", "window_start_us"]).to_pylist()[0]
        | {"differs": [name for name, at in differs.items() if at[place]]}
        for place in np.flatnonzero(is_altered)[:EXAMPLES].tolist()
    ]
    return TableReport(
        table=TABLE,
        expected=table.num_rows,
        stored=int(is_stored.sum()),
        lost=0,
        duplicated=0,
        altered=int(is_altered.sum()),
        examples={"altered": altered},
    )


def _computed(table: pa.Table) -> Records:
    names, places = np.unique(table["symbol"].to_numpy(), return_inverse=True)
    records = np.empty(table.num_rows, BAR)
    starts_ns = table["window_start_us"].to_numpy() * _US_TO_NS
    fill_times(records, starts_ns.tolist(), load_sessions())
    records["symbol"] = places
    for name in _INPUTS:
        records[name] = table[name].to_numpy()
    _, features = advance(new_state(len(names)), records)
    return features


def _same(
    stored: pa.ChunkedArray, computed: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Return where the bits are the same; null is NaN."""
    if computed.dtype.kind == "i":
        return np.asarray(stored.fill_null(0).to_numpy() == computed)
    floats = stored.to_numpy()
    bits = floats.view(np.int64) == computed.view(np.int64)
    return np.asarray(bits | (np.isnan(floats) & np.isnan(computed)))
