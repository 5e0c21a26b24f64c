"""Folds, intervals, and the rule of a claim."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from conf.errors import FixSetup
from models.account import Costs
from models.baselines import one_step, random_like, rules
from models.environment import Rules
from models.evaluate import (
    Evidence,
    excess_sharpe,
    interquartile_mean,
    walk_forward,
    weigh,
)
from models.observation import MARKET_INPUTS
from models.performance import MINUTES_A_YEAR, hit_rate, mean_of, performance
from models.selection import sharpe
from models.tape import Tape
from models.traces import (
    Found,
    Trace,
    load,
    play,
    save,
    wanting,
)
from tests.unit.models.tapes import walk

DAY = 100


def trace(seed: int, skill: float = 0.0, bars: int = 20 * DAY) -> Trace:
    rng = np.random.default_rng(seed)
    asset = rng.normal(0, 1e-3, bars)
    is_long = rng.random(bars) < 0.5
    is_long |= (asset > 0) & (rng.random(bars) < skill)
    traded = np.concatenate([is_long[:1], is_long[1:] ^ is_long[:-1]])
    costs = 1e-5 * traded
    return Trace(is_long * asset - costs, asset, is_long, traded, costs)


def clone_of_hold(seed: int) -> Trace:
    asset = np.random.default_rng(seed).normal(2e-4, 1e-3, 20 * DAY)
    traded = np.zeros(len(asset), np.bool_)
    traded[0] = True
    return Trace(asset, asset, np.ones_like(traded), traded, np.zeros(len(asset)))


def weighed(traces: list[Trace]) -> Evidence:
    tried = [sharpe(trace.excess) for trace in traces]
    rivals = [trace(seed) for seed in range(900, 905)]
    return weigh(traces, traces, rivals, tried, MINUTES_A_YEAR, DAY)


def test_folds_learn_from_the_past_alone():
    folds = walk_forward(1_000, 4, embargo=50, first_share=0.5)
    assert [fold.test_first for fold in folds] == [500, 625, 750, 875]
    assert all(fold.test_first - fold.train_stop == 50 for fold in folds)
    assert folds[-1].test_stop == 1_000
    with pytest.raises(FixSetup, match="60 bars are too few for 4 tests"):
        walk_forward(60, 4, embargo=50, first_share=0.5)


def test_the_interquartile_mean_forgets_the_extremes():
    assert interquartile_mean(np.array([-100.0, 1, 2, 3, 4, 5, 6, 900])) == 3.5


def test_skill_is_claimed_and_noise_is_not():
    skilled = weighed([trace(seed, skill=0.3) for seed in range(5)])
    assert skilled.claims_edge, skilled.verdict
    assert skilled.excess_sharpe.low > 0
    noise = weighed([trace(seed) for seed in range(5)])
    assert not noise.claims_edge
    assert noise.verdict.startswith("no edge demonstrated: ")


def test_noise_is_hardly_ever_claimed():
    claims = [weighed([trace(seed)]).claims_edge for seed in range(30)]
    assert sum(claims) <= 2


def test_a_clone_of_buy_and_hold_claims_nothing():
    clone = clone_of_hold(1)
    assert sharpe(clone.returns) * MINUTES_A_YEAR**0.5 > 10
    evidence = weighed([clone])
    assert evidence.excess_sharpe.value == 0
    assert "always or never invested" in evidence.failed


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    zero = 0
    for seed in range(30):
        found = excess_sharpe([trace(seed)], MINUTES_A_YEAR, DAY)
        # a round trip's cost is far below what a day's luck moves
        zero += found.low <= 0 <= found.high
    assert zero >= 25


def test_the_interval_of_several_seeds_draws_days_and_seeds():
    skills = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    traces = [trace(seed, skill) for seed, skill in enumerate(skills)]
    found = excess_sharpe(traces, MINUTES_A_YEAR, DAY)
    by_seed = [sharpe(one.excess) * MINUTES_A_YEAR**0.5 for one in traces]
    middle = sorted(by_seed)[1:-1]
    assert found.value == pytest.approx(np.mean(middle))
    # Drawn one by one: days of all seeds together, then six of the seeds.
    rng = np.random.default_rng(8)
    days = np.stack([one.excess for one in traces], 1).reshape(20, DAY, 6)
    drawn = []
    for _ in range(2_000):
        again = days[rng.integers(20, size=20)].reshape(-1, 6)
        ratios = again.mean(0) / again.std(0)
        drawn.append(np.sort(ratios[rng.integers(6, size=6)])[1:-1].mean())
    low, high = np.quantile(drawn, [0.025, 0.975]) * MINUTES_A_YEAR**0.5
    width = high - low
    assert found.low == pytest.approx(low, abs=0.06 * width)
    assert found.high == pytest.approx(high, abs=0.06 * width)
    # Six clones know no more than one.
    clones = excess_sharpe(traces[2:3] * 6, MINUTES_A_YEAR, DAY)
    alone = excess_sharpe(traces[2:3], MINUTES_A_YEAR, DAY)
    assert asdict(clones) == pytest.approx(asdict(alone))


def test_figures_of_a_trace_by_hand():
    asset = np.array([0.1, -0.5, 0.2, 0.0])
    is_long = np.array([True, False, True, True])
    traded = np.array([True, True, True, False])
    returns = np.array([0.1, -0.01, 0.2, 0.0])
    costs = np.array([0.02, 0.01, 0.02, 0.0])
    known = Trace(returns, asset, is_long, traded, costs)
    figures = performance(known, bars_a_year=4, bars_a_day=2)
    assert figures.net_return == pytest.approx(1.1 * 0.99 * 1.2 - 1)
    assert figures.max_drawdown == pytest.approx(0.01)
    assert figures.trades == 3
    assert figures.win_rate == 1
    assert figures.exposure == 0.75
    assert figures.mean_holding_bars == 1.5
    gross = np.log(1.1 * 0.99 * 1.2) + 0.05
    assert figures.cost_share_of_gross == pytest.approx(0.05 / gross)
    assert figures.worst_day == pytest.approx(0.09)
    # 0.29 / 4 a bar; sqrt(0.01**2 / 4) is the mean of what was lost; 4 bars a year
    assert figures.sortino == pytest.approx(0.0725 / 0.005 * 2)
    assert figures.calmar == pytest.approx((1.1 * 0.99 * 1.2 - 1) / 0.01)
    assert figures.turnover_per_year == 3
    assert hit_rate(known, 1) == 0.75


def test_a_round_trip_that_lost_counts_against_those_that_won():
    is_long = np.array([True, False, True, False, True, False])
    returns = np.array([0.1, 0.0, -0.05, 0.0, 0.02, -0.01])
    known = Trace(returns, returns, is_long, np.ones(6, np.bool_), np.zeros(6))
    figures = performance(known, bars_a_year=12, bars_a_day=3)
    won = np.log(1.1) + np.log(1.02 * 0.99)
    assert figures.profit_factor == pytest.approx(won / -np.log(0.95))
    assert figures.win_rate == pytest.approx(2 / 3)
    assert figures.turnover_per_year == 12  # six orders in half a year


def test_where_the_price_did_not_move_flat_is_right_and_long_is_wrong():
    still = np.zeros(4)
    is_long = np.array([True, False, False, False])
    known = Trace(still, still, is_long, is_long, still)
    assert hit_rate(known, 1) == 0.75


def test_the_mean_of_lives_is_of_figures_not_of_a_life_laid_end_to_end():
    lives = [performance(trace(seed), MINUTES_A_YEAR, DAY) for seed in range(20)]
    found = mean_of(lives)
    nets = [life.net_return for life in lives]
    assert found.net_return == pytest.approx(np.mean(nets))
    assert found.trades == round(np.mean([life.trades for life in lives]))
    one = replace(lives[0], calmar=float("nan"))
    assert np.isnan(mean_of([one, one]).calmar)
    assert mean_of([one, replace(one, calmar=2.0)]).calmar == 2.0


def test_traces_that_were_written_are_read_back_in_order(tmp_path: Path):
    written = [trace(seed) for seed in range(3)]
    save(tmp_path / "new" / "traces.npz", Found(written, 12.5))
    read, cpu_s = load(tmp_path / "new" / "traces.npz", pytest.fail) or Found([], 0)
    assert cpu_s == 12.5
    assert [asdict(found).keys() for found in read] == [asdict(written[0]).keys()] * 3
    for found, expected in zip(read, written, strict=True):
        for name, column in asdict(expected).items():
            assert np.array_equal(asdict(found)[name], column)


@pytest.mark.parametrize("multiple", [0.0, 1.0, 2.0])
def test_costs_are_what_a_fill_at_the_middle_would_have_saved(multiple: float):
    tape = walk(400)
    positions = np.random.default_rng(5).random(len(tape)) < 0.5
    costs = Costs(fee_bps=1, multiple=multiple)
    paid = play(wanting(positions), tape, Rules(costs))
    free = play(wanting(positions), tape, Rules(costs.times(0)))
    saved = np.log1p(free.returns) - np.log1p(paid.returns)
    assert paid.costs == pytest.approx(saved, abs=1e-12)
    assert (paid.costs.sum() > 0) == bool(multiple)


def with_inputs(tape: Tape) -> Tape:
    features = np.random.default_rng(1).normal(size=(len(tape), len(MARKET_INPUTS)))
    return Tape(**(vars(tape) | {"features": features}))


def test_baselines_trade_on_the_agent_s_terms():
    tape = with_inputs(walk(2_000))
    costs = Rules(Costs(fee_bps=1))
    traces = {name: play(policy, tape, costs) for name, policy in rules(tape).items()}
    assert not traces["flat"].returns.any()
    assert traces["hold"].traded.sum() == 1
    assert traces["rsi 14 30/70"].traded.sum() > 20
    turnover = traces["macd 12/26/9"].traded.sum()
    random = [
        play(policy, tape, costs).traded.sum()
        for policy, _ in zip(
            random_like(traces["macd 12/26/9"], 1), range(5), strict=False
        )
    ]
    assert np.mean(random) == pytest.approx(turnover, rel=0.15)


def test_net_falls_strictly_when_costs_rise():
    tape = with_inputs(walk(2_000))
    policy = rules(tape)["macd 12/26/9"]
    nets = [
        play(policy, tape, Rules(Costs(fee_bps=1).times(multiple))).returns.sum()
        for multiple in (0, 1, 2, 3)
    ]
    assert nets == sorted(nets, reverse=True)
    assert len(set(nets)) == 4


def test_the_supervised_rival_finds_a_visible_signal():
    tape = walk(4_000, spread_bps=1)
    log_returns = np.diff(np.log(tape.mark), append=np.log(tape.mark[-1]))
    tape.features[:, 0] = log_returns * 1e3
    policy = one_step(tape.part(0, 2_000), tape.part(2_000, 4_000), cost=1e-4)
    found = play(policy, tape.part(2_000, 4_000), Rules())
    always = play(wanting(np.ones(2_000, np.bool_)), tape.part(2_000, 4_000), Rules())
    assert sharpe(found.returns) > sharpe(always.returns) + 0.3
