"""THE contracts: one per table, known to every layer, free of any engine.

Types are Arrow's, which Delta, DuckDB and Spark all translate without loss. Times are
UTC; ``event_time`` is the venue's clock, ``receive_time`` the producer's,
``arrival_time`` Kinesis's and ``ingest_time`` Spark's. Served tables use no deletion
vectors, no column mapping, no v2 checkpoints and no type widening: every reader must
be able to read them.

Long because a lake has one list of what its tables promise.
"""

from dataclasses import dataclass, replace

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
        event_column: Timestamp by which reads and merges are bounded.
        writer: The one process that commits and maintains it.
        version: Raised with each change of the columns.
        is_bounded: Two rows of one key have the same event time, so a merge need not
            look elsewhere. A table that is not must stay small.
        is_compacted: Its writer puts small files together. Bronze's stay: whoever was
            down for days streams from them.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition_by: tuple[str, ...]
    event_column: str
    writer: str
    version: int = 1
    is_bounded: bool = True
    is_compacted: bool = True

    @property
    def layer(self) -> str:
        """First part of the name: bronze, silver, gold, quality or models."""
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
_MESSAGE_HASH = Column("message_hash", LONG, "xxhash64 of every field of the message")
_CONDITIONS = Column("conditions", STRINGS, "Condition codes", nullable=True)
_TAPE = Column("tape", STRING, "A NYSE, B regional, C Nasdaq", nullable=True)
_LINEAGE = (
    Column("receive_time", TIMESTAMP, "Producer's wall clock"),
    Column("market_time", TIMESTAMP, "Market clock when the producer read it"),
    Column("arrival_time", TIMESTAMP, "Kinesis's clock"),
    Column("ingest_time", TIMESTAMP, "Spark's clock"),
    Column("kind", STRING, "data, backfill, history or gap"),
    Column("epoch", STRING, "Producer connection that read it"),
    Column("shard_id", STRING, "Kinesis shard"),
    Column("sequence_number", STRING, "Kinesis record, decimal digits"),
    Column("position", INT, "Line of the message within its record, from 1"),
)

_INDICATORS = {
    "price_change": "USD since the bar before",
    "return_1m": "Relative change of the close over 1 bar",
    "return_5m": "Over 5 bars",
    "return_15m": "Over 15 bars",
    "return_1h": "Over 60 bars",
    "sma_5m": "Mean of the last 5 closes, USD",
    "sma_15m": "Of the last 15",
    "sma_1h": "Of the last 60",
    "ema_5m": "Exponential mean of closes, USD; period 5",
    "ema_15m": "Period 15",
    "ema_1h": "Period 60",
    "rsi_14": "Relative strength index by Wilder, 0 to 100; null: no change at all",
    "macd_12_26": "Difference of the exponential means of periods 12 and 26, USD",
    "macd_signal_9": "Its exponential mean of period 9",
    "macd_histogram": "macd_12_26 less macd_signal_9",
    "bollinger_middle_20": "Mean of the last 20 closes, USD",
    "bollinger_upper_20": "2 standard deviations above it",
    "bollinger_lower_20": "2 standard deviations below it",
    "bollinger_z_20": "Standard deviations of the close from it; null: they are 0",
    "volatility_15m": "Root of the sum of 15 squared one-bar returns within sessions",
    "volatility_1h": "Of 60",
    "volume_z_20": "Standard deviations of the volume from the mean of the last 20",
    "spread_bps": "Ask less bid, of their mean, 1e-4; negative if crossed",
}
"""Null until warmed up (``conf/market/indicators.py``), or not defined (0/0)."""

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
    is_compacted=False,
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
        Column(
            "revision",
            INT,
            "alpaca: 0 as first sent; restated (`u`) or a day so far (`d`): its "
            "trade_count; trades: counted from 0",
        ),
        Column("window_end", TIMESTAMP, "Closing time of the bar, exclusive"),
        Column("open", DOUBLE, "USD per share; null: no trade sets a price", True),
        Column("high", DOUBLE, "USD per share", nullable=True),
        Column("low", DOUBLE, "USD per share", nullable=True),
        Column("close", DOUBLE, "USD per share", nullable=True),
        Column("volume", LONG, "Shares"),
        Column("trade_count", LONG, "Trades in the bar", nullable=True),
        Column("vwap", DOUBLE, "Volume-weighted mean price, USD", nullable=True),
        Column("known_time", TIMESTAMP, "Market clock when it became known"),
        *(replace(column, nullable=True) for column in _LINEAGE),
        Column("day", DATE, "UTC day of window_start"),
    ),
    key=("symbol", "window_start", "bar_length_s", "source", "revision"),
    partition_by=("day",),
    event_column="window_start",
    writer="silver",
    version=2,
)

