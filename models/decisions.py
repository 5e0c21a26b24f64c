"""What a model decides on closed bars: the rows of ``gold.signals``.

Live, in a replay and in a backtest of what was known, these functions make the rows, so
the same bars, account and model give the same bytes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conf.market.sessions import load_sessions
from models.account import Accounts, Action
from models.card import Model
from models.fills import SECOND_NS, moment, nanoseconds
from models.lake_rows import values_of
from models.observation import account_inputs, market_inputs, ordinary_return
from models.scoring import Scores, choose, score
from models.tape import Booleans, Floats, Integers

STALE_NS = 120 * SECOND_NS
"""A bar that becomes known later than this after its end is not decided on."""
HISTORY_NS = 3_600 * SECOND_NS
"""One that becomes known later than this was loaded, and gets not even a reason."""
STALE = f"stale: known more than {STALE_NS // SECOND_NS} s after its end"
SUPERSEDED = "stale: a newer bar was known"
HALTED = "halted"
WARMING_UP = "warming up: its volatility is not known yet"

IS_FOLLOWED = pc.field("reason").is_null() | (pc.field("reason") != SUPERSEDED)
"""Condition on signals: accounts went on from them."""

Row = dict[str, Any]
"""A row of a table, by column."""
_ENDS = timedelta(minutes=1)


@dataclass(frozen=True)
class Bars:
    """Closed bars as a model sees them, a row each.

    Attributes:
        keys: Symbol, window and revisions of each, by column of ``silver.features``.
        close: USD.
        market: The network's inputs.
        unit: Size of an ordinary log-return; NaN while not known.
        session: Number of the session.
    """

    keys: list[Row]
    close: Floats
    market: Floats
    unit: Floats
    session: Integers

    @property
    def symbols(self) -> list[str]:
        """The symbol of each."""
        return [key["symbol"] for key in self.keys]


_KEYS = ("symbol", "window_start", "revision", "bar_source", "bar_revision")


def bars_of(features: pa.Table) -> Bars:
    """Return rows of ``LakeRows.first_known`` as a model sees them."""
    columns = values_of(features)
    starts_ns = features["window_start"].cast(pa.int64()).to_numpy() * 1_000
    return Bars(
        keys=features.select(_KEYS).to_pylist(),
        close=columns["close"],
        market=market_inputs(columns),
        unit=ordinary_return(columns),
        session=load_sessions().at(starts_ns),
    )


def reasons(bars: Bars, known_ns: int, halted: Collection[str]) -> list[str | None]:
    """Return why nothing is decided on each bar, None where something is.

    Args:
        bars: Each the newest of its symbol.
        known_ns: Market clock of the decision.
        halted: Symbols that may not trade.
    """
    return [
        HALTED
        if key["symbol"] in halted
        else STALE
        if known_ns - nanoseconds(key["window_start"] + _ENDS) > STALE_NS
        else WARMING_UP
        if np.isnan(unit)
        else None
        for key, unit in zip(bars.keys, bars.unit, strict=True)
    ]


def signals(
    model: Model,
    bars: Bars,
    known_ns: int,
    held: tuple[Accounts, Floats],
    why_not: Sequence[str | None],
) -> list[Row]:
    """Return a row of ``gold.signals`` for each bar.

    Args:
        model: What decides.
        bars: Of different symbols.
        known_ns: Market clock of the decision.
        held: The account of each bar's symbol before the decision, and what it was
            worth at its session's first bar.
        why_not: See ``reasons``.
    """
    accounts, session_cash = held
    of_account = account_inputs(accounts, bars.close, bars.unit, session_cash)
    inputs = np.hstack([bars.market, of_account])
    decided = list(_decided(model, inputs, accounts.is_long))
    known = moment(known_ns)
    return [
        _keys(model, key, known)
        | (_NOT_DECIDED if reason else decided[at])
        | {
            "reason": reason,
            "close": float(bars.close[at]),
            "features": inputs[at].tolist(),
            "cash": float(accounts.cash[at]),
            "shares": float(accounts.shares[at]),
            "paid_price": _nullable(accounts.paid[at]),
            "session_cash": float(session_cash[at]),
        }
        for at, (key, reason) in enumerate(zip(bars.keys, why_not, strict=True))
    ]


_SCORES = ("score_hold", "score_buy", "score_sell")
_NOT_DECIDED: Row = dict.fromkeys(
    ("action", "confidence", "disagreement", *_SCORES, "value", "margin", "spread")
)


def scores_of(model: Model, inputs: Floats, is_long: Booleans) -> tuple[Scores, Floats]:
    """Return what a model's first network says, and how many of the others differ.

    Args:
        model: What decides.
        inputs: A row per decision.
        is_long: What each account holds.

    Returns:
        The scores, and the share of the others that would act otherwise, an entry per
        row; NaN for a model of one network.
    """
    masks = np.stack([np.ones_like(is_long), ~is_long, is_long], 1)
    network, *others = model.networks
    first = score(network, inputs, masks)
    if not others:
        return first, np.full(len(inputs), np.nan)
    differ = [choose(other, inputs, masks) != first.action for other in others]
    disagreement: Floats = np.mean(differ, 0)
    return first, disagreement


def _decided(model: Model, inputs: Floats, is_long: Booleans) -> Iterator[Row]:
    first, disagreement = scores_of(model, inputs, is_long)
    confidence = model.calibration.confidence(first.margin)
    for at in range(len(inputs)):
        yield {
            "action": Action(int(first.action[at])).name,
            "confidence": _nullable(confidence[at]),
            "disagreement": _nullable(disagreement[at]),
            **dict(zip(_SCORES, map(_nullable, first.by_action[at]), strict=True)),
            "value": float(first.value[at]),
            "margin": float(first.margin[at]),
            "spread": _nullable(first.spread[at]),
        }


def _keys(model: Model, key: Mapping[str, Any], known: datetime) -> Row:
    start = key["window_start"]
    return {
        "window_start": start,
        "symbol": key["symbol"],
        "model_version": model.version,
        "signal_id": f"{key['symbol']}/{start:%Y%m%dT%H%M%SZ}/{model.version}",
        "window_end": start + _ENDS,
        "known_time": known,
        "score_kind": model.card.head,
        "feature_revision": key["revision"],
        "bar_source": key["bar_source"],
        "bar_revision": key["bar_revision"],
        "model_name": model.card.name,
        "model_sha256": model.sha256,
        "label": model.card.label,
        "day": start.date(),
    }


def _nullable(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
