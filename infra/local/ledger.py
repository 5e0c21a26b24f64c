"""Judges gaps and orders, of which the market's truth knows nothing.

What Kinesis stored is the truth: each transition of a gap and each order update has
one row, and every row says what the line says that it names as its origin.
"""

# ruff: noqa: S608 - every name in this SQL is one of our own

from dataclasses import dataclass, replace

import duckdb

from infra.local.comparison import TableReport, compare, count, rows

_LINEAGE = (
    "shard_id",
    "sequence_number",
    "position",
    "kind",
    "epoch",
    "receive_us",
    "market_us",
    "arrival_us",
)


@dataclass(frozen=True)
class Ledger:
    """How one table's lines are parsed.

    Attributes:
        where: SQL for its lines.
        key: Columns that name a row.
        fields: Column -> SQL over ``text``.
        times: Columns of the stored table that are compared as microseconds.
    """

    where: str
    key: tuple[str, ...]
    fields: dict[str, str]
    times: tuple[str, ...]


def _text(path: str) -> str:
    return f"json_extract_string(text, '$.{path}')"


def _number(path: str) -> str:
    return f"{_text(path)}::DOUBLE"


def _us(path: str) -> str:
    return f"epoch_us({_text(path)}::TIMESTAMPTZ)"


GAPS = Ledger(
    where="kind = 'gap'",
    key=("gap_id", "state"),
    fields={
        "symbol": _text("S"),
        "gap_id": _text("gap_id"),
        "state": _text("state"),
        "channel": _text("channel"),
        "cause": _text("cause"),
        "start_time_us": _us("from"),
        "end_time_us": _us("to"),
        "known_time_us": _us("t"),
        "backfilled_rows": f"{_text('rows')}::BIGINT",
        "detail": _text("detail"),
    },
    times=("start_time", "end_time", "known_time"),
)
ORDERS = Ledger(
    where="is_account",
    key=("order_id", "event", "event_time_ns", "execution_id"),
    fields={
        "symbol": _text("data.order.symbol"),
        "event_time_ns": f"epoch_ns({_text('data.timestamp')}::TIMESTAMP_NS)",
        "order_id": _text("data.order.id"),
        "event": _text("data.event"),
        "execution_id": f"coalesce({_text('data.execution_id')}, '')",
        "client_order_id": _text("data.order.client_order_id"),
        "status": _text("data.order.status"),
        "side": _text("data.order.side"),
        "order_type": _text("data.order.type"),
        "time_in_force": _text("data.order.time_in_force"),
        "quantity": _number("data.order.qty"),
        "notional": _number("data.order.notional"),
        "limit_price": _number("data.order.limit_price"),
        "stop_price": _number("data.order.stop_price"),
        "filled_quantity": _number("data.order.filled_qty"),
        "filled_price_mean": _number("data.order.filled_avg_price"),
        "fill_price": _number("data.price"),
        "fill_quantity": _number("data.qty"),
        "position_quantity": _number("data.position_qty"),
    },
    times=(),
)
LEDGERS = {"gaps": GAPS, "orders": ORDERS}


def judge_ledger(db: duckdb.DuckDBPyConnection, name: str) -> TableReport:
    """Compare ``stored_<name>`` with the ``lines`` of ``stream_contents``.

    A transition may be told more than once with other times: any telling will do.
    """
    ledger = LEDGERS[name]
    fields = ", ".join(f"{sql} AS {column}" for column, sql in ledger.fields.items())
    key = ", ".join(ledger.key)
    db.execute(
        f"""
        CREATE OR REPLACE TABLE told_{name} AS
        SELECT {", ".join(_LINEAGE)}, {fields} FROM lines WHERE {ledger.where};
        CREATE OR REPLACE TABLE expected_{name} AS
        SELECT * FROM told_{name} QUALIFY row_number() OVER (PARTITION BY {key}) = 1
        """
    )
    report = compare(
        db,
        f"silver.{name}",
        expected=f"expected_{name}",
        stored=f"stored_{name}",
        columns=["symbol", *ledger.key],
    )
    columns = ", ".join((*_LINEAGE, *ledger.fields))
    strays = f"SELECT {columns} FROM stored_{name} EXCEPT"
    strays += f" SELECT {columns} FROM told_{name}"
    altered = report.altered + count(db, f"FROM ({strays})")
    examples = report.examples | {"stray": rows(db, strays)}
    return replace(report, altered=altered, examples=examples)
