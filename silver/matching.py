"""Finds the trade that each correction and cancel means.

A message names its trade by symbol, venue, id, price and size; its time is its own, so
the trade is looked up on the trading date. The trade may come after its correction,
venues that are merged into one code repeat ids, and a corrected trade can be corrected
again. Hence a state: ``pending`` while no trade fits, ``ambiguous`` while several do,
``matched``. Each change of state is a row of its own.

A correction may be told twice, by the stream and by a backfill, as messages of two
times: both mean the trade that one of them found, in whatever order they come.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from conf.lake.commit import Committer, Transaction
from conf.lake.read import scan
from conf.lake.roots import table_uri
from conf.lake.tables import CORRECTIONS, TRADES
from conf.settings import LakeSettings
from silver.corrections import PENDING

AMBIGUOUS, MATCHED = "ambiguous", "matched"
NEW_YORK = ZoneInfo("America/New_York")
_EVENING = timedelta(hours=4)

_MESSAGE = ("symbol", "event_time_ns", "message_hash")

Row = Mapping[str, Any]
Rows = Sequence[Row]
Print = tuple[date, str, str, int, float, int]
"""Trading date, symbol, venue, id, price and size: how a message names a trade."""
Known = tuple[int, datetime]
"""A trade's event time in ns, and the market clock since when it is known."""

TRADE_COLUMNS = (
    "symbol",
    "exchange",
    "trade_id",
    "price",
    "size",
    "event_time",
    "event_time_ns",
    "market_time",
)


def trading_date(moment: datetime) -> date:
    """Return the date of the session; the night from 20:00 in New York is the next."""
    return (moment.astimezone(NEW_YORK) + _EVENING).date()


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
    columns = (*_MESSAGE, "trade_id", "match_state")
    ids = _unmatched(scan(lake.root, CORRECTIONS, columns=columns, where=recent))
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


def _unmatched(states: pa.Table) -> list[int]:
    """Return the trade ids of the corrections that no row says are matched."""
    is_matched = pc.equal(states["match_state"], MATCHED)
    messages = (
        states.append_column("matched", is_matched)
        .group_by([*_MESSAGE, "trade_id"])
        .aggregate([("matched", "any")])
    )
    waiting = messages.filter(pc.invert(messages["matched_any"]))
    return cast("list[int]", waiting["trade_id"].unique().to_pylist())


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
    held = _held(trades)
    told: dict[tuple[Print, Print], Known] = {}
    changed = []
    for row in _newest_states(corrections):
        says = _named(row, ""), _named(row, "corrected_")
        bearers = held[_named(row, "")]
        again = [told[says]] if says in told else []
        following = _following(row, bearers or again)
        if following["match_state"] != row["match_state"]:
            changed.append(following)
        if following["match_state"] == MATCHED:
            root = following["trade_event_time_ns"]
            if not again or any(trade[0] == root for trade in bearers):
                _replace(held, following)
            told[says] = root, following["known_time"]
    return changed


def _held(trades: Rows) -> defaultdict[Print, list[Known]]:
    """Return the trades by how a message names them."""
    held = defaultdict[Print, list[Known]](list)
    for row in trades:
        held[_named(row, "")].append((row["event_time_ns"], row["market_time"]))
    return held


def _following(row: Row, meant: list[Known]) -> dict[str, Any]:
    """Return the state of a correction, given the trades that it may mean."""
    if not meant or row["match_state"] == MATCHED:
        return dict(row)
    known_time = max(row["market_time"], *(known for _, known in meant))
    state, root = (MATCHED, meant[0][0]) if len(meant) == 1 else (AMBIGUOUS, None)
    following = {"match_state": state, "trade_event_time_ns": root}
    return {**row, **following, "known_time": known_time}


def _replace(held: defaultdict[Print, list[Known]], row: Row) -> None:
    """Take a trade away and put in its place what corrects it, if anything does."""
    root = row["trade_event_time_ns"]
    meant = held[_named(row, "")]
    meant[:] = [trade for trade in meant if trade[0] != root]
    if row["corrected_trade_id"] is not None:
        held[_named(row, "corrected_")].append((root, row["known_time"]))


def _named(row: Row, prefix: str) -> Print:
    return (
        trading_date(row["event_time"]),
        row["symbol"],
        row["exchange"],
        row[f"{prefix}trade_id"],
        row[f"{prefix}price"],
        row[f"{prefix}size"],
    )


def _newest_states(corrections: Iterable[Row]) -> list[Row]:
    """Return the newest state of each message, in the order of their times."""
    states = (PENDING, AMBIGUOUS, MATCHED)
    newest: dict[tuple[Any, ...], Row] = {}
    for row in sorted(corrections, key=lambda row: states.index(row["match_state"])):
        newest[tuple(row[name] for name in _MESSAGE)] = row
    return sorted(newest.values(), key=lambda row: row["event_time_ns"])
