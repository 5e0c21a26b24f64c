"""``bronze.records`` -> messages: wire records opened, every message judged.

A message is either accepted, and then the column named as its table is filled, or it
becomes a row of ``rejects`` with a reason. Alpaca's keys end
here; behind this border columns have the contracts' names.
"""

from collections.abc import Iterable
from functools import reduce
from types import ModuleType

import msgspec
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

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
from silver.times import event_time_ns, nanoseconds_to_timestamp

_CORRUPT = "_corrupt"
_SPARK_TYPES: dict[object, DataType] = {
    str: StringType(),
    int: LongType(),
    float: DoubleType(),
    bool: BooleanType(),
    list[str]: ArrayType(StringType()),
}
_ACCEPTED_KINDS = ("data", "backfill", "history", "gap")
_IGNORED_KINDS = ("heartbeat",)
_TICKS = (wire.Trade, wire.Quote, wire.CancelError)
_OTHERS = (
    wire.Bar,
    wire.Correction,
    wire.Status,
    wire.PriceBand,
    wire.AccountMessage,
    gap_record.GapTransition,
)
_TICK_TYPES = ("t", "q", "x")
_TABLES: dict[str, ModuleType] = {
    "trades": trades,
    "quotes": quotes,
    "bars": bars,
    "corrections": corrections,
    "statuses": statuses,
    "orders": orders,
    "gaps": gaps,
    "rejects": rejects,
}
_TYPES = {
    "trades": ("t",),
    "quotes": ("q",),
    "bars": ("b", "u", "d"),
    "corrections": ("c", "x"),
    "statuses": ("s", "l"),
    "orders": ("trade_updates",),
    "gaps": (gap_record.MESSAGE_TYPE,),
}
_MAX_TEXT = envelope.MAX_RAW_CHARACTERS

_HEADER = StructType(
    [
        StructField("schema_version", IntegerType()),
        StructField("kind", StringType()),
        StructField("epoch", StringType()),
        StructField("source", StringType()),
        StructField("late", BooleanType()),
    ]
)


def to_messages(records: DataFrame, future_max_s: int, *, late: bool) -> DataFrame:
    """Open bronze records and judge each message.

    Args:
        records: Rows of ``bronze.records``, streaming or bounded. Building this plan
            costs half a second, so a job builds it once, on the stream.
        future_max_s: A message further ahead of the market clock is rejected.
        late: Take the records that the producer marked as late, or all others.

    Returns:
        One row per accepted or rejected message: ``table`` (contract name), ``key``
        (text that is equal for copies of one event), and one column for each table,
        of which one holds an array with the row and the others are null. A null
        array costs nothing on its way, a null struct as much as its columns.
    """
    opened = _open_records(records, late=late)
    judged = _judge(_parse_lines(opened), future_max_s)
    return judged.select(
        F.concat(F.lit("silver."), "destination").alias("table"),
        _key().alias("key"),
        *(
            F.when(F.col("destination") == name, F.array(module.to_struct()))
            .cast(ArrayType(nullable_schema(TABLES[f"silver.{name}"])))
            .alias(name)
            for name, module in _TABLES.items()
        ),
    )


def keep_one_copy(messages: DataFrame) -> DataFrame:
    """Keep one row per event of a batch: MERGE inserts what it is given twice, twice.

    Args:
        messages: Rows of ``to_messages``, bounded: on a stream this would keep every
            key as state.

    Returns:
        The same columns, one row per (``table``, ``key``).
    """
    return messages.dropDuplicates(["table", "key"])


def _key() -> Column:
    keys = (
        F.when(F.col("destination") == name, module.key())
        for name, module in _TABLES.items()
    )
    return F.coalesce(*keys)


