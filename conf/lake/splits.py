"""Splits: ``<root>/reference/splits.csv``, a small table that a person keeps.

Stored prices stay raw; the view ``silver.bars_adjusted`` divides them. The file lies in
the lake, so a copy of the lake has it too. Columns: ``symbol``, ``ex_date`` (first date
in New York that trades at the new price), ``new_shares`` for ``old_shares``: Apple's
seven for one is ``AAPL,2014-06-09,7,1``.
"""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from conf.errors import FixSetup
from conf.lake.roots import absolute

SCHEMA = pa.schema(
    [
        pa.field("symbol", pa.string(), nullable=False),
        pa.field("ex_date", pa.date32(), nullable=False),
        pa.field("new_shares", pa.int64(), nullable=False),
        pa.field("old_shares", pa.int64(), nullable=False),
    ]
)


def splits_path(root: str) -> str:
    """Return where the splits of a lake are."""
    return f"{absolute(root)}/reference/splits.csv"


def read_splits(root: str, until: date | None = None) -> pa.Table:
    """Return the splits of a lake; none if there is no file.

    Args:
        root: The lake.
        until: Leave out what comes into force later.

    Raises:
        FixSetup: The file does not hold what it should.
    """
    path = splits_path(root)
    if "://" in path or not Path(path).exists():
        return SCHEMA.empty_table()
    try:
        options = pa.csv.ConvertOptions(
            column_types=SCHEMA, include_columns=SCHEMA.names
        )
        splits = pa.csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise _refused(path, str(error)) from error
    if not _is_sound(splits):
        raise _refused(path, "an empty value, no positive count, or a split twice")
    return splits if until is None else splits.filter(pc.field("ex_date") <= until)


def _is_sound(splits: pa.Table) -> bool:
    if any(column.null_count for column in splits.columns):
        return False
    shares = [*splits["new_shares"].to_pylist(), *splits["old_shares"].to_pylist()]
    keys = splits.select(["symbol", "ex_date"]).to_pylist()
    return min(shares, default=1) > 0 and len({(*k.values(),) for k in keys}) == len(
        keys
    )


def _refused(path: str, what: str) -> FixSetup:
    header = ",".join(SCHEMA.names)
    return FixSetup(path, what, f"Columns {header}; AAPL,2014-06-09,7,1")
