"""THE contracts: one per table, known to every layer, free of any engine.

Types are Arrow's, which Delta, DuckDB and Spark all translate without loss. Times are
UTC; ``event_time`` is the venue's clock, ``receive_time`` the producer's,
``arrival_time`` Kinesis's and ``ingest_time`` Spark's. Served tables use no deletion
vectors, no column mapping, no v2 checkpoints and no type widening: every reader must
be able to read them.
"""

from dataclasses import dataclass

import pyarrow as pa

STRING = pa.string()
STRINGS = pa.list_(pa.string())
BINARY = pa.binary()
BOOLEAN = pa.bool_()
INT = pa.int32()
LONG = pa.int64()
DOUBLE = pa.float64()
DATE = pa.date32()
TIMESTAMP = pa.timestamp("us", tz="UTC")
EXACT = pa.decimal128(38, 0)
BUCKETS = pa.list_(
    pa.struct([("low_e6", LONG), ("high_e6", LONG), ("trade_count", LONG)])
)


@dataclass(frozen=True)
class Column:
    """One column: name, type, what it means (unit, clock), whether it may be null.

    A key column is never null.
    """

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class TableContract:
    """What a table promises.

    Attributes:
        name: ``<layer>.<table>``.
        grain: What one row is.
        columns: In storage order; the partition columns last.
        key: Columns that name a row; no two rows share them.
        partition_by: Partition columns.
        event_column: Timestamp by which reads and merges are bounded, never changed.
        writer: The one process that commits and maintains it.
        version: Raised with each change of the columns.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...]
    event_column: str
    writer: str
    version: int = 1

    @property
    def layer(self) -> str:
        """First part of the name: bronze, silver or gold."""
        return self.name.split(".")[0]

    @property
    def path(self) -> str:
        """Folder of the table below the lake's root."""
        return self.name.replace(".", "/")

    @property
    def schema(self) -> pa.Schema:
        """The table's Arrow schema, in storage order."""
        return pa.schema(
            pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns
        )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)


_SYMBOL = Column("symbol", STRING, "Ticker, as Alpaca writes it")
_EVENT_TIME_NS = Column("event_time_ns", LONG, "Venue's clock, ns since 1970 UTC")
_EVENT_TIME = Column("event_time", TIMESTAMP, "event_time_ns cut to microseconds")
_CONDITIONS = Column("conditions", STRINGS, "Condition codes", nullable=True)
_TAPE = Column("tape", STRING, "A NYSE, B regional, C Nasdaq", nullable=True)
_LINEAGE = (
    Column("receive_time", TIMESTAMP, "Producer's wall clock"),
    Column("market_time", TIMESTAMP, "Market clock when the producer read it"),
    Column("arrival_time", TIMESTAMP, "Kinesis's clock"),
    Column("ingest_time", TIMESTAMP, "Spark's clock"),
    Column("kind", STRING, "data, backfill or history"),
    Column("epoch", STRING, "Producer connection that read it"),
    Column("shard_id", STRING, "Kinesis shard"),
    Column("sequence_number", STRING, "Kinesis record, decimal digits"),
    Column("position", INT, "Line of the message within its record, from 1"),
)

RECORDS = TableContract(
    name="bronze.records",
    grain="one Kinesis record, payload untouched",
    columns=(
        Column("arrival_time", TIMESTAMP, "Kinesis's clock"),
        Column("shard_id", STRING, "Kinesis shard"),
        Column("sequence_number", STRING, "Decimal digits; orders within a shard"),
        Column("partition_key", STRING, "Symbol, or its bucket"),
        Column("ingest_time", TIMESTAMP, "Spark's clock"),
        Column("data", BINARY, "The payload, see conf/market/envelope.py"),
        Column("day", DATE, "UTC day of arrival_time"),
    ),
    key=("shard_id", "sequence_number"),
    partition_by=("day",),
    event_column="arrival_time",
    writer="bronze",
)

TRADES = TableContract(
    name="silver.trades",
    grain="one trade print as reported",
    columns=(
        _EVENT_TIME,
        _SYMBOL,
        _EVENT_TIME_NS,
        Column("exchange", STRING, "Venue code"),
        Column("trade_id", LONG, "Venue's id, unique per symbol, venue and day"),
        Column("price", DOUBLE, "USD per share"),
        Column("size", LONG, "Shares"),
        _CONDITIONS,
        _TAPE,
        *_LINEAGE,
        Column("day", DATE, "UTC day of event_time"),
    ),
    key=("symbol", "exchange", "trade_id", "event_time_ns"),
    partition_by=("day",),
    event_column="event_time",
    writer="silver",
)