FEATURES = TableContract(
    name="silver.features",
    grain="one revision of the indicators of a closed bar",
    columns=(
        Column("window_start", TIMESTAMP, "Opening time of the bar, inclusive"),
        _SYMBOL,
        Column("bar_length_s", INT, "Length of the bar in seconds"),
        Column("revision", INT, "Counted from 0"),
        Column("window_end", TIMESTAMP, "Closing time of the bar, exclusive"),
        Column("known_time", TIMESTAMP, "Market clock when it became known"),
        Column("bar_source", STRING, "source of the bar; bars before it: known_time"),
        Column("bar_revision", INT, "revision of the bar"),
        Column("is_warm", BOOLEAN, "Every feature has the bars that it needs"),
        Column("bar_count", LONG, "Bars since the previous session's first; 0: none"),
        Column("missing_minutes", LONG, "Without a bar since the last, or the open"),
        Column("minutes_since_open", LONG, "To the bar's end; negative before it"),
        Column("minutes_to_close", LONG, "From the bar's end; negative after it"),
        Column("bid_price", DOUBLE, "USD, the minute's last quote", nullable=True),
        Column("ask_price", DOUBLE, "USD, the minute's last quote", nullable=True),
        *(Column(name, DOUBLE, meaning, True) for name, meaning in _INDICATORS.items()),
        Column("day", DATE, "UTC day of window_start"),
    ),
    key=("symbol", "window_start", "bar_length_s", "revision"),
    partition_by=("day",),
    event_column="window_start",
    writer="silver",
)

CORRECTIONS = TableContract(
    name="silver.corrections",
    grain="one match state of a correction or cancel",
    columns=(
        Column("event_time", TIMESTAMP, "event_time_ns cut to microseconds"),
        _SYMBOL,
        Column("event_time_ns", LONG, "Venue's clock of the message, not the trade's"),
        _MESSAGE_HASH,
        Column(
            "match_state",
            STRING,
            "pending: no such trade so far; ambiguous: several; matched: one",
        ),
        Column("action", STRING, "correct (`c`), cancel or error (`x`)"),
        Column("exchange", STRING, "Venue code of the trade that is meant"),
        Column("trade_id", LONG, "Its id"),
        Column("price", DOUBLE, "Its price, USD per share"),
        Column("size", LONG, "Its shares"),
        Column("conditions", STRINGS, "Its condition codes", nullable=True),
        Column("corrected_trade_id", LONG, "Id of the trade instead", nullable=True),
        Column("corrected_price", DOUBLE, "USD per share", nullable=True),
        Column("corrected_size", LONG, "Shares", nullable=True),
        Column("corrected_conditions", STRINGS, "Condition codes", nullable=True),
        _TAPE,
        Column(
            "trade_event_time_ns",
            LONG,
            "Venue's clock of the trade that it leads back to, once matched",
            nullable=True,
        ),
        Column("known_time", TIMESTAMP, "Market clock when this state became known"),
        *_LINEAGE,
        Column("day", DATE, "UTC day of event_time"),
    ),
    key=("symbol", "event_time_ns", "message_hash", "match_state"),
    partition_by=("day",),
    event_column="event_time",
    writer="silver",
)

