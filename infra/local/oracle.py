"""The judge: is what was sent in the lake, once, and unchanged?

It stands outside the pipeline on purpose: DuckDB compares every field of every row
with what the market sent (``truth``) and what Kinesis stored (``stream_contents``).
Bronze must equal the stream byte for byte; silver must hold each event of the truth
once, with the lineage of a stored line that carries it; gold must equal a recount.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from conf.lake.files import rows_of_version
from conf.lake.tables import TABLES
from infra.local import owed, recount, stream_contents, truth
from infra.local.comparison import TableReport, compare, count, rows
from infra.local.kinds import KINDS
from infra.local.ledger import LEDGERS, judge_ledger

_TIMES = {"bars": ("window_start", "window_end")}
_ARRIVED = "kind <> 'history'"
_REPORTED = {"bars": f"source = 'alpaca' AND {_ARRIVED}"}
_EVENT_TIME = ("event_time",)
_LINEAGE = {
    "receive_time": "receive_us",
    "market_time": "market_us",
    "arrival_time": "arrival_us",
}


@dataclass(frozen=True)
class Report:
    """Verdict on a lake, table by table."""

    tables: list[TableReport]
    late_restated: int
    """Late events that have their row."""
    rejected: int
    """Rejected messages; one that Kinesis holds twice counts once."""

    def total(self, attribute: str, tables: str = "") -> int:
        """Return the sum of one count over the tables whose name starts so."""
        chosen = [table for table in self.tables if table.table.startswith(tables)]
        return sum(getattr(table, attribute) for table in chosen)


def open_database(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Return an empty database for ``judge``, which spills to a folder if it must."""
    db = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "temp_directory": str(scratch / "spill"),
        }
    )
    db.execute("SET TimeZone = 'UTC'")
    return db


def judge(
    db: duckdb.DuckDBPyConnection,
    lake: Path,
    *,
    truth_dir: Path,
    kinesis: Path,
    only_stored: bool = False,
    with_missed: bool = False,
) -> Report:
    """Compare a lake at rest with what was sent.

    Args:
        db: Of ``open_database``; keeps the tables of ``truth``, ``stream_contents``
            and ``recount`` for what follows.
        lake: Folder of the tables.
        truth_dir: The simulator's.
        kinesis: The emulator's SQLite file.
        only_stored: The lake owes what Kinesis stored, not all that was sent: a
            process before it was killed.
        with_missed: The lake owes what no client was handed, too; see ``owed``.
    """
    load = owed.load if with_missed else truth.load_sent
    load(db, truth_dir)
    stream_contents.load(db, kinesis)
    if only_stored:
        stream_contents.expect_stored(db)
    if with_missed:
        owed.forgive_what_is_named(db)
        owed.follow_restated_minutes(db)
    truth.expect(db)
    for table in ("bronze.records", "silver.rejects", "gold.symbol_stats"):
        _load(db, lake, table)
    for name in KINDS:
        times = _integers((*_TIMES.get(name, _EVENT_TIME), *_LINEAGE))
        _load(db, lake, f"silver.{name}", times, _REPORTED.get(name, _ARRIVED))
    for name, ledger in LEDGERS.items():
        _load(db, lake, f"silver.{name}", _integers((*ledger.times, *_LINEAGE)))
    if with_missed:
        owed.drop_earlier_bars(db)
    tables = [
        _judge_bronze(db),
        *(_judge_silver(db, name) for name in KINDS),
        *(judge_ledger(db, name) for name in LEDGERS),
        _judge_rejects(db),
        recount.judge_stats(db),
    ]
    late = sum(_late_restated(db, name) for name in ("trades", "quotes"))
    return Report(tables, late, count(db, "FROM rejected_messages"))


def _load(
    db: duckdb.DuckDBPyConnection,
    lake: Path,
    table: str,
    more: str = "",
    where: str = "true",
) -> None:
    """Make ``stored_<name>`` of the table's newest version.

    DuckDB opens the files itself: through an Arrow dataset it cannot compare a text
    with the statistics of a file in which all texts are equal.
    """
    contract = TABLES[table]
    held = rows_of_version(db, contract, DeltaTable(lake / contract.path))
    name = contract.name.removeprefix(f"{contract.layer}.")
    db.execute(
        f"""
        CREATE OR REPLACE TABLE stored_{name} AS
        SELECT * {more} FROM ({held}) WHERE {where}
        """
    )


