"""The environment: fills, rewards, episodes, and one window against many."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from models.account import Accounts, Action, Costs
from models.environment import Rules, Simulation, TradingEnvironment, TradingWindows
from models.rewards import Rewards
from models.tape import Tape, sessions, stretches, whole
from tests.unit.models.tapes import walk

HOLD, BUY, SELL = Action


def play(tape: Tape, rules: Rules, actions: list[int]) -> tuple[list[float], float]:
    """Return the rewards of some decisions from the first bar, and the last value."""
    simulation = Simulation(tape, 1, rules)
    simulation.begin(np.array([True]), whole(tape))
    rewards = [float(simulation.step(np.array([a])).reward[0]) for a in actions]
    return rewards, float(simulation.value()[0])


actions_of_any_kind = st.lists(st.sampled_from(list(Action)), min_size=1, max_size=60)
any_costs = st.builds(
    Costs,
    fee_bps=st.floats(0, 20),
    fee_usd_per_share=st.floats(0, 0.1),
    slippage_bps=st.floats(0, 20),
    multiple=st.floats(0, 3),
)


@given(actions_of_any_kind, any_costs, st.integers(0, 20))
def test_rewards_sum_to_the_equity_s_change(actions, costs, seed):
    tape = walk(61, seed)
    cash = 50_000.0

    log, value = play(tape, Rules(costs, "log", cash), actions)
    profit, _ = play(tape, Rules(costs, "profit", cash), actions)
    simple, _ = play(tape, Rules(costs, "simple", cash), actions)

    assert sum(log) == pytest.approx(np.log(value / cash), abs=1e-9)
    assert sum(profit) == pytest.approx(value - cash, abs=1e-6)
    assert np.prod([1 + r for r in simple]) == pytest.approx(value / cash, abs=1e-9)


def test_a_price_move_while_holding_is_the_simple_return():
    tape = walk(4)
    rewards, _ = play(tape, Rules(reward="simple"), [BUY, HOLD])
    assert rewards[1] == pytest.approx(tape.mark[2] / tape.mark[1] - 1)


def test_a_decision_is_filled_at_the_quote_that_follows_never_at_its_close():
    tape = walk(4)
    tape.bid[0], tape.ask[0] = 200.0, 202.0
    _, value = play(tape, Rules(cash=202.0), [BUY])
    assert value == pytest.approx(tape.mark[1])


def test_an_order_without_a_quote_does_nothing():
    tape = walk(4)
    tape.ask[0] = np.nan
    _, value = play(tape, Rules(cash=1.0), [BUY, HOLD])
    assert value == 1.0


def test_the_differential_sharpe_ratio_by_hand():
    rewards = Rewards("sharpe", 1)
    before = np.array([100.0])
    assert rewards.earned(before, np.array([101.0])) == 0  # nothing has varied yet
    # After 1 %: A = 0.01 * 0.01, B = 0.01 * 0.01**2. The next return is -2 %.
    # Moody, Saffell: (B dA - A dB / 2) / (B - A**2)**1.5, dA = R - A, dB = R**2 - B
    a, b, r = 1e-4, 1e-6, -0.02
    expected = (b * (r - a) - a * (r**2 - b) / 2) / (b - a**2) ** 1.5
    assert rewards.earned(before, np.array([98.0])) == pytest.approx(expected)
    assert expected == pytest.approx(-40.66, abs=0.01)
    a, b, r = a + 0.01 * (r - a), b + 0.01 * (r**2 - b), 0.005
    expected = (b * (r - a) - a * (r**2 - b) / 2) / (b - a**2) ** 1.5
    assert rewards.earned(before, np.array([100.5])) == pytest.approx(expected)


def test_the_differential_sharpe_ratio_prefers_the_steady_gain():
    steady, wild = walk(200), walk(200)
    steady.mark[:] = 100 * np.exp(np.arange(200) * 1e-4)
    steady.mark[::2] *= 1.00001
    wild.mark[:] = steady.mark * np.where(np.arange(200) % 2, 1.01, 0.99)
    rules = Rules(Costs(multiple=0), "sharpe")
    held = [BUY] + [HOLD] * 198
    assert np.mean(play(steady, rules, held)[0]) > np.mean(play(wild, rules, held)[0])


@given(st.floats(0.1, 3))
def test_costs_fall_on_both_sides_and_grow(multiple):
    costs = Costs(fee_bps=1, fee_usd_per_share=0.01, slippage_bps=2)
    bid, ask = np.array([99.0]), np.array([101.0])
    dear, dearer = costs.times(multiple), costs.times(multiple * 1.1)
    assert dearer.buy_price(bid, ask) > dear.buy_price(bid, ask) > 100
    assert dearer.sell_price(bid, ask) < dear.sell_price(bid, ask) < 100
    free = costs.times(0)
    assert free.buy_price(bid, ask) == free.sell_price(bid, ask) == 100


def test_a_crossed_quote_is_no_gift():
    paid = Costs().buy_price(np.array([101.0]), np.array([99.0]))
    assert paid == 100


def test_buying_twice_and_selling_nothing_change_nothing():
    accounts = Accounts.opened(2, 100.0)
    quote = np.array([10.0, 10.0])
    accounts.order(np.array([BUY, SELL]), quote, quote, Costs())
    traded = accounts.order(np.array([BUY, HOLD]), quote, quote, Costs())
    assert not traded.any()
    assert accounts.shares.tolist() == [10.0, 0.0]
    assert accounts.cash.tolist() == [0.0, 100.0]


def test_masks_allow_what_does_something():
    env = TradingEnvironment(walk(5), whole(walk(5)))
    env.reset(seed=1)
    assert env.action_masks().tolist() == [True, True, False]
    env.step(BUY)
    assert env.action_masks().tolist() == [True, False, True]


def test_a_day_s_end_truncates_and_ruin_terminates():
    tape = walk(20, days=2)
    env = TradingEnvironment(tape, sessions(tape))
    env.reset(options={"episode": 0})
    ends = [env.step(HOLD)[2:4] for _ in range(9)]
    assert ends == [(False, False)] * 8 + [(False, True)]

    tape.mark[5:] *= 0.01
    env.reset(options={"episode": 0})
    ends = [env.step(BUY)[2:4] for _ in range(5)]
    assert ends == [(False, False)] * 4 + [(True, False)]


def test_flat_at_close_sells_whatever_the_agent_says():
    tape = walk(10)
    env = TradingEnvironment(tape, whole(tape), Rules(flat_at_close=True))
    env.reset()
    for _ in range(9):
        told = env.step(BUY)[4]
    assert told["shares"] == 0
    assert told["row"] == 9


def test_gymnasium_finds_no_fault():
    tape = walk(50)
    with warnings.catch_warnings():
        # it wishes for a registered spec, which an environment of data cannot have
        warnings.filterwarnings("ignore", module="gymnasium")
        check_env(TradingEnvironment(tape, whole(tape)), skip_render_check=True)


def test_many_windows_walk_exactly_as_one():
    tape = walk(3_000, days=20)
    episodes = sessions(tape)
    rules = Rules(Costs(fee_bps=1), "sharpe", flat_at_close=True)
    many = TradingWindows(tape, episodes, 64, rules)
    first = np.arange(64) % len(episodes)
    actions = np.random.default_rng(5).integers(0, 3, (140, 64))

    seen, _ = many.reset(seed=3, options={"episodes": first})
    steps = [many.step(row) for row in actions]

    for window in range(64):
        one = TradingEnvironment(tape, episodes, rules)
        expected, _ = one.reset(options={"episode": int(first[window])})
        assert expected.tobytes() == seen[window].tobytes()
        for action, batch in zip(actions[:, window], steps, strict=True):
            now, reward, terminated, truncated, _ = one.step(action)
            assert reward == batch[1][window]
            assert (terminated, truncated) == (batch[2][window], batch[3][window])
            assert now.tobytes() == batch[0][window].tobytes()


def test_a_window_that_ended_is_begun_anew_in_the_same_step():
    tape = walk(40, days=4)
    windows = TradingWindows(tape, sessions(tape), 3)
    windows.reset(seed=1)
    for _ in range(8):
        assert not windows.step(np.full(3, BUY))[3].any()
    seen, _, _, truncated, told = windows.step(np.full(3, BUY))
    assert truncated.all()
    assert (seen[:, 3] == -1).all()
    assert (told["final_obs"][:, 3] == 1).all()


def test_the_batch_is_a_vector_environment_for_gymnasium():
    windows = TradingWindows(walk(500), stretches(walk(500), 50), 64)
    assert isinstance(windows, gymnasium.vector.VectorEnv)
    seen, _ = windows.reset(seed=2)
    assert windows.observation_space.contains(seen)
