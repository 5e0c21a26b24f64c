"""Bronze records -> lines: wire records opened, each message parsed.

Alpaca's keys are read here, by the structs of ``conf.market``; ``silver.messages``
judges what was read.
"""

from collections.abc import Iterable

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

from conf.market import envelope, gaps, wire
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
    gaps.GapTransition,
)
_TICK_TYPES = ("t", "q", "x")
_ACCOUNT_SOURCE = "/trade_updates"

_HEADER = StructType(
    [
        StructField("schema_version", IntegerType()),
        StructField("kind", StringType()),
        StructField("epoch", StringType()),
        StructField("source", StringType()),
        StructField("late", BooleanType()),
    ]
)


def open_records(records: DataFrame, *, late: bool) -> DataFrame:
    """Return one row per line; a record that cannot be opened is one, with its text.

    Args:
        records: Rows of ``bronze.records``, streaming or bounded.
        late: See ``silver.messages.to_messages``.
    """
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
        F.coalesce(_can_wait(), F.lit(False)).alias("late"),
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


def _can_wait() -> Column:
    is_account = F.col("header.source").endswith(_ACCOUNT_SOURCE)
    return F.col("header.late") | (F.col("header.kind") == "gap") | is_account


def parse_lines(lines: DataFrame, table: Column) -> DataFrame:
    """Parse trades, quotes and cancels, which share no key of two types, in one go.

    Bars use ``c`` for a price where trades have a list of conditions, and so on: the
    few of the other types are parsed again, with a schema that no two of them dispute.

    Args:
        lines: Rows of ``open_records``.
        table: Which table takes a message, by its type ``T``.

    Returns:
        The same rows, with the message in ``tick`` and, for a rare type, in ``other``.
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
        table=table,
        symbol=F.coalesce("tick.d.S", order),
        event_ns=event_time_ns(
            F.coalesce("tick.d.t", "other.d.t", "other.d.data.timestamp")
        ),
        market_ns=F.col("tick.m"),
        receive_time=nanoseconds_to_timestamp(F.col("tick.r")),
        market_time=nanoseconds_to_timestamp(F.col("tick.m")),
        ingest_time=F.current_timestamp(),
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


def with_computed(frame: DataFrame, **columns: Column) -> DataFrame:
    """Add columns, each computed once per row, however often it is used later.

    Spark copies an expression to wherever its column is used, and a filter on it moves
    down past every step: a message would be parsed dozens of times. Neither happens
    past a generator, so the columns come out of one that yields a single row.
    """
    named = F.struct(*(column.alias(name) for name, column in columns.items()))
    return frame.select("*", F.inline(F.array(named)))
