"""Bars kept as trades and corrections come equal those of the corrected truth."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from conf.market.bar_book import MINUTE_NS, BarBook, window_of
from conf.market.bars import minute_bars, to_records
from conf.market.effective_trades import Correction, Trade, resolve

SYMBOLS = ("AAPL", "SPY")
#  from before midnight UTC to after it; one trading date in New York
START = datetime(2026, 11, 23, 23, 57, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9
SPAN_NS = int(timedelta(minutes=6) / timedelta(microseconds=1)) * 1000


@st.composite
def trades(draw):
    """Trades whose names differ."""
    times = st.integers(0, SPAN_NS - 1)
    prices = st.integers(100, 120).map(float)
    conditions = st.sampled_from([None, ("@",), ("@", "I"), ("@", "M")])
    several = st.tuples(
        st.sampled_from(SYMBOLS), times, prices, st.integers(1, 9), conditions
    )
    return [
        Trade(symbol, "V", number, START_NS + time, price, size, codes, "C")
        for number, (symbol, time, price, size, codes) in enumerate(
            draw(st.lists(several, min_size=1, max_size=20))
        )
    ]


def correction_of(trade, number, price):
    """Correct a trade to a price, or cancel it."""
    corrected = {} if price is None else {
        "corrected_trade_id": 1_000 + number,
        "corrected_price": price,
        "corrected_size": 5,
    }  # fmt: skip
    return Correction(
        trade.symbol,
        "V",
        START_NS + SPAN_NS + number,
        trade.trade_id,
        trade.price,
        trade.size,
        **corrected,
    )


@st.composite
def scripts(draw):
    """Trades, corrections and corrections of what these made, as they come."""
    reported = draw(trades())
    prices = st.one_of(st.none(), st.integers(90, 130).map(float))
    meant, corrections = list(reported), []
    for _ in range(draw(st.integers(0, min(5, len(reported))))):
        trade = draw(st.sampled_from(meant))
        price = draw(prices)
        corrections.append(correction_of(trade, len(corrections), price))
        meant.remove(trade)
        if price is not None:
            made = corrections[-1]
            id_, size = made.corrected_trade_id, made.corrected_size
            meant.append(
                Trade(trade.symbol, "V", id_, trade.event_time_ns, price, size)
            )
    arrivals = draw(st.permutations([*reported, *corrections]))
    cuts = draw(st.lists(st.integers(0, len(arrivals)), max_size=6))
    return arrivals, sorted({0, *cuts, len(arrivals)})


class Kept:
    """An archive in memory."""

    def __init__(self):
        self.trades = []

    def bars_in(self, windows, without):
        kept = [t for t in self._in(windows) if t.key not in without]
        return bars_of(kept)

    def trades_in(self, windows, ids):
        return [t for t in self._in(windows) if t.trade_id in ids]

    def _in(self, windows):
        return [
            t for t in self.trades if window_of(t.symbol, t.event_time_ns) in windows
        ]


def bars_of(reported):
    return minute_bars(to_records(list(reported), SYMBOLS), SYMBOLS)


def truth(reported, corrections):
    effective = resolve(reported, corrections).apply(reported)
    return {(bar.symbol, bar.window_start_ns): bar for bar in bars_of(effective)}


@given(
    scripts(), st.sampled_from([0, START_NS, 2**63 - 1]), st.sampled_from([None, 1, 2])
)
def test_bars_follow_their_trades_in_any_order(script, complete_from_ns, restart):
    arrivals, cuts = script
    archive, told, seen = Kept(), {}, set()
    book = BarBook(archive, complete_from_ns)
    for number, (low, high) in enumerate(pairwise(cuts)):
        batch = arrivals[low:high]
        new = [each for each in batch if isinstance(each, Trade)]
        archive.trades += new
        corrections = [c for c in arrivals[:high] if isinstance(c, Correction)]
        if number == restart:
            book = BarBook(archive)
            book.correct(seen)
        touched = [*book.add(bars_of(new))]
        matches = resolve(archive.trades, corrections).matches
        found = {
            (window_of(c.symbol, match.trade.event_time_ns), c)
            for c, match in matches.items()
            if match.state == "matched"
        }
        touched += book.correct(found - seen)
        seen |= found
        told |= book.bars(touched)

        now = {window: bar for window, bar in told.items() if bar}
        assert now == truth(archive.trades, corrections)


def test_a_high_that_is_cancelled_in_an_open_minute_leaves_no_trace():
    reported = [
        Trade("SPY", "V", n, START_NS + n, 200.0 if n == 50 else 100.0 + n % 7, 1)
        for n in range(151)
    ]
    archive = Kept()
    book = BarBook(archive, complete_from_ns=0)
    window = ("SPY", START_NS)
    for n, trade in enumerate(reported):
        archive.trades.append(trade)
        book.add(bars_of([trade]))
        if n == 50:
            book.correct([(window, correction_of(trade, 0, None))])
    bar = book.bars([window])[window]

    assert bar == truth(reported, [correction_of(reported[50], 0, None)])[window]
    assert bar.prices.high_e6 == 106_000_000
    assert bar.trade_count == 150


def test_only_what_is_not_known_is_read():
    reads = Counter()

    class Counting(Kept):
        def bars_in(self, windows, without):
            reads.update(windows)
            return super().bars_in(windows, without)

    archive = Counting()
    archive.trades = [Trade("SPY", "V", n, START_NS + n, 100.0, 1) for n in range(3)]
    book = BarBook(archive, complete_from_ns=START_NS + MINUTE_NS)
    old, new = ("SPY", START_NS), ("SPY", START_NS + MINUTE_NS)
    book.add(bars_of(archive.trades[2:]))
    later = Trade("SPY", "V", 9, new[1], 100.0, 1)
    archive.trades.append(later)
    book.add(bars_of([later]))
    bars = book.bars([old, new])
    book.bars([old, new])

    assert bars[old].trade_count == 3
    assert bars[new].trade_count == 1
    assert reads == {old: 1}
