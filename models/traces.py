"""Play a policy over a tape: what it did, bar by bar, and files of it."""

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


@dataclass(frozen=True)
class Trace:
    """What a policy did on a tape, an entry per bar but the last.

    Attributes:
        returns: Simple return of the account from the bar to the next, net.
        asset: Simple return of the symbol from the bar to the next.
        is_long: Whether the account was long from the bar to the next.
        traded: Whether an order of the bar was filled.
        costs: Log-return that the bar's order cost beside a fill at the middle of its
            quote; 0 without an order.
    """

    returns: Floats
    asset: Floats
    is_long: Booleans
    traded: Booleans
    costs: Floats

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
    return Trace(returns, asset, is_long, traded, _costs(tape, rules, is_long, traded))


def _costs(tape: Tape, rules: Rules, is_long: Booleans, traded: Booleans) -> Floats:
    bid, ask = tape.bid[:-1][traded], tape.ask[:-1][traded]
    middle = (bid + ask) / 2
    of_buys = np.log(rules.costs.buy_price(bid, ask) / middle)
    of_sells = np.log(middle / rules.costs.sell_price(bid, ask))
    costs = np.zeros(len(traded))
    costs[traded] = np.where(is_long[traded], of_buys, of_sells)
    return costs


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