STATUSES = TableContract(
    name="silver.statuses",
    grain="one trading status or price band",
    columns=(
        _EVENT_TIME,
        _SYMBOL,
        _EVENT_TIME_NS,
        _MESSAGE_HASH,
        Column("channel", STRING, "status (`s`) or luld (`l`)"),
        Column("status_code", STRING, "The tape's code: H or 2 a halt", True),
        Column("status_message", STRING, "The code in words", True),
        Column("reason_code", STRING, "The tape's code", True),
        Column("reason_message", STRING, "The reason in words", True),
        Column("limit_up_price", DOUBLE, "Upper price band, USD per share", True),
        Column("limit_down_price", DOUBLE, "Lower price band, USD per share", True),
        Column("indicator", STRING, "The tape's code of the band", True),
        _TAPE,
        *_LINEAGE,
        Column("day", DATE, "UTC day of event_time"),
    ),
    key=("symbol", "event_time_ns", "message_hash"),
    partition_by=("day",),
    event_column="event_time",
    writer="silver",
)

ORDERS = TableContract(
    name="silver.orders",
    grain="one update of an order",
    columns=(
        Column("event_time", TIMESTAMP, "event_time_ns cut to microseconds"),
        _SYMBOL,
        Column("event_time_ns", LONG, "Broker's clock, ns since 1970 UTC"),
        Column("order_id", STRING, "Broker's id of the order"),
        Column("event", STRING, "new, partial_fill, fill, canceled, rejected, …"),
        Column("execution_id", STRING, "Broker's id of this update, empty if none"),
        Column("client_order_id", STRING, "The client's id of the order", True),
        Column("status", STRING, "Of the order, after the event"),
        Column("side", STRING, "buy or sell", nullable=True),
        Column("order_type", STRING, "market, limit, …", nullable=True),
        Column("time_in_force", STRING, "day, gtc, …", nullable=True),
        Column("quantity", DOUBLE, "Shares ordered", nullable=True),
        Column("notional", DOUBLE, "USD ordered instead of shares", nullable=True),
        Column("limit_price", DOUBLE, "USD per share", nullable=True),
        Column("stop_price", DOUBLE, "USD per share", nullable=True),
        Column("filled_quantity", DOUBLE, "Shares filled so far", nullable=True),
        Column("filled_price_mean", DOUBLE, "USD per share, so far", nullable=True),
        Column("fill_price", DOUBLE, "USD per share, this execution", nullable=True),
        Column("fill_quantity", DOUBLE, "Shares, this execution", nullable=True),
        Column("position_quantity", DOUBLE, "Shares held after it", nullable=True),
        *_LINEAGE,
        Column("day", DATE, "UTC day of event_time"),
    ),
    key=("order_id", "event", "event_time_ns", "execution_id"),
    partition_by=("day",),
    event_column="event_time",
    writer="silver",
)

