"""Effective trades: those reported, as corrections and cancels have left them.

A message names the trade it means by symbol, venue, id, trading date, price and size;
its time is its own. What it names may be a trade as reported or as corrected before,
and may be reported after it. So a correction waits until exactly one trade bears the
name; several that wait for one trade take their turns in the order of their times.
Hence the outcome follows from what is known, not from the order in which it came, and
applied to what was known at a moment it is the view of that moment. What is known may
include the trade that a correction has found: such a one goes first and keeps it, also
when an earlier one for the same trade comes later.

So where two corrections mean one state of a trade, or two trades bear one name, the
order of arrival can decide. No rule without it lets a match be final: it would have to
be taken back when an earlier correction or a namesake comes, and with it what silver
has told of it, what gold has counted by it, and the view of every moment between.

The stream and a backfill may both tell of one correction, as messages of two times.
Both mean the trade that one of them found, which changes once.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import msgspec

MatchState = Literal["pending", "ambiguous", "matched"]
TradeKey = tuple[str, str, int, int]
"""Symbol, venue, id and event time in ns: the key of ``silver.trades``."""
Name = tuple[str, str, int, date, int, int]
"""Symbol, venue, id, trading date, price in 1e-6 USD and size."""

_NEW_YORK = ZoneInfo("America/New_York")
_EVENING = timedelta(hours=4)


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade, with the columns of ``silver.trades`` that matter here."""

    symbol: str
    exchange: str
    trade_id: int
    event_time_ns: int
    price: float
    size: int
    conditions: tuple[str, ...] | None = None
    tape: str | None = None

    @property
    def key(self) -> TradeKey:
        """What names the trade for ever."""
        return self.symbol, self.exchange, self.trade_id, self.event_time_ns


