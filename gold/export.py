"""Closed days of ``gold.symbol_stats`` as plain Parquet, for tools without Delta.

``<lake>/export/symbol_stats/day=2026-11-23/symbol=AAPL/stats.parquet`` holds what the
table holds; late trades and corrections restate it. Each file is replaced at once, and
what the disk budget drops from the table stays here.
"""

import hashlib
from pathlib import Path
from urllib.parse import quote

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from conf.lake.read import scan
from conf.lake.roots import absolute, table_uri
from conf.lake.tables import SYMBOL_STATS

_STATE = "_days.json"
_ORDER = [(name, "ascending") for name in ("window_length_s", "window_start")]


class Exported(msgspec.Struct, frozen=True):
    """What was written of one day.

    Attributes:
        version: Of the table.
        files_hash: Names the table's files of the day; others mean other rows.
    """

    version: int
    files_hash: str


def export_closed_days(root: str) -> list[str]:
    """Write the days that are over and have changed since they were written.

    Args:
        root: The lake, a local folder.

    Returns:
        The days, as RFC 3339 text, oldest first.
    """
    table = DeltaTable(table_uri(root, SYMBOL_STATS))
    folder = Path(absolute(root)) / "export" / "symbol_stats"
    state = _read_state(folder)
    written = []
    for day in _closed_days(table):
        now = Exported(table.version(), _files_hash(table, day))
        if day not in state or state[day].files_hash != now.files_hash:
            _write_day(root, folder / f"day={day}", day, now.version)
            state[day] = now
            _replace(folder / _STATE, msgspec.json.encode(state))
            written.append(day)
    return written


def _closed_days(table: DeltaTable) -> list[str]:
    """Return every day but the newest, in order."""
    return sorted({str(partition["day"]) for partition in table.partitions()})[:-1]


def _files_hash(table: DeltaTable, day: str) -> str:
    files = table.file_uris(file_pruning_predicate=[("day", "=", day)])
    return hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()


def _write_day(root: str, folder: Path, day: str, version: int) -> None:
    where = f"day = DATE '{day}'"
    rows = scan(root, SYMBOL_STATS, where=where, version=version)
    kept = set[str]()
    for symbol in pc.unique(rows["symbol"]).to_pylist():
        # The folders' names hold these columns, as Spark, DuckDB and Arrow read them.
        of_symbol = rows.filter(pc.field("symbol") == symbol)
        stored = of_symbol.drop_columns(["day", "symbol"]).sort_by(_ORDER)
        name = f"symbol={quote(symbol, safe='')}"
        sink = pa.BufferOutputStream()
        pq.write_table(stored, sink, compression="zstd")
        _replace(folder / name / "stats.parquet", sink.getvalue())
        kept.add(name)
    for path in folder.glob("symbol=*/stats.parquet"):
        if path.parent.name not in kept:
            path.unlink()


def _replace(path: Path, content: bytes | pa.Buffer) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def _read_state(folder: Path) -> dict[str, Exported]:
    try:
        text = (folder / _STATE).read_bytes()
    except FileNotFoundError:
        return {}
    return msgspec.json.decode(text, type=dict[str, Exported])
