"""Bars in any order give the features of all bars at once, byte by byte."""

import numpy as np
import pytest

from conf.market.feature_book import FeatureBook
from conf.market.indicators import BAR, advance, new_state

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
    book, held, stored = FeatureBook(SYMBOLS), [], {}
    restart = random.integers(1, 20)
    for n, batch in enumerate(
        np.split(come, np.sort(random.integers(0, len(come), 20)))
    ):
        if n == restart:
            book = FeatureBook(SYMBOLS)
            book.add(newest_sessions(np.concatenate(held)))
        held.append(batch)
        stored |= {key(row.bar): row.features.tobytes() for row in book.add(batch)}

    assert stored == at_once(bars)


def newest_sessions(bars):
    newest = np.array(
        [bars["session"][bars["symbol"] == s].max(initial=0) for s in range(SYMBOLS)]
    )
    return bars[bars["session"] >= newest[bars["symbol"]] - 2]


def test_a_revised_bar_restates_the_rest_of_its_session_and_the_next_alone():
    bars = in_order(market(np.random.default_rng(1)))
    book = FeatureBook(SYMBOLS)
    for session in range(3):
        book.add(bars[bars["session"] == session])
    revised = bars[(bars["symbol"] == 1) & (bars["session"] == 1)][30:31].copy()
    revised["close"] += 1
    (start_ns,) = revised["window_start_ns"]
    touched = [key(row.bar) for row in book.add(revised)]

    assert touched == [
        key(bar)
        for bar in bars
        if bar["symbol"] == 1 and start_ns <= bar["window_start_ns"] < 3 * DAY_NS
    ]


def test_a_bar_that_comes_again_changes_nothing():
    bars = in_order(market(np.random.default_rng(2)))
    book = FeatureBook(SYMBOLS)
    book.add(bars[bars["session"] < 2])

    assert book.add(bars[bars["session"] == 1][:50]) == []


def test_a_bar_older_than_the_previous_session_is_refused_whole():
    bars = in_order(market(np.random.default_rng(3)))
    book, other = FeatureBook(SYMBOLS), FeatureBook(SYMBOLS)
    for each in (book, other):
        each.add(bars[bars["session"] == 2])
    mixed = np.concatenate([bars[bars["session"] == 3], bars[:1]])
    with pytest.raises(ValueError, match="session 0 comes in session 2"):
        book.add(mixed)
    after, undisturbed = (
        [row.features.tobytes() for row in each.add(bars[bars["session"] == 3])]
        for each in (book, other)
    )
    assert after == undisturbed