class Correction(msgspec.Struct, frozen=True, gc=False):
    """One correction or cancel; without ``corrected_trade_id`` it is a cancel.

    ``event_time_ns`` is the message's own; id, price and size are those of the trade
    that it means. ``trade_event_time_ns`` is the time of that trade once it was found:
    another of the same name that comes later is not meant.
    """

    symbol: str
    exchange: str
    event_time_ns: int
    trade_id: int
    price: float
    size: int
    corrected_trade_id: int | None = None
    corrected_price: float = 0.0
    corrected_size: int = 0
    corrected_conditions: tuple[str, ...] | None = None
    trade_event_time_ns: int | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the one of a row of ``silver.corrections``."""
        codes = row["corrected_conditions"]
        return cls(
            row["symbol"],
            row["exchange"],
            row["event_time_ns"],
            row["trade_id"],
            row["price"],
            row["size"],
            row["corrected_trade_id"],
            row["corrected_price"] or 0.0,
            row["corrected_size"] or 0,
            None if codes is None else tuple(codes),
            row["trade_event_time_ns"],
        )


class Match(msgspec.Struct, frozen=True):
    """What became of a correction; ``trade`` is the one reported, once matched.

    ``pending``: no trade bears the name so far; ``ambiguous``: several do. ``basis`` is
    what had to be known to tell: each bearer as reported, then what corrected it.
    """

    state: MatchState
    trade: Trade | None = None
    basis: tuple[Trade | Correction, ...] = ()


@dataclass(frozen=True)
class Resolution:
    """What corrections do to trades.

    Attributes:
        replaced: The trades that are not as reported any more, by key: as they are
            now, at the time reported; None if cancelled.
        matches: One for each correction.
    """

    replaced: Mapping[TradeKey, Trade | None]
    matches: Mapping[Correction, Match]

    def apply(self, trades: Iterable[Trade]) -> Iterator[Trade]:
        """Yield trades as they are now, without those cancelled."""
        for trade in trades:
            now = self.replaced.get(trade.key, trade)
            if now is not None:
                yield now


def trading_date(event_time_ns: int) -> date:
    """Return the date of the session; the night from 20:00 in New York is the next."""
    moment = datetime.fromtimestamp(event_time_ns // 1_000_000_000, UTC)
    return (moment.astimezone(_NEW_YORK) + _EVENING).date()


def resolve(trades: Iterable[Trade], corrections: Iterable[Correction]) -> Resolution:
    """Find what each correction means and what becomes of it.

    Args:
        trades: One per key, in any order. Only those whose symbol, venue and id some
            correction names by ``trade_id`` can matter.
        corrections: Of whole trading dates, in any order; equal ones count once.
    """
    return _Ledger(trades, corrections).settle()


class _Ledger:
    """Who bears which name now, and who waits for it."""

    def __init__(
        self, trades: Iterable[Trade], corrections: Iterable[Correction]
    ) -> None:
        self._now: dict[TradeKey, Trade | None] = {}
        self._reported = {trade.key: trade for trade in trades}
        self._made_by = defaultdict[TradeKey, list[Correction]](list)
        self._bearers = defaultdict[Name, list[TradeKey]](list)
        for key, trade in self._reported.items():
            self._bearers[_name(trade, trade.event_time_ns)].append(key)
        self._corrections = sorted(set(corrections), key=_turn)
        self._waiting = defaultdict[Name, list[int]](list)
        for turn, correction in enumerate(self._corrections):
            self._waiting[_meant(correction)].append(turn)
        self._matches: dict[Correction, Match] = {}
        self._told: dict[tuple[object, ...], Match] = {}
        self._ready: list[int] = []

    def settle(self) -> Resolution:
        for name in self._waiting:
            self._call(name)
        while self._ready:
            correction = self._corrections[turn := heapq.heappop(self._ready)]
            # Another trade may have taken the name since it was called.
            if correction not in self._matches and (key := self._found(correction)):
                self._waiting[_meant(correction)].remove(turn)
                self._carry_out(correction, key)
        matches = {each: self._match(each) for each in self._corrections}
        return Resolution(self._now, matches)

    def _call(self, name: Name) -> None:
        """Let the first that waits for a name and finds its trade take its turn."""
        for turn in self._waiting.get(name, ()):
            if self._found(self._corrections[turn]):
                heapq.heappush(self._ready, turn)
                break

    def _found(self, correction: Correction) -> TradeKey | None:
        """Return the one trade that is meant, if it bears the name now."""
        keys = self._bearers[_meant(correction)]
        told = self._told.get(_said(correction))
        if correction.trade_event_time_ns is not None:
            keys = [key for key in keys if key[-1] == correction.trade_event_time_ns]
        elif told is not None and told.trade is not None:
            keys = [key for key in keys if key == told.trade.key]
        return keys[0] if len(keys) == 1 else None

    def _carry_out(self, correction: Correction, key: TradeKey) -> None:
        meant, trade = _meant(correction), self._reported[key]
        match = Match("matched", trade, self._basis(key))
        self._matches[correction] = self._told[_said(correction)] = match
        self._bearers[meant].remove(key)
        self._made_by[key].append(correction)
        corrected = self._now[key] = _corrected(trade, correction)
        if corrected is not None:
            # It is dated by the message: that is where the next one looks for it.
            name = _name(corrected, correction.event_time_ns)
            self._bearers[name].append(key)
            self._call(name)
        self._call(meant)

    def _match(self, correction: Correction) -> Match:
        match = self._matches.get(correction) or self._told.get(_said(correction))
        if match is not None:
            return match
        bearers = self._bearers[_meant(correction)]
        if len(bearers) < 2:
            return Match("pending")
        basis = chain.from_iterable(self._basis(key) for key in bearers)
        return Match("ambiguous", basis=tuple(basis))

    def _basis(self, key: TradeKey) -> tuple[Trade | Correction, ...]:
        return self._reported[key], *self._made_by[key]


def _corrected(trade: Trade, correction: Correction) -> Trade | None:
    if correction.corrected_trade_id is None:
        return None
    return msgspec.structs.replace(
        trade,
        trade_id=correction.corrected_trade_id,
        price=correction.corrected_price,
        size=correction.corrected_size,
        conditions=correction.corrected_conditions,
    )


def _name(trade: Trade, event_time_ns: int) -> Name:
    return (
        trade.symbol,
        trade.exchange,
        trade.trade_id,
        trading_date(event_time_ns),
        round(trade.price * 1_000_000),
        trade.size,
    )


def _meant(correction: Correction) -> Name:
    return (
        correction.symbol,
        correction.exchange,
        correction.trade_id,
        trading_date(correction.event_time_ns),
        round(correction.price * 1_000_000),
        correction.size,
    )


def _said(correction: Correction) -> tuple[object, ...]:
    """Return what is equal when one correction is told twice; its time is not."""
    return (
        *_meant(correction),
        correction.corrected_trade_id,
        round(correction.corrected_price * 1_000_000),
        correction.corrected_size,
    )


def _turn(correction: Correction) -> tuple[object, ...]:
    """Return what orders corrections: by time, then by whatever tells them apart.

    Those that found their trade before go first: what was told of them still holds.
    """
    return (
        correction.trade_event_time_ns is None,
        correction.event_time_ns,
        *_meant(correction),
        correction.corrected_trade_id is not None,
        correction.corrected_trade_id or 0,
        correction.corrected_price,
        correction.corrected_size,
        correction.corrected_conditions or (),
        correction.corrected_conditions is not None,
        correction.trade_event_time_ns or 0,
    )