QUOTES = TableContract(
    name="silver.quotes",
    grain="one best bid and offer",
    columns=(
        _EVENT_TIME,
        _SYMBOL,
        _EVENT_TIME_NS,
        Column("quote_hash", LONG, "xxhash64 of every field of the quote"),
        Column("occurrence", INT, "Identical quotes of this instant before it"),
        Column("bid_exchange", STRING, "Venue code", nullable=True),
        Column("bid_price", DOUBLE, "USD per share, 0 = no bid"),
        Column("bid_size", LONG, "As sent: round lots or shares"),
        Column("ask_exchange", STRING, "Venue code", nullable=True),
        Column("ask_price", DOUBLE, "USD per share, 0 = no offer"),
        Column("ask_size", LONG, "As sent: round lots or shares"),
        _CONDITIONS,
        _TAPE,
        *_LINEAGE,
        Column("day", DATE, "UTC day of event_time"),
    ),
    key=("symbol", "event_time_ns", "quote_hash", "occurrence"),
    partition_by=("day",),
    event_column="event_time",
    writer="silver",
)

BARS = TableContract(
    name="silver.bars",
    grain="one revision of a bar",
    columns=(
        Column("window_start", TIMESTAMP, "Opening time of the bar, inclusive"),
        _SYMBOL,
        Column("bar_length_s", INT, "Length of the bar in seconds"),
        Column("source", STRING, "alpaca: as received; trades: built by us"),
        Column("revision", INT, "0 as first sent; restated (`u`): its trade_count"),
        Column("window_end", TIMESTAMP, "Closing time of the bar, exclusive"),
        Column("open", DOUBLE, "USD per share"),
        Column("high", DOUBLE, "USD per share"),
        Column("low", DOUBLE, "USD per share"),
        Column("close", DOUBLE, "USD per share"),
        Column("volume", LONG, "Shares"),
        Column("trade_count", LONG, "Trades in the bar", nullable=True),
        Column("vwap", DOUBLE, "Volume-weighted mean price, USD", nullable=True),
        Column("known_time", TIMESTAMP, "Market clock when it became known"),
        *_LINEAGE,
        Column("day", DATE, "UTC day of window_start"),
    ),
    key=("symbol", "window_start", "bar_length_s", "source", "revision"),
    partition_by=("day",),
    event_column="window_start",
    writer="silver",
)

_INDICATORS = (
    # name, meaning, bars that it needs
    ("price_change", "USD per share since the bar before", 2),
    ("return_1m", "Simple return over 1 bar, over night too", 2),
    ("return_5m", "Simple return over 5 bars", 6),
    ("return_15m", "Simple return over 15 bars", 16),
    ("return_1h", "Simple return over 60 bars", 61),
    ("sma_5m", "Mean close of 5 bars, USD per share", 5),
    ("sma_15m", "Mean close of 15 bars, USD per share", 15),
    ("sma_1h", "Mean close of 60 bars, USD per share", 60),
    ("ema_5m", "Exponential mean of closes, period 5, USD per share", 5),
    ("ema_15m", "Exponential mean of closes, period 15, USD per share", 15),
    ("ema_1h", "Exponential mean of closes, period 60, USD per share", 60),
    ("rsi_14", "Wilder's relative strength, 0 to 100; null: no change at all", 15),
    ("macd_12_26", "Exponential mean 12 less 26, USD per share", 26),
    ("macd_signal_9", "Exponential mean of macd_12_26, period 9", 34),
    ("macd_histogram", "macd_12_26 less macd_signal_9", 34),
    ("bollinger_middle_20", "Mean close of 20 bars, USD per share", 20),
    ("bollinger_upper_20", "2 population standard deviations above", 20),
    ("bollinger_lower_20", "2 population standard deviations below", 20),
    ("bollinger_z_20", "Standard deviations from the middle; null: none", 20),
    ("volatility_15m", "Root of the sum of 15 squared returns within sessions", 16),
    ("volatility_1h", "Root of the sum of 60 squared returns within sessions", 61),
    ("volume_z_20", "Standard deviations from the mean of 20 bars; null: none", 20),
    ("spread_bps", "Ask less bid in 1e-4 of the mid price; null: one is missing", 1),
)