GAPS = TableContract(
    name="silver.gaps",
    grain="one transition of a gap",
    columns=(
        Column("start_time", TIMESTAMP, "Begin of the interval, inclusive"),
        Column("symbol", STRING, "Ticker; * if everything is subscribed"),
        Column("gap_id", STRING, "<epoch that ended>/<channel>/<symbol>"),
        Column(
            "state",
            STRING,
            "opened, late; then backfilled, halted, closed_market or lost",
        ),
        Column("channel", STRING, "Alpaca's name: trades, quotes, bars, …"),
        Column("cause", STRING, "cut, mute, half_open, slow_client, restart, …"),
        Column("end_time", TIMESTAMP, "End, exclusive; null while open", True),
        Column("backfilled_rows", LONG, "Messages fetched, copies included", True),
        Column("detail", STRING, "Why lost or late", nullable=True),
        Column("known_time", TIMESTAMP, "Market clock of the transition"),
        *_LINEAGE,
        Column("day", DATE, "UTC day of start_time"),
    ),
    key=("gap_id", "state"),
    partition_by=("day",),
    event_column="start_time",
    writer="silver",
    # A producer on another disk may tell the same transition with another start.
    is_bounded=False,
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
        Column(
            "trade_count",
            LONG,
            "Trades that update volume; 0 if all were cancelled",
        ),
        Column("volume", LONG, "Shares"),
        Column("price_min", DOUBLE, "USD per share; null without a trade", True),
        Column("price_max", DOUBLE, "USD per share; null without a trade", True),
        Column("price_mean", DOUBLE, "USD per share, unweighted; null for 0", True),
        Column("price_variance", DOUBLE, "Sample variance, USD²; null for 1", True),
        Column("price_stddev", DOUBLE, "Square root of price_variance", True),
        Column("price_sum_e6", EXACT, "Exact sum, 1e-6 USD"),
        Column("price_sum_squares_e12", EXACT, "Exact sum, 1e-12 USD²"),
        Column(
            "price_buckets",
            BUCKETS,
            "Price ranges [low, high) in 1e-6 USD with their trades, by low",
        ),
        Column("correction_count", LONG, "Corrections and cancels it reflects"),
        Column("is_final", BOOLEAN, "The market clock has passed its end"),
        Column("source_version", LONG, "silver.trades version it reflects"),
        Column("updated_time", TIMESTAMP, "Wall clock of the last change"),
        Column("day", DATE, "UTC day of window_start"),
        Column("window_length", STRING, "1m, 5m, 15m or 1h: windows kept apart"),
        Column("hour", INT, "UTC hour of window_start: bounds what an update rewrites"),
    ),
    key=("symbol", "window_length_s", "window_start"),
    partition_by=("day", "window_length", "hour"),
    event_column="window_start",
    writer="gold",
    version=2,
)

ANOMALIES = TableContract(
    name="gold.anomalies",
    grain="one outlier found by one method",
    columns=(
        Column(
            "event_time",
            TIMESTAMP,
            "The event's own, cut to microseconds; a bar's start",
        ),
        _SYMBOL,
        Column(
            "event_id",
            STRING,
            "A trade's: <exchange>/<trade_id>/<event_time_ns>; a bar's: "
            "bar/<bar_length_s>/<window_start_ns>",
        ),
        Column(
            "method",
            STRING,
            "robust_z: a print against the ones before and after it; lof: a minute bar "
            "against the 200 before it, by its local outlier factor",
        ),
        Column(
            "score",
            DOUBLE,
            "robust_z: deviations from what was expected, signed; lof: the factor, 1 "
            "is ordinary",
        ),
        Column("value", DOUBLE, "Price of the print, close of the bar, USD per share"),
        Column(
            "expected",
            DOUBLE,
            "The nearer of the prints beside it, close of the bar before, USD per "
            "share",
        ),
        Column(
            "context",
            STRINGS,
            "after_halt, outside_bands, of a bar odd_move, odd_range, odd_volume; "
            "empty if nothing",
        ),
        Column("market_time", TIMESTAMP, "Market clock when it was received, or known"),
        Column("day", DATE, "UTC day of event_time"),
    ),
    key=("symbol", "event_id", "method"),
    partition_by=("day",),
    event_column="event_time",
    writer="gold",
)

LATENCY = TableContract(
    name="gold.latency",
    grain="one hop and minute",
    columns=(
        Column("minute", TIMESTAMP, "Wall clock of silver's commits, inclusive"),
        Column(
            "hop",
            STRING,
            "What it took to: receive (since the event, by the market clock), arrival,"
            " bronze, silver, gold (each since the hop before, by wall clocks)",
        ),
        Column("trade_count", LONG, "Trades that took it, without backfill"),
        Column("p50_s", DOUBLE, "Median, seconds"),
        Column("p95_s", DOUBLE, "95th percentile, seconds"),
        Column("p99_s", DOUBLE, "99th percentile, seconds"),
        Column("max_s", DOUBLE, "Maximum, seconds"),
        Column("day", DATE, "UTC day of minute"),
    ),
    key=("hop", "minute"),
    partition_by=("day",),
    event_column="minute",
    writer="gold",
)

