"""``bronze.records`` -> messages: every message judged.

A message is either accepted, and then the column named as its table is filled, or it
becomes a row of ``rejects`` with a reason. Alpaca's keys end here; behind this border
columns have the contracts' names.
"""

from collections.abc import Mapping
from functools import reduce
from types import ModuleType

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from conf.lake.spark_schema import nullable_schema
from conf.lake.tables import TABLES
from conf.market import envelope, wire
from conf.market import gaps as gap_record
from silver import (
    bars,
    corrections,
    gaps,
    orders,
    quotes,
    rejects,
    statuses,
    trades,
)
from silver.lines import open_records, parse_lines, with_computed

_TYPES = {
    "trades": ("t",),
    "quotes": ("q",),
    "bars": ("b", "u", "d"),
    "corrections": ("c", "x"),
    "statuses": ("s", "l"),
    "orders": ("trade_updates",),
    "gaps": (gap_record.MESSAGE_TYPE,),
}
EVENT = ("table", "key")
"""Columns of a message that are equal for copies of one event."""
Tables = Mapping[str, ModuleType]
_HOT: Tables = {
    "trades": trades,
    "quotes": quotes,
    "bars": bars,
    "corrections": corrections,
    "statuses": statuses,
    "rejects": rejects,
}
# Gaps and order updates come in records of their own. Planning a batch costs the more
# the more tables it has, so the hot query does not know these.
_AT_LEISURE: Tables = {**_HOT, "orders": orders, "gaps": gaps}
_MAX_TEXT = envelope.MAX_RAW_CHARACTERS


def to_messages(records: DataFrame, future_max_s: int, *, late: bool) -> DataFrame:
    """Open bronze records and judge each message.

    Args:
        records: Rows of ``bronze.records``, streaming or bounded. Building this plan
            costs half a second, so a job builds it once, on the stream.
        future_max_s: A message further ahead of the market clock is rejected.
        late: Take the records that can wait, which are those that the producer marked
            as late, gaps and the account's; or all others.

    Returns:
        One row per accepted or rejected message: ``table`` (contract name), ``key``
        (text that is equal for copies of one event), and one column for each table,
        of which one holds an array with the row and the others are null. A null
        array costs nothing on its way, a null struct as much as its columns.
    """
    return judge(open_records(records, late=late), future_max_s, late=late)


def judge(lines: DataFrame, future_max_s: int, *, late: bool) -> DataFrame:
    """Judge each line of records.

    Args:
        lines: Rows of ``silver.lines.open_records``.
        future_max_s: As for ``to_messages``.
        late: The same.

    Returns:
        See ``to_messages``.
    """
    tables = _AT_LEISURE if late else _HOT
    lines = parse_lines(lines, _table(tables))
    judged = _judge(lines, tables, future_max_s)
    return judged.select(
        F.concat(F.lit("silver."), "destination").alias("table"),
        _key(tables).alias("key"),
        *(
            F.when(F.col("destination") == name, F.array(module.to_struct()))
            .cast(ArrayType(nullable_schema(TABLES[f"silver.{name}"])))
            .alias(name)
            for name, module in tables.items()
        ),
    )


def _key(tables: Tables) -> Column:
    keys = (
        F.when(F.col("destination") == name, module.key())
        for name, module in tables.items()
    )
    return F.coalesce(*keys)


def _table(tables: Tables) -> Column:
    """Return the table that takes messages of a line's type, or null."""
    return F.coalesce(
        *(
            F.when(F.col("T").isin(*types), name)
            for name, types in _types(tables).items()
        )
    )


def _types(tables: Tables) -> dict[str, tuple[str, ...]]:
    return {name: types for name, types in _TYPES.items() if name in tables}


def _judge(lines: DataFrame, tables: Tables, future_max_s: int) -> DataFrame:
    reason = _first_reason(
        [
            (~F.col("is_readable"), F.lit("not a wire record of version 1")),
            (F.col("tick.e").isNotNull(), F.col("tick.e")),
            (_is_no_line(), F.lit("not a line of a wire record")),
            (F.col("T").isNull(), F.lit("no message type")),
            (F.col("table").isNull(), _unknown_type()),
            (F.col("corrupt"), F.lit("a field has the wrong type")),
            (_is_no_ticker(), F.lit("no symbol")),
            (F.col("event_ns").isNull(), F.lit("no RFC 3339 event time in UTC")),
            (
                # The end of all numbers has no future: null, not an error.
                F.col("event_ns")
                > F.try_add("market_ns", F.lit(future_max_s * 1_000_000_000)),
                F.lit(f"event time more than {future_max_s} s in the future"),
            ),
            *(
                (F.col("table") == name, tables[name].reject_reason())
                for name in _types(tables)
            ),
        ]
    )
    reasoned = with_computed(lines, reason=reason)
    return with_computed(
        reasoned,
        destination=F.when(F.col("reason").isNull(), F.col("table")).otherwise(
            "rejects"
        ),
        message=F.substring(F.coalesce("tick.x", "text"), 1, _MAX_TEXT),
    )


def _first_reason(rules: list[tuple[Column, Column]]) -> Column:
    """Return the reason of the first rule that holds; a null reason is no reason."""
    return F.coalesce(*(F.when(holds, reason) for holds, reason in rules))


def _is_no_line() -> Column:
    required = (F.col(f"tick.{key}").isNull() for key in ("f", "r", "m", "d"))
    return reduce(Column.__or__, required)


def _is_no_ticker() -> Column:
    symbol = F.col("symbol")
    is_every = (symbol == gap_record.EVERY_SYMBOL) & (F.col("table") == "gaps")
    is_ticker = symbol.rlike("^[A-Z][A-Z0-9./-]{0,19}$") | is_every
    return symbol.isNull() | ~is_ticker


def _unknown_type() -> Column:
    known = F.col("T").isin(*wire.KNOWN_TYPES)
    return F.when(
        known, F.concat(F.lit("no table takes messages of type "), "T")
    ).otherwise(F.concat(F.lit("unknown message type "), F.substring("T", 1, 20)))
