"""Tapes from the lake: the features that were told live, at a pinned version.

A tape holds the first revision of each bar's features, for nothing else was known when
it closed. Nothing is computed a second time.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.lake.tables import STATUSES
from models.decisions import HISTORY_NS, STALE_NS, bars_of
from models.fills import SECOND_NS, Order, Quotes, next_quotes
from models.lake_rows import LakeRows, on_days
from models.tape import Booleans, Integers, Tape

MINUTE_NS = 60 * SECOND_NS
GRACE_NS = 3 * SECOND_NS // 2
"""A bar of history counts as known so long after its end, as live ones are."""
_HOUR_NS = 60 * MINUTE_NS
_UNIT_UNTIL_KNOWN = 1e-3


class Span:
    """UTC days, both inclusive, of some symbols.

    Args:
        symbols: Which; none are all.
        first: Day.
        last: Day.
    """

    def __init__(self, symbols: Sequence[str], first: date, last: date) -> None:
        self.symbols, self.first, self.last = list(symbols), first, last

    def features(self, rows: LakeRows) -> pa.Table:
        """Return the first revisions, by symbol and window."""
        of = {"symbol": self.symbols} if self.symbols else {}
        return rows.first_known(on_days(self.first, self.last), of)


def read_tapes(
    rows: LakeRows, span: Span, history_spread_bps: float | None = None
) -> dict[str, Tape]:
    """Return a tape per symbol.

    Args:
        rows: The lake, at the version wanted.
        span: Which part of it.
        history_spread_bps: Bars that were loaded afterwards (known ``HISTORY_NS``
            after their end) have no quotes: their orders are filled at the next open,
            half of this spread beside it. None: they are not traded, as they were not
            live. Bars that came live are traded as they were, whatever is given.
    """
    features = span.features(rows)
    symbols = pc.unique(features["symbol"]).to_pylist()
    return {
        symbol: tape
        for symbol in symbols
        if (tape := _tape(rows, _of(features, symbol), history_spread_bps)) is not None
    }


def _of(features: pa.Table, symbol: str) -> pa.Table:
    return features.filter(pc.field("symbol") == symbol)


def _tape(
    rows: LakeRows, features: pa.Table, history_spread_bps: float | None
) -> Tape | None:
    was_loaded = _were_loaded(features)
    decided_ns = _decided_ns(features, was_loaded & (history_spread_bps is not None))
    was_newest = _were_newest(decided_ns)
    features, decided_ns = features.filter(pa.array(was_newest)), decided_ns[was_newest]
    if len(decided_ns) < 2:
        return None
    bars = bars_of(features)
    quotes = _fills(rows, features["symbol"][0].as_py(), decided_ns)
    bid, ask = quotes.bid, quotes.ask
    if history_spread_bps is not None:
        half = history_spread_bps / 2 * 1e-4
        following = np.append(features["open"].to_numpy()[1:], np.nan)
        at_open = np.isnan(bid) & was_loaded[was_newest]
        bid = np.where(at_open, following * (1 - half), bid)
        ask = np.where(at_open, following * (1 + half), ask)
    idle = _idle(rows, features, decided_ns)
    return Tape(
        time_ns=_ends_ns(features),
        session=bars.session,
        features=bars.market,
        mark=bars.close,
        bid=np.where(idle, np.nan, bid),
        ask=np.where(idle, np.nan, ask),
        unit=np.nan_to_num(bars.unit, nan=_UNIT_UNTIL_KNOWN),
    )


def _ends_ns(features: pa.Table) -> Integers:
    ends: Integers = features["window_end"].cast(pa.int64()).to_numpy() * 1_000
    return ends


def _known_ns(features: pa.Table) -> Integers:
    known: Integers = features["known_time"].cast(pa.int64()).to_numpy() * 1_000
    return known


def _were_loaded(features: pa.Table) -> Booleans:
    """Tell which bars nobody waited for: the same that ``Paper`` passes over."""
    loaded: Booleans = _known_ns(features) - _ends_ns(features) >= HISTORY_NS
    return loaded


def _decided_ns(features: pa.Table, is_as_live: Booleans) -> Integers:
    """Return when each bar was decided on, or would have been, had it come live."""
    as_live = _ends_ns(features) + GRACE_NS
    decided: Integers = np.where(is_as_live, as_live, _known_ns(features))
    return decided


def _were_newest(decided_ns: Integers) -> Booleans:
    """Tell which bars had no newer one known when they were."""
    later = np.minimum.accumulate(decided_ns[::-1])[::-1]
    newest: Booleans = np.append(later[1:] > decided_ns[:-1], True)
    return newest


def _fills(rows: LakeRows, symbol: str, decided_ns: Integers) -> Quotes:
    """Return the quote that follows each decision, reading an hour at a time."""
    settled_ns = decided_ns.tolist()[1:]
    orders = [
        Order(symbol, *times)
        for times in zip(decided_ns.tolist()[:-1], settled_ns, strict=True)
    ]
    parts = [next_quotes(hour, rows.quotes_around(hour)) for hour in _by_hour(orders)]
    none = Quotes(np.zeros(1, np.int64), *np.full((2, 1), np.nan))
    return Quotes(*(np.concatenate(c) for c in zip(*parts, none, strict=True)))


def _by_hour(orders: Iterable[Order]) -> Iterator[list[Order]]:
    for _, hour in groupby(orders, lambda order: order.decided_ns // _HOUR_NS):
        yield list(hour)


def _idle(rows: LakeRows, features: pa.Table, decided_ns: Integers) -> Booleans:
    """Tell on which bars nothing is decided live."""
    symbol = features["symbol"][0].as_py()
    bars = bars_of(features)
    days = [features["window_start"][place].as_py().date() for place in (0, -1)]
    told = rows.find(
        STATUSES,
        ("event_time",),
        on_days(days[0] - timedelta(days=1), days[1]),
        {"symbol": [symbol], "channel": ["status"]},
    )
    halted = [
        bool(told.num_rows) and bool(rows.halted([symbol], known_ns))
        for known_ns in decided_ns.tolist()
    ]
    stale = decided_ns - _ends_ns(features) > STALE_NS
    idle: Booleans = np.array(halted) | stale | np.isnan(bars.unit)
    return idle


def minutes_of(tapes: Iterable[Tape]) -> int:
    """Return the most minutes that any of some tapes has."""
    return max((len(tape) for tape in tapes), default=0)