SIGNALS = TableContract(
    name="gold.signals",
    grain="one decision of a model on a closed bar, or why there is none",
    columns=(
        Column("window_start", TIMESTAMP, "Opening time of the bar, inclusive"),
        _SYMBOL,
        Column("model_version", STRING, "Version in the registry"),
        Column("signal_id", STRING, "<symbol>/<window_start>/<model_version>"),
        Column("window_end", TIMESTAMP, "Closing time of the bar, exclusive"),
        Column("known_time", TIMESTAMP, "Market clock of the decision"),
        Column("action", STRING, "HOLD, BUY or SELL; null: no decision", True),
        Column("reason", STRING, "Why there is no decision", nullable=True),
        Column("close", DOUBLE, "USD, of the bar"),
        Column("confidence", DOUBLE, "Calibrated chance that its side wins", True),
        Column("disagreement", DOUBLE, "Share of the other seeds that differ", True),
        Column("score_kind", STRING, "policy: log-probabilities; else Q-values"),
        Column("score_hold", DOUBLE, "Of HOLD; scores: null if not decided", True),
        Column("score_buy", DOUBLE, "Of BUY; null if it is long", True),
        Column("score_sell", DOUBLE, "Of SELL; null if it is flat", True),
        Column("value", DOUBLE, "Of the state; the best Q-value", nullable=True),
        Column("margin", DOUBLE, "Score less that of the other side", nullable=True),
        Column("spread", DOUBLE, "10 to 90 % of the return; quantiles only", True),
        Column("features", pa.list_(DOUBLE), "The network's inputs, in its order"),
        Column("feature_revision", INT, "revision read of silver.features"),
        Column("bar_source", STRING, "source of the bar read of silver.bars"),
        Column("bar_revision", INT, "revision of that bar"),
        Column("cash", DOUBLE, "USD of the paper account before the decision"),
        Column("shares", DOUBLE, "Shares, fractions allowed; 0: flat"),
        Column("paid_price", DOUBLE, "USD per share held, costs included", True),
        Column("session_cash", DOUBLE, "USD it was worth at the session's first bar"),
        Column("model_name", STRING, "In the registry"),
        Column("model_sha256", STRING, "Of the version's manifest"),
        Column("label", STRING, "What must stand beside it; empty: nothing"),
        Column("day", DATE, "UTC day of window_start"),
    ),
    key=("symbol", "window_start", "model_version"),
    partition_by=("day",),
    event_column="window_start",
    writer="gold",
)

PORTFOLIO = TableContract(
    name="gold.portfolio",
    grain="what followed from one signal: its fill, and the account a bar later",
    columns=(
        Column("window_start", TIMESTAMP, "Of the signal"),
        _SYMBOL,
        Column("model_version", STRING, "Of the signal"),
        Column("known_time", TIMESTAMP, "Market clock when the next bar was known"),
        Column("side", STRING, "BUY or SELL; null: nothing was ordered", True),
        Column("is_filled", BOOLEAN, "A quote followed in time"),
        Column("quote_time_ns", LONG, "Of the quote, epoch ns", nullable=True),
        Column("bid_price", DOUBLE, "USD, of the quote that followed", nullable=True),
        Column("ask_price", DOUBLE, "USD, of the quote that followed", nullable=True),
        Column("fill_price", DOUBLE, "USD per share, costs included", nullable=True),
        Column("cash", DOUBLE, "USD, after the fill"),
        Column("shares", DOUBLE, "Shares, after the fill"),
        Column("paid_price", DOUBLE, "USD per share held, costs included", True),
        Column("close", DOUBLE, "USD, of the next bar: shares are valued at it"),
        Column("equity", DOUBLE, "USD, cash and shares at the next bar's end"),
        Column("label", STRING, "As of the signal"),
        Column("day", DATE, "UTC day of window_start"),
    ),
    key=("symbol", "window_start", "model_version"),
    partition_by=("day",),
    event_column="window_start",
    writer="gold",
)