FEATURES = TableContract(
    name="silver.features",
    grain="one revision of the indicators of a closed bar",
    columns=(
        Column("window_start", TIMESTAMP, "Opening time of the bar, inclusive"),
        _SYMBOL,
        Column("bar_length_s", INT, "Length of the bar in seconds: 60"),
        Column("revision", INT, "0 as first computed; counts restatements"),
        Column("window_end", TIMESTAMP, "Closing time of the bar, exclusive"),
        Column("session", DATE, "Date of the session, New York"),
        Column("close", DOUBLE, "USD per share"),
        Column("volume", LONG, "Shares"),
        Column("bar_source", STRING, "Source of the bars it was computed from"),
        Column("bar_revision", INT, "Revision of this window's bar"),
        Column("bars_version", LONG, "silver.bars version it reflects"),
        Column("bar_count", LONG, "Bars seen since the previous session's first"),
        Column("missing_minutes", LONG, "Minutes without a bar just before it"),
        Column("halted_minutes", LONG, "Those of them in a trading halt"),
        Column("minutes_since_open", LONG, "At the bar's end; negative before"),
        Column("minutes_to_close", LONG, "At the bar's end; negative after"),
        *(
            Column(name, DOUBLE, f"{meaning}; null before {bars} bars", nullable=True)
            for name, meaning, bars in _INDICATORS
        ),
        Column("known_time", TIMESTAMP, "Market clock when it became known"),
        Column("day", DATE, "UTC day of window_start"),
    ),
    key=("symbol", "window_start", "bar_length_s", "revision"),
    partition_by=("day",),
    event_column="window_start",
    writer="silver",
)

REJECTS = TableContract(
    name="silver.rejects",
    grain="one message that could not be accepted",
    columns=(
        Column("arrival_time", TIMESTAMP, "Kinesis's clock"),
        Column("shard_id", STRING, "Kinesis shard"),
        Column("sequence_number", STRING, "Kinesis record, decimal digits"),
        Column("position", INT, "Line within its record from 1; 0 = whole record"),
        Column("reason", STRING, "Why it was not accepted"),
        Column("message_type", STRING, "Alpaca's T, if it could be read", True),
        Column("symbol", STRING, "Ticker, if it could be read", True),
        Column("message", STRING, "First 64 KiB of the text; bronze has all of it"),
        Column("ingest_time", TIMESTAMP, "Spark's clock"),
        Column("day", DATE, "UTC day of arrival_time"),
    ),
    key=("shard_id", "sequence_number", "position"),
    partition_by=("day",),
    event_column="arrival_time",
    writer="silver",
)

SYMBOL_STATS = TableContract(
    name="gold.symbol_stats",
    grain="one symbol and window",
    columns=(
        Column("window_start", TIMESTAMP, "Inclusive"),
        _SYMBOL,
        Column("window_length_s", INT, "Length of the window in seconds"),
        Column("window_end", TIMESTAMP, "Exclusive"),
        Column("trade_count", LONG, "Trades that update volume"),
        Column("volume", LONG, "Shares"),
        Column("price_min", DOUBLE, "USD per share"),
        Column("price_max", DOUBLE, "USD per share"),
        Column("price_mean", DOUBLE, "USD per share, unweighted"),
        Column("price_variance", DOUBLE, "Sample variance, USD²; null for 1", True),
        Column("price_stddev", DOUBLE, "Square root of price_variance", True),
        Column("price_sum_e6", EXACT, "Exact sum, 1e-6 USD"),
        Column("price_sum_squares_e12", EXACT, "Exact sum, 1e-12 USD²"),
        Column(
            "price_buckets",
            BUCKETS,
            "Price ranges [low, high) in 1e-6 USD with their trades, by low",
        ),
        Column("is_final", BOOLEAN, "The market clock has passed its end"),
        Column("source_version", LONG, "silver.trades version it reflects"),
        Column("updated_time", TIMESTAMP, "Wall clock of the last change"),
        Column("day", DATE, "UTC day of window_start"),
        Column("hour", INT, "UTC hour of window_start: bounds what an update rewrites"),
    ),
    key=("symbol", "window_length_s", "window_start"),
    partition_by=("day", "hour"),
    event_column="window_start",
    writer="gold",
)

TABLES: dict[str, TableContract] = {
    table.name: table
    for table in (RECORDS, TRADES, QUOTES, BARS, FEATURES, REJECTS, SYMBOL_STATS)
}
"""Every table of the lake by its name."""
