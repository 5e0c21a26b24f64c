"""The table of the planted suite: its markets, figures and bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluate import interquartile_mean
from models.leaks import Columns, Computed, find_leaks
from models.planted import BPS, DAY_BARS, MINUTE_NS, Market, hidden, leaked, regimes
from models.planted import visible as visible_market

HISTORY_BARS = 100_000
LITTLE_BARS = 4_000
TEMPTING, TEMPTING_COST_BPS = "tempting", 0.2
QUICK_ROWS = ("visible_ar1", "noise", "positive_control")

_AT_LEAST = (
    ("visible_ar1", "iqm", 0.97),
    ("visible_ar1", "worst", 0.93),
    ("weak", "iqm", 0.93),
    ("little_data", "iqm", 0.92),
    ("hidden", "iqm", 0.97),
    ("regimes", "iqm", 0.90),
    ("noise", "mean_bp_per_min", -0.005),
    ("positive_control", "iqm", 0.97),
    ("positive_control", "rejected", 1),
    ("drift", "iqm", 0.98),
)
_AT_MOST = (
    ("visible_ar1", "cpu_s_worst", 60),
    ("noise", "claims", 1),
    ("drift", "claims", 0),
)


@dataclass(frozen=True)
class Answer:
    """What came of one training.

    Attributes:
        row: Key in the suite's table.
        draw: Number of the history that was learnt from.
        seed: Of the training.
        share: Of the optimum; NaN where nothing can be earned.
        earned_bps: Net per bar on fresh data, by the forecast.
        traded_share: Of the bars.
        cpu_s: Of the training.
    """

    row: str
    draw: int
    seed: int
    share: float
    earned_bps: float
    traded_share: float
    cpu_s: float


def markets() -> dict[str, tuple[Market, int]]:
    """Return the market of each row of the table, and the bars to learn from."""
    return {
        "visible_ar1": (visible_market("visible_ar1", 1.0), HISTORY_BARS),
        "weak": (visible_market("weak", 0.5), HISTORY_BARS),
        "little_data": (visible_market("little_data", 1.0), LITTLE_BARS),
        "hidden": (hidden(), HISTORY_BARS),
        "regimes": (regimes(), HISTORY_BARS),
        "noise": (visible_market("noise", 0.0), HISTORY_BARS),
        "positive_control": (leaked(), HISTORY_BARS),
        "drift": (
            visible_market("drift", 0.0, TEMPTING_COST_BPS, drift_bps=0.3),
            HISTORY_BARS,
        ),
    }


def tempting() -> Market:
    """Return noise that is cheap to trade: where an edge is most easily imagined."""
    return visible_market(TEMPTING, 0.0, TEMPTING_COST_BPS)


def in_figures(market: Market, answers: Sequence[Answer]) -> dict[str, Any]:
    """Return a row of the table."""
    figures: dict[str, Any] = {
        "optimum_bp_per_min": market.optimum.gain / BPS,
        "mean_bp_per_min": float(np.mean([a.earned_bps for a in answers])),
        "traded_share": float(np.mean([a.traded_share for a in answers])),
        "cpu_s_worst": max(a.cpu_s for a in answers),
        "seeds": len(answers),
    }
    if market.optimum.gain:
        shares = np.array([answer.share for answer in answers])
        figures["iqm"] = float(interquartile_mean(shares))
        figures["worst"] = float(shares.min())
    return figures


def broken(table: Mapping[str, Any]) -> list[str]:
    """Return the bounds that a table breaks; what it does not hold is not looked at."""
    looked_at = [
        (f"{row} {figure} {table[row][figure]:.4g} < {bound}", bound)
        for row, figure, bound in _AT_LEAST
        if figure in table.get(row, {}) and not table[row][figure] >= bound
    ] + [
        (f"{row} {figure} {table[row][figure]:.4g} > {bound}", bound)
        for row, figure, bound in _AT_MOST
        if figure in table.get(row, {}) and not table[row][figure] <= bound
    ]
    return [line for line, _ in looked_at]


def leaks_of(market: Market) -> list[str]:
    """Return the inputs of a market that look ahead, found by spoiling the future."""
    path = market.draw(2 * DAY_BARS, np.random.default_rng(1))
    names = [f"signal {place}" for place in range(path.signals.shape[1])]
    columns = {"price": path.price, **dict(zip(names, path.signals.T, strict=True))}
    time_ns = np.arange(len(path.state), dtype=np.int64) * MINUTE_NS
    columns["time_ns"] = time_ns

    def compute(raw: Columns) -> Computed:
        signals = [raw[name] for name in names] or [np.empty(0)]
        inputs, unit = market.sees(raw["price"], np.stack(signals, 1))
        return Computed(raw["time_ns"], {"inputs": inputs, "unit": unit}, {})

    leaks = find_leaks(compute, columns, time_ns, time_ns[[5, 400, 700]].tolist())
    return [leak.output for leak in leaks]
