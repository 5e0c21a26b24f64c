"""Markets with a planted signal, whose best policy is known.

Each draws a price path, what an agent may see of it, and the forecast of the next
log-return that no agent can better. An agent is judged by that forecast instead of by
the returns that happened to follow, which takes the luck out of its score.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from conf.market.indicator_kernel import Records
from conf.market.indicators import BAR
from models.observation import columns_of, market_inputs, ordinary_return
from models.optimum import (
    Optimum,
    autoregressive_chain,
    belief_chain,
    best_policy,
)
from models.tape import Floats, Tape

BPS = 1e-4
MINUTE_NS = 60_000_000_000
DAY_BARS = 390


class Path(NamedTuple):
    """A draw of a market: one entry a bar.

    ``next_return`` is the log-return from the bar to the next, ``state`` what the best
    policy decides by, ``forecast`` the mean of ``next_return`` given all that can be
    known, ``signals`` what is published beside the price.
    """

    next_return: Floats
    state: Floats
    forecast: Floats
    signals: Floats

    @property
    def price(self) -> Floats:
        """USD at each bar's close: the returns before it."""
        before: Floats = np.concatenate([[0.0], np.cumsum(self.next_return)[:-1]])
        return 100 * np.exp(before)


Sees = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Turns prices and published signals into the network's inputs and the unit."""


@dataclass(frozen=True)
class Market:
    """A planted market.

    Attributes:
        name: Key in the suite's table.
        cost: Log-return that each side of a trade costs.
        draw: Draws a path of some bars.
        best: Computes the best policy.
        sees: What an agent sees.
    """

    name: str
    cost: float
    draw: Callable[[int, np.random.Generator], Path]
    best: Callable[[], Optimum]
    sees: Sees

    @cached_property
    def optimum(self) -> Optimum:
        """The best policy."""
        return self.best()

    def tape(self, path: Path) -> Tape:
        """Return a path as an agent trades it."""
        price, bars = path.price, len(path.state)
        inputs, unit = self.sees(price, path.signals)
        return Tape(
            time_ns=(np.arange(bars, dtype=np.int64) + 1) * MINUTE_NS,
            session=np.arange(bars, dtype=np.int64) // DAY_BARS,
            features=inputs,
            mark=price,
            bid=price * np.exp(-self.cost),
            ask=price * np.exp(self.cost),
            unit=unit,
        )


SIGMA = 5 * BPS
RHO = 0.95


def visible(
    name: str, beta_bps: float, cost_bps: float = 1.5, drift_bps: float = 0.0
) -> Market:
    """Return a market whose AR(1) signal is published, between four distractors.

    The next log-return is ``drift + beta * signal`` plus noise of 5 bps.
    """
    beta, cost, drift = beta_bps * BPS, cost_bps * BPS, drift_bps * BPS

    def draw(bars: int, rng: np.random.Generator) -> Path:
        signal = _autoregression(rng.standard_normal(bars), RHO)
        forecast = drift + beta * signal
        returns = forecast + SIGMA * rng.standard_normal(bars)
        signals = np.column_stack([signal, rng.standard_normal((bars, 4))])
        return Path(returns, signal, forecast, signals)

    def best() -> Optimum:
        states, transition = autoregressive_chain(RHO)
        return best_policy(states, transition, drift + beta * states, cost)

    return Market(name, cost, draw, best, _sees_signals)


def _sees_signals(price: Floats, signals: Floats) -> tuple[Floats, Floats]:
    return signals, np.full(len(price), SIGMA)


def leaked() -> Market:
    """Return a market without any signal, whose next log-return is among the inputs.

    Whatever learns must master it, and no honest data can contain it.
    """

    def draw(bars: int, rng: np.random.Generator) -> Path:
        returns = SIGMA * rng.standard_normal(bars)
        signals = rng.standard_normal((bars, 5))
        return Path(returns, returns / SIGMA, returns, signals)

    def best() -> Optimum:
        states, transition = autoregressive_chain(0.0)
        return best_policy(states, transition, SIGMA * states, 1.5 * BPS)

    def sees(price: Floats, signals: Floats) -> tuple[Floats, Floats]:
        following = np.append(np.diff(np.log(price)), 0.0) / SIGMA
        return np.column_stack([signals, following]), np.full(len(price), SIGMA)

    return Market("positive_control", 1.5 * BPS, draw, best, sees)


HIDDEN_RHO, HIDDEN_SPREAD, HIDDEN_NOISE = 0.8, 10 * BPS, 3 * BPS


def hidden() -> Market:
    """Return a market whose price strays from a random walk and comes back.

    The straying is an AR(1) of 10 bps that nobody publishes: indicators of the price
    are all there is. The Kalman filter's forecast is itself an AR(1), so the best
    policy is exact.
    """
    cost = 1.0 * BPS

    def draw(bars: int, rng: np.random.Generator) -> Path:
        shocks = rng.standard_normal(bars + 1)
        straying = HIDDEN_SPREAD * _autoregression(shocks, HIDDEN_RHO)
        returns = np.diff(straying) + HIDDEN_NOISE * rng.standard_normal(bars)
        found, spread = _kalman(returns)
        forecast = -(1 - HIDDEN_RHO) * found
        return Path(returns, -found / spread, forecast, np.empty((bars, 0)))

    def best() -> Optimum:
        states, transition = autoregressive_chain(HIDDEN_RHO)
        spread = _kalman(np.zeros(1))[1]
        return best_policy(states, transition, (1 - HIDDEN_RHO) * spread * states, cost)

    return Market("hidden", cost, draw, best, sees_indicators)


