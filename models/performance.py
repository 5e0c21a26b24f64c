"""What a trace looked like, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from models.tape import Floats
from models.traces import Trace

MINUTES_A_YEAR = 252 * 390


@dataclass(frozen=True)
class Performance:
    """A trace in numbers. Ratios are annual; what is not defined is NaN.

    ``cost_share_of_gross`` is what orders cost, as a share of the log-return that there
    would be at the middle of each quote: over 1 where costs turned a gain into a loss.
    """

    net_return: float
    sharpe: float
    sortino: float
    max_drawdown: float
    calmar: float
    win_rate: float
    profit_factor: float
    turnover_per_year: float
    exposure: float
    mean_holding_bars: float
    cost_share_of_gross: float
    worst_day: float
    trades: int


def performance(trace: Trace, bars_a_year: float, bars_a_day: int) -> Performance:
    """Return the usual figures of a trace.

    A round trip begins with a buy and ends with a sell; one still open is counted.
    """
    returns = trace.returns
    equity = np.cumprod(1 + returns)
    years = len(returns) / bars_a_year
    drawdown = float((1 - equity / np.maximum.accumulate(np.maximum(equity, 1))).max())
    annual = float(equity[-1] ** (1 / years) - 1) if years >= 1 / 12 else float("nan")
    trips = _round_trips(trace)
    gains, losses = trips[trips > 0].sum(), -trips[trips < 0].sum()
    costs, net = float(trace.costs.sum()), float(np.log1p(returns).sum())
    by_day = np.add.reduceat(returns, np.arange(0, len(returns), bars_a_day))
    below = np.sqrt((np.minimum(returns, 0) ** 2).mean())
    return Performance(
        net_return=float(equity[-1] - 1),
        sharpe=_ratio(returns.mean(), returns.std()) * bars_a_year**0.5,
        sortino=_ratio(returns.mean(), below) * bars_a_year**0.5,
        max_drawdown=drawdown,
        calmar=_ratio(annual, drawdown),
        win_rate=_ratio(float((trips > 0).sum()), len(trips)),
        profit_factor=_ratio(gains, losses),
        turnover_per_year=float(trace.traded.sum()) / years,
        exposure=trace.exposure,
        mean_holding_bars=_ratio(float(trace.is_long.sum()), len(trips)),
        cost_share_of_gross=_ratio(costs, net + costs),
        worst_day=float(by_day.min()),
        trades=int(trace.traded.sum()),
    )


def mean_of(lives: Sequence[Performance]) -> Performance:
    """Return the mean of each figure over lives; where one is NaN it is not counted.

    Lives laid end to end would compound: a hundred small losses are one great one.
    """
    means = {}
    for field in fields(Performance):
        values = np.array([getattr(life, field.name) for life in lives], np.float64)
        known = values[np.isfinite(values)]
        means[field.name] = float(known.mean()) if len(known) else float("nan")
    trades = round(means.pop("trades"))
    return Performance(**means, trades=trades)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below else float("nan")


def _round_trips(trace: Trace) -> Floats:
    """Return the log-return of each round trip, costs included."""
    begins = np.flatnonzero(trace.traded & trace.is_long)
    if not len(begins):
        return np.zeros(0)
    # What an exit costs falls into the bar of the exit, before the next begins.
    logs = np.log1p(trace.returns)
    return np.add.reduceat(logs, begins)


def hit_rate(trace: Trace, horizon: int) -> float:
    """Return how often the side held was right ``horizon`` bars on.

    Long is right where the symbol rose over the horizon, flat where it did not: where
    the price did not move, flat counts as right and long as wrong. This is what the
    page calls accuracy.
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log1p(trace.asset))])
    if len(logs) <= horizon:
        return float("nan")
    rose = logs[horizon:] > logs[:-horizon]
    return float((trace.is_long[: len(rose)] == rose).mean())
