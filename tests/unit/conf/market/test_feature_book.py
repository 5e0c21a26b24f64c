"""Bars in any order give the features of all bars at once, byte by byte."""

import numpy as np
import pytest

from conf.market.feature_book import FeatureBook, Rows
from conf.market.indicators import BAR, FEATURES, advance, new_state

MINUTE_NS = 60 * 10**9
DAY_NS = 24 * 60 * MINUTE_NS
SYMBOLS, SESSIONS, MINUTES = 2, 4, 65


def market(random):
    """Bars by symbol, session and minute, some minutes left out."""
    bars = np.zeros((SYMBOLS, SESSIONS, MINUTES), BAR)
    symbol, session, minute = np.indices(bars.shape)
    bars["symbol"], bars["session"] = symbol, session
    bars["session_open_ns"] = session * DAY_NS
    bars["session_close_ns"] = session * DAY_NS + MINUTES * MINUTE_NS
    bars["window_start_ns"] = session * DAY_NS + minute * MINUTE_NS
    bars["close"] = np.round(100 * np.exp(random.normal(0, 0.01, bars.shape)), 2)
    bars["volume"] = random.integers(1, 10_000, bars.shape)
    bars["bid_price"], bars["ask_price"] = bars["close"] - 0.01, bars["close"] + 0.01
    bars["split_ratio"] = 1
    return bars[random.random(bars.shape) < 0.9]


def in_order(bars):
    return bars[np.lexsort([bars["window_start_ns"], bars["symbol"]])]


def at_once(bars):
    """Return the features' bytes by symbol and window."""
    ordered = in_order(bars)
    _, features = advance(new_state(SYMBOLS), ordered)
    return {key(bar): row.tobytes() for bar, row in zip(ordered, features, strict=True)}


def key(bar):
    return int(bar["symbol"]), int(bar["window_start_ns"])


def arrivals(bars, random):
    """Some come first with a wrong price, some late, up to the session after theirs."""
    wrong = bars[random.random(len(bars)) < 0.05].copy()
    wrong["close"] += 1
    everything = np.concatenate([wrong, bars])
    late = random.integers(0, 60, len(everything)) * (
        random.random(len(everything)) < 0.1
    )
    late[: len(wrong)] = -1
    times = everything["session"] * MINUTES + (
        everything["window_start_ns"] % DAY_NS // MINUTE_NS
    )
    return everything[np.lexsort([np.arange(len(everything)), times + late])]


@pytest.mark.parametrize("seed", range(200))
def test_any_cut_and_order_of_arrival_gives_the_same_bytes(seed):
    random = np.random.default_rng(seed)
    bars = market(random)
    come = arrivals(bars, random)
    book, held, stored = FeatureBook(), [], {}
    restart = random.integers(1, 20)
    for n, batch in enumerate(
        np.split(come, np.sort(random.integers(0, len(come), 20)))
    ):
        if n == restart:
            book = FeatureBook()
            book.restore(remembered(held, stored))
        held.append(batch)
        stored |= {key(bar): row for bar, row in zip(*book.add(batch), strict=True)}

    assert {at: row.tobytes() for at, row in stored.items()} == at_once(bars)


def remembered(held, stored):
    """Return the newest bar of each window that came, and what was told of it."""
    bars = {key(bar): bar for batch in held for bar in batch}
    return Rows(
        np.array(list(bars.values()), BAR),
        np.array([stored[at] for at in bars], FEATURES),
    )


def test_a_revised_bar_restates_the_rest_of_its_session_and_the_next_alone():
    bars = in_order(market(np.random.default_rng(1)))
    book = FeatureBook()
    book.add(bars)
    revised = bars[(bars["symbol"] == 1) & (bars["session"] == 1)][30:31].copy()
    revised["close"] += 1
    (start_ns,) = revised["window_start_ns"]
    touched = [key(bar) for bar in book.add(revised).bars]

    assert touched == [
        key(bar)
        for bar in bars
        if bar["symbol"] == 1 and start_ns <= bar["window_start_ns"] < 3 * DAY_NS
    ]


def test_a_bar_that_comes_again_changes_nothing():
    bars = in_order(market(np.random.default_rng(2)))
    book = FeatureBook()
    book.add(bars[bars["session"] < 2])

    assert not len(book.add(bars[bars["session"] == 1][:50]).bars)


def test_a_bar_that_is_withdrawn_leaves_no_trace():
    bars = in_order(market(np.random.default_rng(3)))
    book = FeatureBook()
    told = {key(bar): row.tobytes() for bar, row in zip(*book.add(bars), strict=True)}
    rest = np.delete(bars, 100)
    restated = book.add(rest[:0], gone=bars[100:101])
    told |= {key(bar): row.tobytes() for bar, row in zip(*restated, strict=True)}
    del told[key(bars[100])]

    assert told == at_once(rest)


def test_forgotten_sessions_do_not_reach_what_is_kept():
    bars = in_order(market(np.random.default_rng(4)))
    book = FeatureBook()
    book.add(bars[bars["session"] < 3])
    book.forget(before_session=2)
    rows = zip(*book.add(bars[bars["session"] == 3]), strict=True)
    at_once_ = at_once(bars)

    assert all(row.tobytes() == at_once_[key(bar)] for bar, row in rows)
