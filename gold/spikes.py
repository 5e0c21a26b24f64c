"""Price spikes among trades as they come: the state that scores the next ones."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from conf.lake.conditions import effects_of
from conf.lake.tables import ANOMALIES
from conf.market.effective_trades import trading_date
from conf.market.outliers import PRINT, Records, State, new_state, score

METHOD = "robust_z"
AFTER_HALT, OUTSIDE_BANDS = "after_halt", "outside_bands"
COLUMNS = (
    "symbol",
    "exchange",
    "trade_id",
    "event_time",
    "event_time_ns",
    "price",
    "conditions",
    "tape",
    "market_time",
)
_AFTER_NS = timedelta(minutes=10) // timedelta(microseconds=1) * 1_000
_QUARTER_HOUR_NS = 900 * 10**9

Row = Mapping[str, Any]
Times = Sequence[int]
Bands = Sequence[tuple[int, float, float]]


class Context:
    """What is known of a symbol beside its prints.

    Args:
        halts: Times at which trading was halted, ascending, by symbol.
        bands: (since, lowest, highest price) that the tape allows, ascending by time,
            by symbol.
    """

    def __init__(
        self,
        halts: Mapping[str, Times] | None = None,
        bands: Mapping[str, Bands] | None = None,
    ) -> None:
        self._halts, self._bands = halts or {}, bands or {}

    @property
    def halted(self) -> list[str]:
        """Symbols that were halted at any time."""
        return list(self._halts)

    def was_halted(self, symbol: str, since_ns: int, until_ns: int) -> bool:
        """Tell whether trading was halted in ``(since, until]``."""
        halts = self._halts.get(symbol, ())
        return bisect_right(halts, since_ns) < bisect_right(halts, until_ns)

    def of(self, symbol: str, event_time_ns: int, price: float) -> list[str]:
        """Return what may explain a print."""
        found = []
        if self.was_halted(symbol, event_time_ns - _AFTER_NS, event_time_ns):
            found.append(AFTER_HALT)
        bands = self._bands.get(symbol, ())
        place = bisect_right(bands, event_time_ns, key=lambda band: band[0])
        if place and not bands[place - 1][1] <= price <= bands[place - 1][2]:
            found.append(OUTSIDE_BANDS)
        return found


class Spikes:
    """Scores trades against those beside them, batch by batch.

    A trade is judged with the next one of its symbol: until then it waits here.
    """

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._state = new_state(0)
        self._newest_ns: NDArray[np.int64] = np.zeros(0, np.int64)
        self._open: dict[str, Row] = {}

    def find(self, trades: pa.Table, context: Context) -> pa.Table:
        """Return the outliers that new trades prove, as rows of ``gold.anomalies``.

        Args:
            trades: Columns ``COLUMNS``, in any order; those that set no price and those
                older than their symbol's newest are left out.
            context: Halts after which a symbol's prices begin anew, and more.
        """
        trades = _in_order(trades)
        if not trades.num_rows:
            return ANOMALIES.schema.empty_table()
        symbols = self._indexes(trades["symbol"])
        times = trades["event_time_ns"].to_numpy()
        is_new = times >= self._newest_ns[symbols]
        trades, symbols, times = trades.filter(is_new), symbols[is_new], times[is_new]
        is_first = np.diff(symbols, prepend=-1) != 0
        prints = np.zeros(len(times), PRINT)
        prints["symbol"], prints["price"] = symbols, trades["price"].to_numpy()
        prints["restarts"] = self._restarts(symbols, times, is_first, context)
        self._state, scores = score(self._state, prints)
        np.maximum.at(self._newest_ns, symbols, times)
        is_found = scores["is_outlier"]
        before = self._before(trades, is_first, is_found)
        found = _rows(before, scores[is_found], context)
        self._keep_open(trades, is_first)
        return found

    def days_of_open(self, symbols: Iterable[str]) -> set[date]:
        """Return the UTC days of the trades that wait for the next ones of symbols."""
        waiting = (self._open.get(symbol) for symbol in symbols)
        return {row["event_time"].date() for row in waiting if row}

    def _before(
        self, trades: pa.Table, is_first: NDArray[np.bool_], chosen: NDArray[np.bool_]
    ) -> Iterator[Row]:
        """Yield the trades of their symbols before the chosen ones, which are few."""
        for place in np.flatnonzero(chosen).tolist():
            if is_first[place]:
                yield self._open[trades["symbol"][place].as_py()]
            else:
                yield from trades.slice(place - 1, 1).to_pylist()

    def _keep_open(self, trades: pa.Table, is_first: NDArray[np.bool_]) -> None:
        is_last = np.append(is_first[1:], True)[: len(is_first)]
        for row in trades.filter(pa.array(is_last)).to_pylist():
            self._open[row["symbol"]] = row

    def _indexes(self, symbols: pa.ChunkedArray) -> NDArray[np.int64]:
        named = symbols.combine_chunks().dictionary_encode()
        names = named.dictionary.to_pylist()
        for symbol in names:
            self._index.setdefault(symbol, len(self._index))
        new = len(self._index) - len(self._newest_ns)
        if new:
            more = new_state(new)
            self._state = State(
                np.concatenate([self._state.counts, more.counts]),
                np.concatenate([self._state.values, more.values]),
            )
            self._newest_ns = np.append(self._newest_ns, np.zeros(new, np.int64))
        places = np.array([self._index[symbol] for symbol in names], np.int64)
        found: NDArray[np.int64] = places[named.indices.to_numpy()]
        return found

    def _restarts(
        self,
        symbols: NDArray[np.int64],
        times: NDArray[np.int64],
        is_first: NDArray[np.bool_],
        context: Context,
    ) -> NDArray[np.bool_]:
        """Tell for each print whether a session or a halt parts it from the one before.

        Prices may be others then: a split takes effect between two sessions.
        """
        names = list(self._index)
        before = np.where(is_first, self._newest_ns[symbols], np.roll(times, 1))
        restarts = before == 0
        # A session ends on a quarter of an hour: most prints need no calendar.
        may_part = before // _QUARTER_HOUR_NS != times // _QUARTER_HOUR_NS
        for place in np.flatnonzero(may_part).tolist():
            last, now = int(before[place]), int(times[place])
            restarts[place] |= trading_date(last) != trading_date(now)
        may_part = np.isin(symbols, [self._index.get(s, -1) for s in context.halted])
        for place in np.flatnonzero(may_part).tolist():
            span = int(before[place]), int(times[place])
            restarts[place] |= context.was_halted(names[symbols[place]], *span)
        return np.asarray(restarts, np.bool_)


def _in_order(trades: pa.Table) -> pa.Table:
    """Return the prints that set prices, by symbol and time."""
    does = effects_of(trades)
    keys = ("symbol", "event_time_ns", "trade_id", "exchange")
    priced = trades.filter(pa.array(does["sets_price"]))
    return priced.sort_by([(key, "ascending") for key in keys])


def _rows(outliers: Iterable[Row], scores: Records, context: Context) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "event_time": row["event_time"],
            "symbol": row["symbol"],
            "event_id": f"{row['exchange']}/{row['trade_id']}/{row['event_time_ns']}",
            "method": METHOD,
            "score": float(found["score"]),
            "value": row["price"],
            "expected": float(found["level"]),
            "context": context.of(row["symbol"], row["event_time_ns"], row["price"]),
            "market_time": row["market_time"],
            "day": row["event_time"].date(),
        }
        for row, found in zip(outliers, scores, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=ANOMALIES.schema)
