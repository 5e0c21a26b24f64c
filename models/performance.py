"""Play a policy over a tape, and what it looked like."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models import kept
from models.account import Action, Actions
from models.environment import Rules, Simulation
from models.scoring import Network, score
from models.tape import Booleans, Floats, Tape, whole

Policy = Callable[[Simulation], Actions]
"""Decides for the one account of a simulation."""

MINUTES_A_YEAR = 252 * 390


@dataclass(frozen=True)
class Trace:
    """What a policy did on a tape, an entry per bar but the last.

    Attributes:
        returns: Simple return of the account from the bar to the next, net.
        asset: Simple return of the symbol from the bar to the next.
        is_long: Whether the account was long from the bar to the next.
        traded: Whether an order of the bar was filled.
        gross: What ``returns`` would be without costs.
    """

    returns: Floats
    asset: Floats
    is_long: Booleans
    traded: Booleans
    gross: Floats

    @property
    def exposure(self) -> float:
        """Share of the bars on which the account was long."""
        return float(self.is_long.mean())

    @property
    def excess(self) -> Floats:
        """Return beyond holding the symbol with the account's mean exposure."""
        return self.returns - self.exposure * self.asset


class Found(NamedTuple):
    """What one seed did, and what finding it took."""

    traces: list[Trace]
    cpu_s: float


def save(path: Path, found: Found) -> None:
    """Write what was found into one npz file; its folder is made."""
    columns = {
        f"{field.name}_{place}": getattr(trace, field.name)
        for place, trace in enumerate(found.traces)
        for field in fields(trace)
    }
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, cpu_s=np.array(found.cpu_s), **columns)
    kept.write(path, data.getvalue())


def load(path: Path, tell: Callable[[str], None]) -> Found | None:
    """Return what ``save`` wrote, the traces in their order.

    None if there is none, or the file is broken: that is told, for it is made anew.
    """
    if not path.exists():
        return None
    names = [field.name for field in fields(Trace)]
    try:
        with np.load(io.BytesIO(path.read_bytes())) as columns:
            traces = [
                Trace(**{name: columns[f"{name}_{place}"] for name in names})
                for place in range(len(columns.files) // len(names))
            ]
            return Found(traces, float(columns["cpu_s"]))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        tell(f"{path} is broken and made anew: {error}")
        return None


def play(policy: Policy, tape: Tape, rules: Rules) -> Trace:
    """Play a policy over a whole tape with one account."""
    simulation = Simulation(tape, 1, rules)
    simulation.begin(np.ones(1, np.bool_), whole(tape))
    bars = len(tape) - 1
    values = np.full(bars + 1, rules.cash)
    is_long, traded = np.zeros(bars, np.bool_), np.zeros(bars, np.bool_)
    for bar in range(bars):
        traded[bar] = simulation.step(policy(simulation)).traded[0]
        is_long[bar] = simulation.accounts.is_long[0]
        values[bar + 1] = simulation.value()[0]
    asset = np.diff(tape.mark) / tape.mark[:-1]
    returns = np.diff(values) / values[:-1]
    return Trace(returns, asset, is_long, traded, is_long * asset)


def deciding(network: Network) -> Policy:
    """Return the policy of a network."""
    return lambda simulation: (
        score(network, simulation.observe(), simulation.masks()).action
    )


def wanting(positions: Booleans) -> Policy:
    """Return the policy that is long after each bar where a column says so."""

    def decide(simulation: Simulation) -> Actions:
        wants = positions[simulation.at]
        return np.where(wants, int(Action.BUY), int(Action.SELL))

    return decide


@dataclass(frozen=True)
class Performance:
    """A trace in numbers. Ratios are annual; what is not defined is NaN."""

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
    gross = float(trace.gross.sum())
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
        cost_share_of_gross=_ratio(gross - float(returns.sum()), gross),
        worst_day=float(by_day.min()),
        trades=int(trace.traded.sum()),
    )


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

    Long is right where the symbol rose over the horizon, flat where it did not; this
    is what the page calls accuracy.
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log1p(trace.asset))])
    if len(logs) <= horizon:
        return float("nan")
    rose = logs[horizon:] > logs[:-horizon]
    return float((trace.is_long[: len(rose)] == rose).mean())