def _open_records(records: DataFrame, *, late: bool) -> DataFrame:
    """One row per line; a record that cannot be opened is one row with its text."""
    # Readers of the lake refuse a file with a string that is not UTF-8.
    text = F.make_valid_utf8(F.col("data").cast("string"))
    header = F.from_json(F.substring_index(text, "\n", 1), _HEADER)
    version, kind = F.col("header.schema_version"), F.coalesce("header.kind", F.lit(""))
    headed = with_computed(records, header=header).select(
        "arrival_time",
        "shard_id",
        "sequence_number",
        "data",
        kind.alias("kind"),
        F.col("header.epoch").alias("epoch"),
        F.coalesce("header.late", F.lit(False)).alias("late"),
        (
            version.eqNullSafe(envelope.SCHEMA_VERSION)
            & kind.isin(*_ACCEPTED_KINDS)
            & F.col("header.epoch").isNotNull()
        ).alias("is_readable"),
    )
    # Splitting is the costly part: only records of this query come so far.
    is_mine = ~F.col("kind").isin(*_IGNORED_KINDS) & (F.col("late") == late)
    lines = F.split(text, "\n")
    body = F.when(F.col("is_readable"), F.slice(lines, 2, F.size(lines)))
    return (
        headed.where(is_mine)
        .select("*", F.posexplode(body.otherwise(F.array(text))))
        .withColumn(
            "position", F.when(F.col("is_readable"), F.col("pos") + 1).otherwise(0)
        )
        .withColumnRenamed("col", "text")
        .drop("pos", "data", "late")
    )


def _parse_lines(lines: DataFrame) -> DataFrame:
    """Parse trades, quotes and cancels, which share no key of two types, in one go.

    Bars use ``c`` for a price where trades have a list of conditions, and so on: the
    few of the other types are parsed again, with a schema that no two of them dispute.
    """
    corrupt = {"columnNameOfCorruptRecord": _CORRUPT}
    tick = F.from_json("text", _line_schema(_TICKS), corrupt)
    other = F.from_json("text", _line_schema(_OTHERS), corrupt)
    is_tick = F.coalesce("T", F.lit("")).isin(*_TICK_TYPES)
    is_other = F.col("is_readable") & ~is_tick
    ticks = with_computed(lines, tick=F.when(F.col("is_readable"), tick))
    typed = ticks.withColumn("T", F.col("tick.d.T"))
    parsed = with_computed(typed, other=F.when(is_other, other))
    # A message of the account stream says its type as `stream`.
    named = parsed.withColumn("T", F.coalesce("T", "other.d.stream"))
    order = "other.d.data.order.symbol"
    return with_computed(
        named,
        corrupt=F.when(is_other, F.col(f"other.{_CORRUPT}"))
        .otherwise(F.col(f"tick.{_CORRUPT}"))
        .isNotNull(),
        table=_table(),
        symbol=F.coalesce("tick.d.S", order),
        event_ns=event_time_ns(
            F.coalesce("tick.d.t", "other.d.t", "other.d.data.timestamp")
        ),
        market_ns=F.col("tick.m"),
        receive_time=nanoseconds_to_timestamp(F.col("tick.r")),
        market_time=nanoseconds_to_timestamp(F.col("tick.m")),
        ingest_time=F.current_timestamp(),
    )


def _table() -> Column:
    """Return the table that takes messages of a line's type, or null."""
    return F.coalesce(
        *(F.when(F.col("T").isin(*types), name) for name, types in _TYPES.items())
    )


def _line_schema(messages: Iterable[type[msgspec.Struct]]) -> StructType:
    """Return the schema of a line whose message is one of ``messages``."""
    fields = {"T": StructField("T", StringType())}
    for message in messages:
        fields |= {field.name: field for field in _fields(message)}
    return StructType(
        [
            StructField("f", LongType()),
            StructField("i", IntegerType()),
            StructField("r", LongType()),
            StructField("m", LongType()),
            StructField("o", IntegerType()),
            StructField("e", StringType()),
            StructField("x", StringType()),
            StructField("d", StructType(list(fields.values()))),
            StructField(_CORRUPT, StringType()),
        ]
    )


def _fields(message: type[msgspec.Struct]) -> list[StructField]:
    return [
        StructField(key, _spark_type(kind))
        for key, (_, kind) in wire.wire_fields(message).items()
    ]


def _spark_type(kind: type) -> DataType:
    simple = _SPARK_TYPES.get(kind)
    return simple or StructType(_fields(kind))


def _judge(lines: DataFrame, future_max_s: int) -> DataFrame:
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
                (F.col("table") == name, _TABLES[name].reject_reason())
                for name in _TYPES
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


def with_computed(frame: DataFrame, **columns: Column) -> DataFrame:
    """Add columns, each computed once per row, however often it is used later.

    Spark copies an expression to wherever its column is used, and a filter on it moves
    down past every step: a message would be parsed dozens of times. Neither happens
    past a generator, so the columns come out of one that yields a single row.
    """
    named = F.struct(*(column.alias(name) for name, column in columns.items()))
    return frame.select("*", F.inline(F.array(named)))


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
