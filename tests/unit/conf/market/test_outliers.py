"""Outliers among prints: what is planted is found, what is clean is left alone."""

import itertools
import json

import numpy as np
import pytest

from conf.market.conditions import effect_of
from conf.market.outliers import (
    PRINT,
    STEP_THRESHOLD,
    THRESHOLD,
    WARM_UP_PRINTS,
    new_state,
    score,
)
from conf.settings import SimulatorSettings
from producer.simulator.market import Market

START_NS = 1_795_398_612_345_678_901
SYMBOLS = ("AAPL", "INTC", "JPM", "TSLA")
LOCAL_PRINTS = 500


def prints_of(prices, symbol=0):
    prints = np.zeros(len(prices), PRINT)
    prints["symbol"], prints["price"] = symbol, prices
    prints["restarts"][:1] = True
    return prints


def verdicts_on(prints):
    """Return what is known of each print but the last, whose next one is not there."""
    return score(new_state(1), prints)[1][1:]


def outliers_of(prices):
    return np.flatnonzero(verdicts_on(prints_of(prices))["is_outlier"]).tolist()


def walk(count, seed=0, price=100.0):
    """A random walk whose prints bounce between bid and ask."""
    random = np.random.default_rng(seed)
    mid = price * np.exp(np.cumsum(random.normal(0, 5e-5, count)))
    return np.round(mid + random.choice([-0.01, 0.01], count), 2)


@pytest.fixture(scope="module", params=[20, 128])
def simulated(request):
    """Prices of the clean market by symbol, at so many messages a second of each."""
    settings = SimulatorSettings(rate_per_s=request.param * len(SYMBOLS))
    market = Market(settings, list(SYMBOLS))
    texts = itertools.chain.from_iterable(b.texts for b in market.batches(START_NS))
    trades = {symbol: [] for symbol in SYMBOLS}
    for message in map(json.loads, itertools.islice(texts, 60_000)):
        if message["T"] == "t" and effect_of(message.get("c"), message["z"]).high_low:
            trades[message["S"]].append((message["t"], message["i"], message["p"]))
    return {s: np.array([t[2] for t in sorted(found)]) for s, found in trades.items()}


def test_the_clean_simulated_market_raises_no_alarm(simulated):
    assert sum(map(len, simulated.values())) > 9_000
    assert all(outliers_of(prices) == [] for prices in simulated.values())


def test_planted_spikes_are_found(simulated, record_property):
    told = {
        deviations: found_share(simulated, deviations)
        for deviations in [(5, 8), (8, 8), (8, 20)]
    }
    recall = {deviations: share for deviations, (share, _) in told.items()}
    record_property("recall", {str(name): share for name, share in recall.items()})

    assert [others for _, others in told.values()] == [0, 0, 0]
    assert recall[5, 8] >= 0.7
    assert recall[8, 8] >= 0.95
    assert recall[8, 20] >= 0.95


def found_share(simulated, deviations):
    """Plant spikes of so many standard deviations of the returns around them.

    Returns the share that is found, and the number of other alarms.
    """
    random = np.random.default_rng(11)
    found = planted = others = 0
    for prices in simulated.values():
        spoilt = prices.copy()
        places = np.arange(LOCAL_PRINTS + 1, len(prices), 37)
        for place in places:
            local = prices[place - LOCAL_PRINTS : place]
            deviation = np.std(np.diff(local) / local[:-1])
            size = random.uniform(*deviations) * random.choice([-1, 1])
            spoilt[place] = round(prices[place - 1] * (1 + size * deviation), 2)
        alarms = set(outliers_of(spoilt))
        found += len(alarms & set(places.tolist()))
        others += len(alarms - set(places.tolist()))
        planted += len(places)
    return found / planted, others


def test_nothing_is_judged_before_the_scale_is_known():
    verdicts = verdicts_on(prints_of(walk(WARM_UP_PRINTS + 50)))
    known = ~np.isnan(verdicts["score"])

    assert known.tolist() == [n > WARM_UP_PRINTS for n in range(len(verdicts))]