REGIME_DRIFT, REGIME_SWITCH = 2 * BPS, 0.01


def regimes() -> Market:
    """Return a market that drifts up or down, and switches when nobody tells.

    What is right in one regime is wrong in the other. The best policy decides by the
    log-odds that Hamilton's filter infers from the returns.
    """
    cost = 1.5 * BPS

    def draw(bars: int, rng: np.random.Generator) -> Path:
        turned = np.cumsum(rng.random(bars) < REGIME_SWITCH) + rng.integers(2)
        drift = np.where(turned % 2, REGIME_DRIFT, -REGIME_DRIFT)
        returns = drift + SIGMA * rng.standard_normal(bars)
        log_odds = _hamilton(returns)
        forecast = REGIME_DRIFT * np.tanh(log_odds / 2)
        return Path(returns, log_odds, forecast, np.empty((bars, 0)))

    def best() -> Optimum:
        states, transition = belief_chain(REGIME_DRIFT, SIGMA, REGIME_SWITCH)
        forecast = REGIME_DRIFT * np.tanh(states / 2)
        return best_policy(states, transition, forecast, cost)

    return Market("regimes", cost, draw, best, sees_indicators)


def sees_indicators(price: Floats, signals: Floats) -> tuple[Floats, Floats]:
    """Return the inputs of a price path as the product computes them: from its bars.

    The published signals, if any, are not looked at.
    """
    columns = columns_of(minute_bars(price))
    return market_inputs(columns), np.nan_to_num(ordinary_return(columns), nan=SIGMA)


def minute_bars(price: Floats) -> Records:
    """Return rows of ``BAR`` that close at some prices, in days of ``DAY_BARS``."""
    bars = np.zeros(len(price), BAR)
    minute = np.arange(len(price), dtype=np.int64)
    bars["session"] = minute // DAY_BARS
    bars["window_start_ns"] = minute * MINUTE_NS
    bars["session_open_ns"] = bars["session"] * DAY_BARS * MINUTE_NS
    bars["session_close_ns"] = bars["session_open_ns"] + DAY_BARS * MINUTE_NS
    bars["close"], bars["volume"], bars["split_ratio"] = price, 100.0, 1.0
    return bars


@njit(cache=True)
def _autoregression(shocks: Floats, rho: float) -> Floats:
    """Return an AR(1) of unit variance."""
    signal = np.empty_like(shocks)
    signal[0] = shocks[0]
    for at in range(1, len(shocks)):
        signal[at] = rho * signal[at - 1] + np.sqrt(1 - rho * rho) * shocks[at]
    return signal


@njit(cache=True)
def _hamilton(returns: Floats) -> Floats:
    """Return the log-odds of the upper regime given the returns before each bar."""
    log_odds = np.zeros_like(returns)
    for at in range(1, len(returns)):
        seen = 2 * REGIME_DRIFT * returns[at - 1] / (SIGMA * SIGMA)
        up = 1 / (1 + np.exp(-log_odds[at - 1] - seen))
        up = up * (1 - REGIME_SWITCH) + (1 - up) * REGIME_SWITCH
        log_odds[at] = np.log(up / (1 - up))
    return log_odds


@njit(cache=True)
def _kalman(returns: Floats) -> tuple[Floats, float]:
    """Return the straying's mean given the returns before each bar, and its spread.

    The state is the straying now and a bar ago; a return observes their difference.
    The gain is the steady state's.
    """
    gain, spread = _steady_gain()
    found = np.empty_like(returns)
    now, before = 0.0, 0.0
    for at in range(len(returns)):
        now, before = HIDDEN_RHO * now, now
        if at:
            surprise = returns[at - 1] - (now - before)
            now, before = now + gain[0] * surprise, before + gain[1] * surprise
        found[at] = now
    return found, spread


@njit(cache=True)
def _steady_gain() -> tuple[Floats, float]:
    """Return the Kalman gain, and the spread of what the filter finds."""
    variance = HIDDEN_SPREAD * HIDDEN_SPREAD
    shock = variance * (1 - HIDDEN_RHO * HIDDEN_RHO)
    a, b, c = variance, 0.0, variance
    gain = np.zeros(2)
    for _ in range(1_000):
        # covariance of (now, before) a bar later, and after its return was seen
        a, b, c = HIDDEN_RHO * HIDDEN_RHO * a + shock, HIDDEN_RHO * a, a
        gain[0] = (a - b) / (a - 2 * b + c + HIDDEN_NOISE * HIDDEN_NOISE)
        gain[1] = (b - c) / (a - 2 * b + c + HIDDEN_NOISE * HIDDEN_NOISE)
        a, b, c = a - gain[0] * (a - b), b - gain[0] * (b - c), c - gain[1] * (b - c)
    return gain, np.sqrt(variance - a)
