"""A real day of trades, counted by sale condition, against its vendor's minute bars.

The recording holds the consolidated trades of AIG, BAC, IBM and SPY on 2013-10-07 and
one-minute bars that somebody else made of them. Times are UTC: the session is
13:30-20:00.
"""

import gzip
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from conf.market.conditions import effect_of
from conf.market.wire import Bar, Trade

DATA = os.environ.get("TICKHOUSE_DATA", Path(__file__).parents[3] / "shared" / "data")
RECORDING = Path(DATA) / "ticks" / "2013-10-07"

pytestmark = pytest.mark.skipif(
    not RECORDING.is_dir(),
    reason="no recordings: TICKHOUSE_DATA names the folder that holds ticks/2013-10-07",
)

Record = TypeVar("Record", Trade, Bar)
Minute = tuple[str, str]
"""Symbol and minute, as in ("SPY", "13:30")."""

Trades = dict[Minute, list[Trade]]
Bars = dict[Minute, Bar]

MINUTES = 2_309
FIRST_MINUTE, LAST_MINUTE = "13:30", "19:59"
LISTING_VENUE = {"A": "N", "B": "P"}

MOVED = "the listing venue's closing print is booked in the session's last minute"
LEFT_OUT = "auction prints but the listing venue's first are left out"
MERGED = "a minute that has no bar is booked in the one before"

CAUSES: dict[Minute, set[str]] = {
    ("AIG", "13:30"): {LEFT_OUT},
    ("AIG", "13:31"): {LEFT_OUT},
    ("AIG", "17:46"): {MERGED},
    ("AIG", "19:59"): {MOVED},
    ("AIG", "20:00"): {MOVED},
    ("BAC", "19:59"): {MOVED},
    ("BAC", "20:00"): {MOVED, LEFT_OUT},
    ("IBM", "19:59"): {MOVED},
    ("IBM", "20:01"): {MOVED},
    ("SPY", "13:30"): {LEFT_OUT},
    ("SPY", "19:59"): {MOVED},
    ("SPY", "20:00"): {MOVED, LEFT_OUT},
}
"""The minutes whose volume differs from the vendor's, each with what the vendor does.

AIG's listing venue opened after the first minute: the vendor left that print out too.
"""


@pytest.fixture(scope="module")
def trades() -> list[Trade]:
    files = sorted(RECORDING.glob("trades-*.jsonl.gz"))
    return [trade for file in files for trade in read(file, Trade)]


@pytest.fixture(scope="module")
def by_minute(trades: list[Trade]) -> Trades:
    minutes: Trades = defaultdict(list)
    for trade in trades:
        minutes[minute_of(trade)].append(trade)
    return minutes


@pytest.fixture(scope="module")
def bars() -> Bars:
    return {minute_of(bar): bar for bar in read(RECORDING / "bars.jsonl.gz", Bar)}


def test_volume_equals_the_vendors_but_for_the_known_minutes(
    by_minute: Trades, bars: Bars
):
    assert len(bars) == MINUTES
    different = {
        minute
        for minute, bar in bars.items()
        if volume(counted(by_minute[minute])) != bar.volume
    }
    assert MINUTES - len(different) >= 2_297
    assert different == CAUSES.keys()


def test_the_plain_sum_of_all_prints_is_worse(by_minute: Trades, bars: Bars):
    equal = sum(volume(by_minute[m]) == bar.volume for m, bar in bars.items())
    assert equal == 2_294


def test_the_causes_explain_every_difference(trades: list[Trade], bars: Bars):
    volumes: Counter[Minute] = Counter()
    causes: dict[Minute, set[str]] = defaultdict(set)
    for trade, minute, cause in as_the_vendor_books(list(counted(trades)), bars):
        if minute is not None:
            volumes[minute] += trade.size
        if cause is not None:
            causes[minute_of(trade)].add(cause)
            causes[minute or minute_of(trade)].add(cause)
    assert volumes == {minute: bar.volume for minute, bar in bars.items()}
    assert {minute: causes[minute] for minute in bars if causes[minute]} == CAUSES


def test_high_and_low_agree_better_by_conditions(
    by_minute: Trades, bars: Bars, record_property: Callable[[str, object], None]
):
    def agreement(takes_part: Callable[[Trade], bool]) -> int:
        ranges = {
            minute: {trade.price for trade in by_minute[minute] if takes_part(trade)}
            for minute in bars
        }
        return sum(
            bool(prices) and (min(prices), max(prices)) == (bar.low, bar.high)
            for bar, prices in zip(bars.values(), ranges.values(), strict=True)
        )

    agreements = {
        "all prints": agreement(lambda trade: True),
        "rules of a day bar": agreement(
            lambda trade: effect_of(trade.conditions, trade.tape, "day").high_low
        ),
        "rules of a minute bar": agreement(sets_high_low),
        # most of what is left: the vendor takes no range from the session's sweeps
        "rules of a minute bar, sweeps left out": agreement(
            lambda trade: sets_high_low(trade) and not is_session_sweep(trade)
        ),
    }
    record_property("high_low_agreement_of_2309_minutes", agreements)
    assert agreements == {
        "all prints": 1_988,
        "rules of a day bar": 1_309,
        "rules of a minute bar": 2_024,
        "rules of a minute bar, sweeps left out": 2_270,
    }


def read(file: Path, message: type[Record]) -> Iterator[Record]:
    decoder = msgspec.json.Decoder(message)
    with gzip.open(file) as lines:
        for line in lines:
            yield decoder.decode(line)


def minute_of(message: Trade | Bar) -> Minute:
    return message.symbol, message.event_time[11:16]


def counted(trades: Iterable[Trade]) -> Iterator[Trade]:
    return (t for t in trades if effect_of(t.conditions, t.tape).volume)


def volume(trades: Iterable[Trade]) -> int:
    return sum(trade.size for trade in trades)


def sets_high_low(trade: Trade) -> bool:
    return effect_of(trade.conditions, trade.tape).high_low


def is_session_sweep(trade: Trade) -> bool:
    return has(trade, "F") and not has(trade, "T")


def has(trade: Trade, *conditions: str) -> bool:
    return not set(conditions).isdisjoint(trade.conditions or ())


def as_the_vendor_books(
    trades: list[Trade], bars: Bars
) -> Iterator[tuple[Trade, Minute | None, str | None]]:
    """Yield each trade, the minute it is booked in (none: left out), and the cause."""
    opening, closing = (
        first_at_listing_venue(trades, "O"),
        first_at_listing_venue(trades, "6"),
    )
    for trade in trades:
        symbol, minute = minute_of(trade)
        if trade is closing[symbol]:
            yield trade, (symbol, LAST_MINUTE), MOVED
        elif trade is opening[symbol] and minute == FIRST_MINUTE:
            yield trade, (symbol, minute), None
        elif has(trade, "O", "6"):
            yield trade, None, LEFT_OUT
        elif (symbol, minute) not in bars:
            before = max(m for s, m in bars if s == symbol and m < minute)
            yield trade, (symbol, before), MERGED
        else:
            yield trade, (symbol, minute), None


def first_at_listing_venue(trades: list[Trade], condition: str) -> dict[str, Trade]:
    first: dict[str, Trade] = {}
    for trade in trades:
        if has(trade, condition) and trade.exchange == LISTING_VENUE[trade.tape or ""]:
            first.setdefault(trade.symbol, trade)
    return first
