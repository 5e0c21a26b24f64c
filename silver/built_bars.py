"""Minute bars of effective trades, as revisions beside Alpaca's in ``silver.bars``.

``conf.market.bar_book`` builds them; here its trades come from ``silver.trades``, and
what a bar has become is compared with the revision that was last written of it.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.lake.changes import Changes
from conf.lake.commit import ranges_of
from conf.lake.conditions import effects_of
from conf.lake.rows import Texts
from conf.lake.tables import BARS
from conf.market.bar_book import Window, window_of
from conf.market.bars import MINUTE_S, TRADE, Bar, minute_bars
from conf.market.effective_trades import Correction, Trade, TradeKey

SOURCE = "trades"
TRADE_COLUMNS = (
    "symbol",
    "exchange",
    "trade_id",
    "event_time_ns",
    "price",
    "size",
    "conditions",
    "tape",
    "market_time",
)
_KEY = ["symbol", "exchange", "trade_id", "event_time_ns"]
CORRECTION_COLUMNS = (
    "symbol",
    "event_time_ns",
    "match_state",
    "exchange",
    "trade_id",
    "price",
    "size",
    "corrected_trade_id",
    "corrected_price",
    "corrected_size",
    "corrected_conditions",
    "trade_event_time_ns",
    "market_time",
)
_FROM_ROW = ("open", "high", "low", "close", "volume", "trade_count", "vwap")
_EMPTY = (None, None, None, None, 0, 0, None)
_MINUTE = timedelta(seconds=MINUTE_S)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Values = tuple[float | None, ...]
"""Open, high, low, close, volume, trade_count and vwap of a bar."""


def bars_of(trades: pa.Table) -> list[Bar]:
    """Return the minute bars of trades as reported.

    Args:
        trades: Rows of ``silver.trades`` with ``TRADE_COLUMNS``.
    """
    if not trades.num_rows:
        return []
    symbols = trades["symbol"].combine_chunks().dictionary_encode()
    records = np.empty(trades.num_rows, TRADE)
    records["symbol"] = symbols.indices.to_numpy()
    for name in ("event_time_ns", "trade_id", "price", "size"):
        records[name] = trades[name].to_numpy()
    records["exchange"] = trades["exchange"].to_pylist()
    records[["counts", "sets_price"]] = effects_of(trades)
    return minute_bars(records, symbols.dictionary.to_pylist())


def trades_of(rows: pa.Table) -> list[Trade]:
    """Return the trades of rows of ``silver.trades``."""
    return [
        Trade(
            row["symbol"],
            row["exchange"],
            row["trade_id"],
            row["event_time_ns"],
            row["price"],
            row["size"],
            _codes(row["conditions"]),
            row["tape"],
        )
        for row in rows.to_pylist()
    ]


def matched(rows: pa.Table) -> list[tuple[Window, Correction]]:
    """Return the corrections whose trade is known, with the minute of that trade.

    Args:
        rows: Of ``silver.corrections``, with ``CORRECTION_COLUMNS``, in any state.
    """
    known = rows.filter(pc.equal(rows["match_state"], "matched")).to_pylist()
    windows = (window_of(row["symbol"], row["trade_event_time_ns"]) for row in known)
    return list(zip(windows, map(Correction.of, known), strict=True))


def _codes(conditions: list[str] | None) -> tuple[str, ...] | None:
    return None if conditions is None else tuple(conditions)


class TradeArchive:
    """Trades as ``silver.trades`` has them, at the version that was read last."""

    def __init__(self, trades: Changes) -> None:
        self._trades = trades

    def bars_in(
        self, windows: Collection[Window], without: Collection[TradeKey]
    ) -> Iterable[Bar]:
        """See ``Archive.bars_in``."""
        rows = self._trades.find(*within(windows))
        bars = bars_of(_without(rows, without))
        return [bar for bar in bars if (bar.symbol, bar.window_start_ns) in windows]

    def trades_in(
        self, windows: Collection[Window], ids: Collection[int]
    ) -> Iterable[Trade]:
        """See ``Archive.trades_in``."""
        rows = self._trades.find(*within(windows))
        trades = trades_of(rows.filter(pc.field("trade_id").isin(sorted(ids))))
        return [t for t in trades if window_of(t.symbol, t.event_time_ns) in windows]


def _without(rows: pa.Table, keys: Collection[TradeKey]) -> pa.Table:
    """Return trades but those with such a key; few are looked at in Python."""
    ids = pa.array(sorted({trade_id for _, _, trade_id, _ in keys}), pa.int64())
    is_suspect = pc.is_in(rows["trade_id"], ids).to_numpy()
    suspects = rows.select(_KEY).filter(pa.array(is_suspect)).to_pylist()
    is_kept = ~is_suspect
    is_kept[is_suspect] = [tuple(row.values()) not in keys for row in suspects]
    return rows.filter(pa.array(is_kept))


def within(windows: Collection[Window]) -> tuple[pc.Expression, Texts]:
    """Return conditions on ticks that are met in some windows, seldom elsewhere.

    Returns:
        On times, and the texts: see ``find_rows``.
    """
    starts = [moment(start_ns) for _, start_ns in windows]
    condition = pc.field("day").isin(sorted({start.date() for start in starts}))
    ranges = pc.scalar(False)
    for first, last in ranges_of(starts, gap=_MINUTE):
        time = pc.field("event_time")
        ranges |= (time >= first) & (time < last + _MINUTE)
    return condition & ranges, {"symbol": {symbol for symbol, _ in windows}}


def moment(time_ns: int) -> datetime:
    """Return a time cut to microseconds, UTC."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def nanoseconds(time: datetime) -> int:
    """Return epoch ns."""
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000


def values_of(bar: Bar | None) -> Values:
    """Return a bar's columns; a minute without trades that count has none of them."""
    if bar is None:
        return _EMPTY
    prices = bar.ohlc or (None, None, None, None)
    return (*prices, bar.volume, bar.trade_count, bar.vwap)


def to_row(
    window: Window, revision: int, values: Values, known_time: datetime
) -> dict[str, Any]:
    """Return the row of one revision; built bars have no lineage of one message."""
    symbol, start_ns = window
    start = moment(start_ns)
    return {
        "window_start": start,
        "symbol": symbol,
        "bar_length_s": MINUTE_S,
        "source": SOURCE,
        "revision": revision,
        "window_end": start + _MINUTE,
        **dict(zip(_FROM_ROW, values, strict=True)),
        "known_time": known_time,
        "day": start.date(),
    }


def to_table(rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows as the table has them."""
    return pa.Table.from_pylist(rows, schema=BARS.schema)
