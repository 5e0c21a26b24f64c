"""Is it skill, or the best of many tries?

Probabilistic and deflated Sharpe ratio (Bailey, Lopez de Prado 2012, 2014), probability
of backtest overfitting (Bailey, Borwein, Lopez de Prado, Zhu 2015), and the ledger of
every configuration that was ever scored, without which none of them means anything.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from models import kept
from models.tape import Booleans, Floats

_NORMAL = NormalDist()


def sharpe(returns: Floats) -> float:
    """Return mean over standard deviation per period; 0 if nothing ever moved."""
    spread = float(returns.std())
    return float(returns.mean()) / spread if spread > 0 else 0.0


def probabilistic_sharpe(returns: Floats, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio per period is above another.

    0 for a series that never moved: nothing was shown.
    """
    spread = float(returns.std())
    if spread == 0:
        return 0.0
    found = sharpe(returns)
    normed = (returns - returns.mean()) / spread
    skew, kurtosis = float((normed**3).mean()), float((normed**4).mean())
    error = np.sqrt(1 - skew * found + (kurtosis - 1) / 4 * found**2)
    return _NORMAL.cdf((found - benchmark) * np.sqrt(len(returns) - 1) / error)


def best_by_luck(sharpes: Sequence[float]) -> float:
    """Return the Sharpe ratio expected of the best of these tries without any skill."""
    tries = len(sharpes)
    if tries < 2:
        return 0.0
    euler = float(np.euler_gamma)
    expected = (1 - euler) * _NORMAL.inv_cdf(1 - 1 / tries)
    expected += euler * _NORMAL.inv_cdf(1 - 1 / (tries * np.e))
    return float(np.std(sharpes, ddof=1)) * expected


def deflated_sharpe(returns: Floats, tried: Sequence[float]) -> float:
    """Return the probability that a series beats the luck of all that was tried.

    Args:
        returns: Of the series that is claimed to be good.
        tried: Sharpe ratio per period of every configuration and seed ever scored.
    """
    return probabilistic_sharpe(returns, best_by_luck(tried))


def overfitting_probability(returns: Floats, blocks: int = 10) -> float:
    """Return how often the best in one half of time is below median in the other.

    Args:
        returns: A row per period, a column per configuration; one configuration alone
            is 1, as nothing is shown by choosing it.
        blocks: Time is cut into so many, and every half of them is tried.
    """
    configurations = returns.shape[1]
    if configurations < 2:
        return 1.0
    cut = np.array_split(returns, blocks)
    counts = np.array([len(block) for block in cut], np.float64)
    sums = np.stack([block.sum(0) for block in cut])
    squares = np.stack([(block**2).sum(0) for block in cut])
    below = 0
    halves = list(itertools.combinations(range(blocks), blocks // 2))
    for half in halves:
        inside = np.isin(np.arange(blocks), half)
        chosen = _sharpes(counts, sums, squares, inside).argmax()
        outside = _sharpes(counts, sums, squares, ~inside)
        rank = (outside < outside[chosen]).sum() + (
            outside == outside[chosen]
        ).sum() / 2
        below += bool(rank / configurations <= 0.5)
    return below / len(halves)


def _sharpes(counts: Floats, sums: Floats, squares: Floats, at: Booleans) -> Floats:
    mean = sums[at].sum(0) / counts[at].sum()
    variance = squares[at].sum(0) / counts[at].sum() - mean**2
    ratios: Floats = mean / np.sqrt(np.maximum(variance, 1e-30))
    return ratios


@dataclass(frozen=True)
class Trial:
    """One configuration and seed that was scored.

    Attributes:
        study: Name of the data and purpose, for people.
        configuration: Algorithm and settings, as one readable line.
        seed: Of the training.
        sharpe: Of the excess return per period.
        data: What the data is, whatever its name: trials of the same are counted
            together. Empty in trials from before it was told: these go by ``study``.
    """

    study: str
    configuration: str
    seed: int
    sharpe: float
    data: str = ""


class Ledger:
    """Every trial, one JSON line each; lines are only ever added.

    Args:
        path: The file; made with the first trial.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, trials: Sequence[Trial]) -> None:
        """Write trials down, before anyone looks at which was best."""
        kept.append(self._path, [asdict(trial) for trial in trials])

    def trials(self, study: str, data: str = "") -> list[Trial]:
        """Return the trials on some data, oldest first.

        Args:
            study: Its name, by which trials count that do not say their data.
            data: What it is; see ``Trial``.
        """
        known = [Trial(**line) for line in kept.lines(self._path)]
        return [
            trial
            for trial in known
            if (trial.data == data if trial.data else trial.study == study)
        ]