def test_a_print_is_judged_when_the_next_one_is_there():
    prints = prints_of([*walk(300), 200.0, 100.0])
    state, early = score(new_state(1), prints[:301])
    _, late = score(state, prints[301:])

    assert not early["is_outlier"].any()
    assert late["is_outlier"].tolist() == [True]


def test_a_new_level_is_one_alarm():
    prices = walk(400)
    prices[300:] = np.round(prices[300:] * 1.01, 2)

    assert outliers_of(prices) == [300]


def test_a_step_that_stays_may_be_greater_than_one_that_comes_back():
    deviation = np.std(np.diff(walk(600)))
    between = (THRESHOLD + STEP_THRESHOLD) / 2 * deviation
    stays, comes_back = walk(600), walk(600)
    stays[300:] += between
    comes_back[300] = comes_back[299] + between

    assert outliers_of(stays) == []
    assert outliers_of(comes_back) == [300]


def test_two_bad_prints_in_a_row_are_two_alarms():
    prices = walk(400)
    prices[300:302] = 200.0, 60.0

    assert outliers_of(prices) == [300, 301]


def test_a_market_that_grows_wild_is_soon_taken_as_it_is():
    calm, random = walk(600), np.random.default_rng(5)
    wild = calm[-1] * np.exp(np.cumsum(random.normal(0, 2e-3, 2_000)))
    alarms = np.array(outliers_of(np.concatenate([calm, np.round(wild, 2)])))

    assert len(alarms) <= 20
    assert alarms.max() < 600 + 500


@pytest.mark.parametrize("place", [WARM_UP_PRINTS - 20, 300])
def test_a_spike_does_not_move_what_is_expected_after_it(place):
    prices = walk(400)
    expected = verdicts_on(prints_of(np.delete(prices, place)))[place:]
    prices[place] = 200.0
    spoilt = verdicts_on(prints_of(prices))[place + 1 :]

    assert outliers_of(prices) == ([place] if place > WARM_UP_PRINTS else [])
    known = ~np.isnan(expected["score"])
    assert np.array_equal(spoilt["level"][known], expected["level"][known])
    assert np.allclose(spoilt["score"][known], expected["score"][known], rtol=0.05)


def test_prices_that_begin_to_bounce_are_soon_taken_as_they_are():
    prices = walk(600)
    prices[300::2] += 0.2
    alarms = outliers_of(np.round(prices, 2))

    assert 0 < len(alarms) <= 50


@pytest.mark.parametrize("ratio", [1 / 7, 1.2])
def test_a_split_or_a_night_is_no_outlier(ratio):
    prices = walk(600)
    prices[300:] = np.round(prices[300:] * ratio, 2)
    prints = prints_of(prices)
    prints["restarts"][300] = True
    verdicts = verdicts_on(prints)

    assert not verdicts["is_outlier"].any()
    assert np.isnan(verdicts["score"][300:306]).all()
    assert not np.isnan(verdicts["score"][306:]).any()


def test_the_last_print_of_a_session_is_judged_without_a_next_one():
    prints = prints_of([*walk(300), 150.0, *walk(300)])
    prints["restarts"][301] = True

    assert np.flatnonzero(verdicts_on(prints)["is_outlier"]).tolist() == [300]


def test_where_nothing_moves_the_scale_is_a_tick():
    prices = np.full(300, 50.0)
    prices[200], prices[250] = 50.04, 50.05
    scores = verdicts_on(prints_of(prices))["score"]

    assert scores[200] == pytest.approx(4)
    assert outliers_of(prices) == [250]
    assert abs(scores[250]) > THRESHOLD


@pytest.mark.parametrize("seed", range(20))
def test_no_cut_changes_a_byte(seed):
    random = np.random.default_rng(seed)
    prints = prints_of(walk(900, seed))
    prints["symbol"] = random.integers(0, 3, 900)
    _, expected = score(new_state(3), prints)
    state, parts = new_state(3), []
    for batch in np.split(prints, np.sort(random.integers(0, 900, 12))):
        state, scores = score(state, batch)
        parts.append(scores)

    assert np.concatenate(parts).tobytes() == expected.tobytes()


def test_a_symbol_without_a_row_is_refused():
    with pytest.raises(IndexError, match="no row"):
        score(new_state(1), prints_of([1.0], symbol=1))
