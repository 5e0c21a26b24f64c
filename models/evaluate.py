"""Walk-forward evaluation, and the rule by which an edge may be claimed.

The measure is the excess over holding with the agent's mean exposure: a Sharpe ratio
against zero certifies a clone of buy-and-hold.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from conf.errors import FixSetup
from models.selection import deflated_sharpe, overfitting_probability, sharpe
from models.tape import Floats
from models.traces import Trace

RESAMPLES = 10_000
LEAST_DEFLATED = 0.95
MOST_OVERFITTED = 0.2
DEGENERATE_TRADES = 1 / 20
"""Trades a session under which a policy has not decided anything."""


@dataclass(frozen=True)
class Fold:
    """Rows ``[0, train_stop)`` to learn from, those from ``test_first`` to judge by."""

    train_stop: int
    test_first: int
    test_stop: int


def walk_forward(rows: int, folds: int, embargo: int, first_share: float) -> list[Fold]:
    """Return expanding folds: each learns from all before its test, less the embargo.

    Args:
        rows: Decisions of the tape.
        folds: Tests, equally long; the protocol asks for at least 4.
        embargo: Rows between, as many as a feature or label reaches.
        first_share: Share of the rows that the first fold learns from, embargo
            included.

    Raises:
        FixSetup: The tape is too short.
    """
    edges = np.linspace(int(rows * first_share), rows, folds + 1).astype(int)
    if edges[0] <= embargo or np.diff(edges).min() < 2:
        raise FixSetup(
            "history",
            f"{rows} bars are too few for {folds} tests, {embargo} bars between",
            "Take a longer history, or fewer folds",
        )
    return [
        Fold(int(first) - embargo, int(first), int(stop))
        for first, stop in itertools.pairwise(edges)
    ]


def interquartile_mean(values: Floats, axis: int = -1) -> Floats:
    """Return the mean of the middle half (Agarwal et al. 2021)."""
    ordered = np.sort(values, axis=axis)
    count = ordered.shape[axis]
    cut = int(count * 0.25)
    return np.asarray(ordered.take(range(cut, count - cut), axis=axis).mean(axis))


@dataclass(frozen=True)
class Interval:
    """A figure and the 95 % of a bootstrap around it."""

    value: float
    low: float
    high: float


def excess_sharpe(
    traces: Sequence[Trace], bars_a_year: float, bars_a_day: int, seed: int = 0
) -> Interval:
    """Return the IQM over seeds of the annual excess Sharpe ratio.

    Both seeds and days are drawn again: few seeds on one stretch of time know little,
    and ten clones know no more than one.
    """
    excess = np.stack([trace.excess for trace in traces], 1)
    edges = np.arange(0, len(excess), bars_a_day)
    counts = np.diff(np.append(edges, len(excess))).astype(np.float64)
    sums, squares = (np.add.reduceat(excess**power, edges) for power in (1, 2))
    rng = np.random.default_rng(seed)
    days, seeds = len(edges), len(traces)
    drawn = rng.multinomial(days, np.full(days, 1 / days), RESAMPLES).astype(float)
    by_seed = _sharpes(drawn @ counts, drawn @ sums, drawn @ squares)
    picked = rng.integers(seeds, size=(RESAMPLES, seeds))
    resampled = interquartile_mean(np.take_along_axis(by_seed, picked, 1), 1)
    low, high = np.quantile(resampled, [0.025, 0.975]) * bars_a_year**0.5
    found = interquartile_mean(np.array([sharpe(trace.excess) for trace in traces]))
    return Interval(float(found) * bars_a_year**0.5, float(low), float(high))


def _sharpes(counts: Floats, sums: Floats, squares: Floats) -> Floats:
    mean = sums / counts[:, None]
    variance = squares / counts[:, None] - mean**2
    moved = variance > 0
    ratios: Floats = np.where(moved, mean, 0) / np.sqrt(np.where(moved, variance, 1))
    return ratios


@dataclass(frozen=True)
class Evidence:
    """What was found out of sample, and what may be claimed of it.

    Attributes:
        excess_sharpe: IQM over seeds, annual, over the exposure-matched hold.
        deflated: Probability that the IQM seed's excess beats the luck of all trials.
        overfitting: Probability of backtest overfitting of choosing it among rivals.
        excess_at_double_cost: Mean excess return per bar at 2x cost, over all seeds.
        trials: Configurations and seeds that were ever scored in this study.
        failed: Rules that do not hold; empty where an edge may be claimed.
    """

    excess_sharpe: Interval
    deflated: float
    overfitting: float
    excess_at_double_cost: float
    trials: int
    failed: tuple[str, ...]

    @property
    def claims_edge(self) -> bool:
        """Whether every rule of a claim holds."""
        return not self.failed

    @property
    def verdict(self) -> str:
        """The one line that people read."""
        if self.claims_edge:
            return "edge demonstrated"
        return "no edge demonstrated: " + "; ".join(self.failed)

    def card(self) -> dict[str, Any]:
        """Return the evidence as a model's card holds it."""
        return asdict(self) | {"claims_edge": self.claims_edge, "verdict": self.verdict}


def weigh(
    traces: Sequence[Trace],
    at_double_cost: Sequence[Trace],
    rivals: Sequence[Trace],
    tried: Sequence[float],
    bars_a_year: float,
    bars_a_day: int,
) -> Evidence:
    """Return what the out-of-sample traces of some seeds are evidence of.

    Args:
        traces: One per seed, on the same bars.
        at_double_cost: The same policies at 2x cost.
        rivals: What one could have chosen instead on the same bars: the baselines.
            Other algorithms and settings are told by ``tried`` alone.
        tried: Excess Sharpe ratio per bar of every trial in the ledger, these included.
        bars_a_year: Makes ratios annual.
        bars_a_day: Days are what the bootstrap draws.
    """
    found = excess_sharpe(traces, bars_a_year, bars_a_day)
    ordered = sorted(traces, key=lambda trace: sharpe(trace.excess))
    deflated = deflated_sharpe(ordered[(len(ordered) - 1) // 2].excess, tried)
    # Seeds are no choice: the configuration stands for itself by their mean.
    mean_excess = np.mean([trace.excess for trace in traces], 0)
    choices = [mean_excess, *(rival.excess for rival in rivals)]
    overfitting = overfitting_probability(np.stack(choices, 1))
    double = float(np.mean([trace.excess.mean() for trace in at_double_cost]))
    days = len(traces[0].returns) / bars_a_day
    trades = float(np.mean([trace.traded.sum() for trace in traces]))
    exposure = float(np.mean([trace.exposure for trace in traces]))
    rules = {
        "the excess Sharpe ratio's lower bound is not above 0": found.low > 0,
        f"deflated Sharpe ratio under {LEAST_DEFLATED}": deflated >= LEAST_DEFLATED,
        f"overfitting above {MOST_OVERFITTED}": overfitting <= MOST_OVERFITTED,
        "nothing left at twice the cost": double > 0,
        "hardly ever trades": trades >= days * DEGENERATE_TRADES,
        "always or never invested": 0.05 <= exposure <= 0.95,
    }
    failed = tuple(rule for rule, holds in rules.items() if not holds)
    return Evidence(found, deflated, overfitting, double, len(tried), failed)
