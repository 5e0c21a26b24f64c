"""Finds the trade that each correction and cancel means.

``conf.market.effective_trades`` has the rule; here is what was known when. The trade
may come after its correction, venues that are merged into one code repeat ids, and a
corrected trade can be corrected again. Hence a state: ``pending`` while no trade fits,
``ambiguous`` while several do, ``matched``. Each change of state is a row of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.commit import Committer, Transaction
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import CORRECTIONS, TRADES
from conf.market.effective_trades import Correction, Trade, resolve
from conf.settings import LakeSettings
from silver.corrections import PENDING

AMBIGUOUS, MATCHED = "ambiguous", "matched"

_MESSAGE = ("symbol", "event_time_ns", "message_hash")

Row = Mapping[str, Any]
Rows = Sequence[Row]

TRADE_COLUMNS = (
    "symbol",
    "exchange",
    "trade_id",
    "event_time_ns",
    "price",
    "size",
    "market_time",
)


def match_corrections(lake: LakeSettings, committer: Committer) -> int:
    """Look for the trades that pending corrections mean; return the new states.

    Corrections of the newest two days are looked at. A lookup reads the trades of
    their trading dates, so nothing is read while nothing is pending.
    """
    table = DeltaTable(table_uri(lake.root, CORRECTIONS))
    days = [date.fromisoformat(str(p["day"])) for p in table.partitions()]
    if not days:
        return 0
    recent = f"day >= DATE '{max(days) - timedelta(days=1)}'"
    columns = (*_MESSAGE, "trade_id", "corrected_trade_id", "match_state")
    states = scan(lake.root, CORRECTIONS, columns=columns, where=recent)
    ids = _with_origins(_unmatched(states), states)
    if not ids:
        return 0
    # What replaced or took away one of these trades decides with them.
    related = (
        f"trade_id IN ({_literals(ids)}) OR corrected_trade_id IN ({_literals(ids)})"
    )
    rows = scan(lake.root, CORRECTIONS, where=f"{recent} AND ({related})").to_pylist()
    changed = match(rows, _trades_meant_by(lake, rows))
    once = Transaction(f"{CORRECTIONS.name}/match", table.version())
    states = pa.Table.from_pylist(changed, schema=CORRECTIONS.schema)
    return committer.insert_missing(CORRECTIONS, states, once).rows


def _unmatched(states: pa.Table) -> set[int]:
    """Return the trade ids of the corrections that no row says are matched."""
    is_matched = pc.equal(states["match_state"], MATCHED)
    messages = (
        states.append_column("matched", is_matched)
        .group_by([*_MESSAGE, "trade_id"])
        .aggregate([("matched", "any")])
    )
    waiting = messages.filter(pc.invert(messages["matched_any"]))
    return set(waiting["trade_id"].to_pylist())


def _with_origins(ids: set[int], states: pa.Table) -> set[int]:
    """Return trade ids, those that were corrected to them, and so on to the first."""
    while True:
        made = pc.is_in(states["corrected_trade_id"], pa.array(ids, pa.int64()))
        origins = set(states.filter(made)["trade_id"].to_pylist()) - ids
        if not origins:
            return ids
        ids = ids | origins


def _trades_meant_by(lake: LakeSettings, corrections: Rows) -> Rows:
    """Return the trades of the trading dates of corrections, by symbol and id."""
    # A trading date begins on the evening before, which may be midnight UTC or later.
    days = {row["day"] + timedelta(days=n) for row in corrections for n in (-1, 0, 1)}
    symbols = _literals(row["symbol"] for row in corrections)
    ids = _literals(row["trade_id"] for row in corrections)
    where = (
        f"day IN ({_literals(days)}) AND symbol IN ({symbols}) AND trade_id IN ({ids})"
    )
    trades = scan(lake.root, TRADES, columns=TRADE_COLUMNS, where=where)
    return cast("Rows", trades.to_pylist())


def _literals(values: Iterable[object]) -> str:
    """Return SQL literals of dates, tickers or numbers; DuckDB casts them."""
    return ", ".join(f"'{value}'" for value in sorted(set(map(str, values))))


def match(corrections: Rows, trades: Rows) -> list[dict[str, Any]]:
    """Return the next state of every correction whose state changes.

    Args:
        corrections: Rows of ``silver.corrections`` of whole trading dates, every state
            of each: one that is matched has taken its trade's place already.
        trades: Rows of ``silver.trades`` that they may mean, with the columns
            ``TRADE_COLUMNS``.

    Returns:
        Rows of ``silver.corrections``. ``known_time`` is the market clock when both
        the message and what it means had been received.
    """
    told = [(Correction.of(row), row) for row in _newest_states(corrections)]
    reported = [(_trade(row), row) for row in trades]
    received = {known: row["market_time"] for known, row in (*reported, *told)}
    resolution = resolve((trade for trade, _ in reported), (each for each, _ in told))
    changed = []
    for correction, row in told:
        match = resolution.matches[correction]
        if match.basis and match.state != row["match_state"] != MATCHED:
            known_time = max(row["market_time"], *map(received.get, match.basis))
            root = match.trade and match.trade.event_time_ns
            following = {"match_state": match.state, "trade_event_time_ns": root}
            changed.append({**row, **following, "known_time": known_time})
    return changed


def _trade(row: Row) -> Trade:
    return Trade(*(row[name] for name in TRADE_COLUMNS[:-1]))


def _newest_states(corrections: Iterable[Row]) -> list[Row]:
    """Return the newest state of each message, in the order of their times."""
    states = (PENDING, AMBIGUOUS, MATCHED)
    newest: dict[tuple[Any, ...], Row] = {}
    for row in sorted(corrections, key=lambda row: states.index(row["match_state"])):
        newest[tuple(row[name] for name in _MESSAGE)] = row
    return sorted(newest.values(), key=lambda row: row["event_time_ns"])
