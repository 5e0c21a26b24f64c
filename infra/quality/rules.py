"""What the market makes true of a row, wherever a table has its columns.

A rule names columns, not tables: a table that is added later is held to every rule
whose columns it has. What a contract says by itself (nulls, the key) needs no rule; see
``suites``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from conf.lake.tables import TableContract
from conf.market.gaps import END_STATES, OPEN_STATES

Severity = Literal["critical", "warning"]
CRITICAL: Severity = "critical"
WARNING: Severity = "warning"


@dataclass(frozen=True)
class Ordered:
    """One column is at least as large as another; nulls are passed over."""

    larger: str
    smaller: str
    strictly: bool = False
    severity: Severity = CRITICAL

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that it is about."""
        return self.smaller, self.larger

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.smaller} {'<' if self.strictly else '<='} {self.larger}"


@dataclass(frozen=True)
class OneOf:
    """A column holds one of some values; nulls are passed over."""

    column: str
    values: tuple[str, ...]
    severity: Severity = CRITICAL

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that it is about."""
        return (self.column,)

    @property
    def says(self) -> str:
        """The rule in words."""
        return f"{self.column} is one of {', '.join(self.values)}"


@dataclass(frozen=True)
class Within:
    """A value of the row lies between two bounds, themselves included.

    Attributes:
        name: Of the value: a column, or a new name for ``value``.
        needs: Columns that it is about.
        least: Lower bound; None is none.
        most: Upper bound; None is none.
        value: SQL over the row, null where it says nothing; by default the column.
        strictly: The lower bound itself is not allowed.
        share: At least so many of the rows must obey.
        severity: A warning is no failure of the run.
    """

    name: str
    needs: tuple[str, ...]
    least: float | None = None
    most: float | None = None
    value: str = ""
    strictly: bool = False
    share: float = 1.0
    severity: Severity = CRITICAL

    @property
    def says(self) -> str:
        """The rule in words."""
        above = "" if self.least is None else f"{self.least:g} "
        above += ("< " if self.strictly else "<= ") if above else ""
        below = "" if self.most is None else f" <= {self.most:g}"
        mostly = "" if self.share == 1 else f" for {self.share:.0%} of the rows"
        return f"{above}{self.name}{below}{mostly}"


Rule = Ordered | OneOf | Within

_OVER_ZERO = ("price", "open", "high", "low", "close", "price_min", "price_max")
_NOT_NEGATIVE = (
    "bid_price",
    "ask_price",
    "vwap",
    "size",
    "bid_size",
    "ask_size",
    "volume",
    "trade_count",
    "occurrence",
    "revision",
    "position",
    "backfilled_rows",
    "price_variance",
    "price_stddev",
)
_ORDERED = (
    Ordered("open", "low"),
    Ordered("close", "low"),
    Ordered("high", "open"),
    Ordered("high", "close"),
    Ordered("price_max", "price_min"),
    Ordered("limit_up_price", "limit_down_price"),
    Ordered("window_end", "window_start", strictly=True),
    Ordered("known_time", "window_start"),
    Ordered("end_time", "start_time"),
)
_ONE_OF = (
    OneOf("kind", ("data", "backfill", "history", "gap")),
    OneOf("match_state", ("pending", "ambiguous", "matched")),
    OneOf("state", (*OPEN_STATES, *END_STATES)),
)
_BOTH_SIDES = "bid_price > 0 AND ask_price > 0"
_CROSSED = ("bid_price", "ask_price", "bid_exchange", "ask_exchange")
_QUOTES = (
    # No venue crosses its own book. Two venues may stand crossed for a moment, and
    # Alpaca does not mark that: it is only remarkable when it is not rare.
    Within(
        "own_book_crossed_usd",
        _CROSSED,
        most=0,
        value=f"CASE WHEN {_BOTH_SIDES} AND bid_exchange = ask_exchange "
        "THEN bid_price - ask_price END",
    ),
    Within(
        "crossed_usd",
        _CROSSED,
        most=0,
        value=f"CASE WHEN {_BOTH_SIDES} THEN bid_price - ask_price END",
        share=0.99,
        severity=WARNING,
    ),
)
_STATISTICS = (
    Within(
        "mean_outside_range_usd",
        ("price_min", "price_mean", "price_max"),
        most=1e-9,
        value="greatest(price_min - price_mean, price_mean - price_max)",
    ),
    Within(
        "mean_off_sum_share",
        ("price_mean", "price_sum_e6", "trade_count"),
        most=1e-9,
        value="abs(price_sum_e6::DOUBLE / 1e6 / nullif(trade_count, 0) / price_mean"
        " - 1)",
    ),
    Within(
        "trades_outside_buckets",
        ("price_buckets", "trade_count"),
        least=0,
        most=0,
        value="trade_count - coalesce(list_sum(list_transform("
        "price_buckets, lambda bucket: bucket.trade_count)), 0)",
    ),
)
_TIMES = (
    Within(
        "event_time_off_us",
        ("event_time", "event_time_ns"),
        least=0,
        most=0,
        value="epoch_us(event_time) - event_time_ns // 1000",
    ),
    Within(
        "window_start_past_minute_us",
        ("window_start",),
        least=0,
        most=0,
        value="epoch_us(window_start) % 60000000",
    ),
    *(
        Within(
            f"window_off_{length}",
            ("window_start", "window_end", length),
            least=0,
            most=0,
            value=f"epoch(window_end) - epoch(window_start) - {length}",
        )
        for length in ("bar_length_s", "window_length_s")
    ),
)
# The clocks of two machines are never equal.
_CLOCKS = Within(
    "clock_went_back_s",
    ("receive_time", "arrival_time", "ingest_time"),
    most=1,
    value="greatest(epoch(receive_time) - epoch(arrival_time), "
    "epoch(arrival_time) - epoch(ingest_time))",
    severity=WARNING,
)
_FIXED: tuple[Rule, ...] = (
    *(Within(name, (name,), least=0, strictly=True) for name in _OVER_ZERO),
    *(Within(name, (name,), least=0) for name in _NOT_NEGATIVE),
    *_ORDERED,
    *_ONE_OF,
    *_QUOTES,
    *_STATISTICS,
    *_TIMES,
    _CLOCKS,
)


def rules_of(
    contract: TableContract, *, fresh_s: float, future_max_s: float
) -> list[Rule]:
    """Return every rule whose columns a table has.

    Args:
        contract: The table.
        fresh_s: A row must be in its table so soon after Kinesis had it.
        future_max_s: An event may be so far ahead of the market clock.
    """
    rules = (*_FIXED, *_bounded(fresh_s, future_max_s), *_partitions(contract))
    return [rule for rule in rules if set(rule.needs) <= set(contract.column_names)]


def _bounded(fresh_s: float, future_max_s: float) -> Iterator[Rule]:
    yield Within(
        "arrival_to_ingest_s",
        ("arrival_time", "ingest_time"),
        most=fresh_s,
        value="epoch(ingest_time) - epoch(arrival_time)",
        severity=WARNING,
    )
    yield Within(
        "ahead_of_market_s",
        ("event_time", "market_time"),
        most=future_max_s,
        value="epoch(event_time) - epoch(market_time)",
    )


def _partitions(contract: TableContract) -> Iterator[Rule]:
    """A row lies in the folder of its day: reads and merges are bounded by it."""
    event = contract.event_column
    if "day" in contract.partition_by:
        value = f"day - CAST({event} AS DATE)"
        yield Within("days_off", ("day", event), least=0, most=0, value=value)
    if "hour" in contract.partition_by:
        value = f"hour - hour({event})"
        yield Within("hours_off", ("hour", event), least=0, most=0, value=value)