RESULTS = TableContract(
    name="quality.results",
    grain="one rule, checked on what some versions added",
    columns=(
        Column("checked_time", TIMESTAMP, "Wall clock of the validation"),
        Column("suite", STRING, "The table; balance: bronze against silver; freshness"),
        Column("rule", STRING, "What must hold, in words"),
        Column("run_id", STRING, "Of all that was checked at once"),
        Column("after_version", LONG, "Rows that came after this version", True),
        Column("version", LONG, "Up to this one; null if not of one table", True),
        Column("success", BOOLEAN, "It holds"),
        Column("severity", STRING, "critical, warning or info"),
        Column("expectation", STRING, "Type of the Great Expectations expectation"),
        Column("rows_checked", LONG, "Rows of the slice"),
        Column("rows_failed", LONG, "Rows that break it, null if it holds", True),
        Column("examples", STRING, "JSON: at most five of them, by key", True),
        Column("error", STRING, "Why it could not be checked", nullable=True),
        Column("day", DATE, "UTC day of checked_time"),
    ),
    key=("run_id", "suite", "version", "rule"),
    partition_by=("day",),
    event_column="checked_time",
    writer="quality",
)

MODEL_RUNS = TableContract(
    name="models.runs",
    grain="one seed that was trained and scored",
    columns=(
        Column("ended_time", TIMESTAMP, "Wall clock when its command ended"),
        Column("run_id", STRING, "Of all that one command trained"),
        Column("purpose", STRING, "search, study (all folds of it) or version"),
        Column("trial", INT, "Of a search; else 0"),
        Column("seed", INT, "Of weights, exploration and episodes"),
        Column("algorithm", STRING, "maskable-ppo, ppo, dqn or qr-dqn"),
        Column("data", STRING, "What it learnt from, in words"),
        Column(
            "versions", STRING, "JSON: Delta version by table read; null: a file", True
        ),
        Column("hyperparameters", STRING, "JSON: every one that was set"),
        Column(
            "scores",
            STRING,
            "JSON: out of sample, and the setting (file, spread, folds)",
        ),
        Column("verdict", STRING, "Of the study; null: a search has none", True),
        Column("model_version", STRING, "In the registry; null: not kept", True),
        Column("model_sha256", STRING, "Of its manifest; null: not kept", True),
        Column("libraries", STRING, "JSON: their versions"),
        Column("day", DATE, "UTC day of ended_time"),
    ),
    key=("run_id", "purpose", "trial", "seed"),
    partition_by=("day",),
    event_column="ended_time",
    writer="models",
)

BACKTESTS = TableContract(
    name="models.backtests",
    grain="one backtest",
    columns=(
        Column("ended_time", TIMESTAMP, "Wall clock when it ended"),
        Column("run_id", STRING, "Of the command"),
        Column("result_sha256", STRING, "Of all but time: same versions, same hash"),
        Column("model_version", STRING, "In the registry"),
        Column("model_sha256", STRING, "Of its manifest"),
        Column("label", STRING, "What must stand beside the figures; empty: nothing"),
        Column("versions", STRING, "JSON: Delta version by table read"),
        Column("symbols", STRINGS, "Those with bars"),
        Column("first_day", DATE, "UTC, inclusive"),
        Column("last_day", DATE, "UTC, inclusive"),
        Column("history_spread_bps", DOUBLE, "Of loaded bars; null: not traded", True),
        Column("costs", STRING, "JSON: of every order"),
        Column("figures", STRING, "JSON: by symbol and policy"),
        Column(
            "in_sample_share",
            DOUBLE,
            "Of its bars, in the span that the model learnt from; null: not known",
            True,
        ),
        Column("decisions_sha256", STRING, "Of every decision, in order"),
        Column("day", DATE, "UTC day of ended_time"),
    ),
    key=("run_id",),
    partition_by=("day",),
    event_column="ended_time",
    writer="models",
    version=2,
)

TABLES: dict[str, TableContract] = {
    table.name: table
    for table in (
        RECORDS,
        TRADES,
        QUOTES,
        BARS,
        FEATURES,
        CORRECTIONS,
        STATUSES,
        ORDERS,
        GAPS,
        REJECTS,
        SYMBOL_STATS,
        ANOMALIES,
        LATENCY,
        SIGNALS,
        PORTFOLIO,
        RESULTS,
        MODEL_RUNS,
        BACKTESTS,
    )
}
"""Every table of the lake by its name."""