def _integers(times: Iterable[str]) -> str:
    """Return SQL for a silver table's timestamps as integers, beside themselves."""
    return "".join(
        f", epoch_us({time}) AS {_LINEAGE.get(time, f'{time}_us')}" for time in times
    )


def _judge_bronze(db: duckdb.DuckDBPyConnection) -> TableReport:
    db.execute(
        """
        CREATE OR REPLACE TABLE expected_records AS
        SELECT '' AS symbol, *, make_timestamp(arrival_us)::DATE AS day FROM records;
        CREATE OR REPLACE TABLE held_records AS
        SELECT '' AS symbol, shard_id, sequence_number, partition_key,
            epoch_us(arrival_time) AS arrival_us, md5(data) AS payload_md5, day
        FROM stored_records
        """
    )
    return compare(
        db,
        "bronze.records",
        expected="expected_records",
        stored="held_records",
        columns=_columns_of(db, "held_records"),
    )


def _judge_silver(db: duckdb.DuckDBPyConnection, name: str) -> TableReport:
    report = compare(
        db,
        f"silver.{name}",
        expected=f"expected_{name}",
        stored=f"stored_{name}",
        columns=truth.columns(name),
    )
    event_ns = "window_start_us * 1000" if name == "bars" else "s.event_time_ns"
    strays = f"""
        FROM stored_{name} AS s WHERE NOT EXISTS (
            SELECT 1 FROM lines AS l
            WHERE l.shard_id = s.shard_id AND l.sequence_number = s.sequence_number
                AND l.position = s.position AND l.kind = s.kind AND l.epoch = s.epoch
                AND l.receive_us = s.receive_us AND l.market_us = s.market_us
                AND l.arrival_us = s.arrival_us AND l.symbol = s.symbol
                AND l.event_time_ns = {event_ns}
        )
    """
    examples = report.examples | {"stray": rows(db, f"SELECT * {strays}")}
    altered = report.altered + count(db, strays)
    return replace(report, altered=altered, examples=examples)


def _judge_rejects(db: duckdb.DuckDBPyConnection) -> TableReport:
    """Compare texts: a rejected message has no key of its own.

    A resent Kinesis record is another record, so a message may be rejected once per
    stored copy of it; only what goes beyond the copies is a duplicate.
    """
    db.execute(
        f"""
        CREATE OR REPLACE TABLE rejected AS
        SELECT '' AS symbol, CASE WHEN contains(message, left(text, 60000))
            THEN {_key("text")} ELSE {_key("message")} END AS text,
            length(reason) > 0 AS has_reason
        FROM stored_rejects
            LEFT JOIN lines USING (shard_id, sequence_number, position);
        CREATE OR REPLACE TABLE rejected_messages AS
        WITH copies AS (
            SELECT {_key("text")} AS text, count(*) AS copies FROM lines GROUP BY ALL
        ),
        owed AS (SELECT text, count(*) AS owed FROM expected_rejects GROUP BY ALL),
        numbered AS (
            SELECT *, row_number() OVER (PARTITION BY text) AS nth FROM rejected
        )
        SELECT symbol, text, has_reason
        FROM numbered LEFT JOIN owed USING (text) LEFT JOIN copies USING (text)
        WHERE nth <= coalesce(owed, 0) OR nth > coalesce(copies, 0) OR owed IS NULL
        """
    )
    db.execute(
        "ALTER TABLE expected_rejects ADD COLUMN has_reason BOOLEAN DEFAULT true"
    )
    return compare(
        db,
        "silver.rejects",
        expected="expected_rejects",
        stored="rejected_messages",
        columns=["symbol", "text", "has_reason"],
    )


def _late_restated(db: duckdb.DuckDBPyConnection, name: str) -> int:
    same = " AND ".join(
        f"s.{column} IS NOT DISTINCT FROM e.{column}" for column in truth.columns(name)
    )
    return count(
        db,
        f"FROM expected_{name} AS e WHERE is_late"
        f" AND EXISTS (SELECT 1 FROM stored_{name} AS s WHERE {same})",
    )


def _key(column: str) -> str:
    return truth.REJECT_KEY.format(column)


def _columns_of(db: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [name for name, *_ in db.execute(f"DESCRIBE {table}").fetchall()]
