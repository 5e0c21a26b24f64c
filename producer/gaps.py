"""The gap ledger: which symbol of which channel did not come, from when to when, why.

A gap opens when its channel stops coming, is over when it is confirmed again, and is
settled when what it hid has been published or is known not to exist. The ledger holds
what is not settled; every change of state is a ``GapTransition`` for the stream.
"""

from collections.abc import Iterable
from itertools import groupby

import msgspec

from conf.market.gaps import GapTransition
from conf.market.rfc3339 import format_ns
from producer.reactions import Cause
from producer.subscription import Channels

Interval = tuple[int, str, int]
"""From, outage, to."""


class Gap(msgspec.Struct, frozen=True):
    """One symbol of one channel in one outage; times are market time, epoch ns."""

    outage: str
    cause: Cause
    channel: str
    symbol: str
    from_ns: int
    to_ns: int | None = None
    is_late: bool = False

    @property
    def gap_id(self) -> str:
        """Name for ever."""
        return f"{self.outage}/{self.channel}/{self.symbol}"


class Outage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gaps that differ in symbol and channel alone, as marks and heartbeats tell."""

    outage: str
    cause: Cause
    from_ns: int
    channels: dict[str, list[str]]
    to_ns: int | None = None
    is_late: bool = False


class Ledger:
    """What was not received, as far as it is not settled."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Gap] = {}
        self._over: dict[str, Gap] = {}

    @property
    def unsettled(self) -> int:
        """How many gaps are open, or over and not filled."""
        return len(self._open) + len(self._over)

    @property
    def open_gaps(self) -> int:
        """How many symbols of channels do not come at present."""
        return len(self._open)

    def since_ns(self, now_ns: int, open_ns: int) -> int:
        """Return when the oldest gap began that is not settled; now without one.

        One that has been open for longer than ``open_ns`` counts only when it is over:
        nobody knows whether it ever will be.
        """
        lasting = (gap.from_ns for gap in self._open.values())
        began = [time_ns for time_ns in lasting if time_ns >= now_ns - open_ns]
        began += [gap.from_ns for gap in self._over.values()]
        return min(began, default=now_ns)

    def restore(self, outages: Iterable[Outage], received_until_ns: int) -> None:
        """Take over what an earlier producer knew.

        A gap cannot begin later than what that producer is known to have kept: what
        it had read and not yet stored went down with it.
        """
        for outage in outages:
            since_ns = min(outage.from_ns, received_until_ns or outage.from_ns)
            for gap in _gaps_of(msgspec.structs.replace(outage, from_ns=since_ns)):
                if gap.to_ns is None:
                    self._open[gap.channel, gap.symbol] = gap
                else:
                    self._over[gap.gap_id] = gap

    def lose(
        self,
        outage: str,
        cause: Cause,
        channels: Channels,
        from_ns: int,
        now_ns: int,
        *,
        to_ns: int | None = None,
    ) -> list[GapTransition]:
        """Open the gaps of channels that stopped coming; one that is open stays so.

        Args:
            outage: Names the gaps together: the epoch that ended.
            cause: Why.
            channels: What stopped.
            from_ns: Nothing that came later is owed, as market time.
            now_ns: Market time at which this became known.
            to_ns: The gaps were over by then; None: they last.
        """
        end_ns = None if to_ns is None else max(to_ns, from_ns)
        opened = []
        for route in _routes(channels):
            known = self._open.get(route)
            if known is not None and (end_ns is None or known.from_ns <= from_ns):
                continue
            gap = Gap(outage, cause, *route, from_ns, end_ns)
            if end_ns is None:
                self._open[route] = gap
            else:
                self._over[gap.gap_id] = gap
            opened.append(transition(gap, "opened", now_ns))
        return opened

    def receive(self, channels: Channels, now_ns: int) -> list[Gap]:
        """End the gaps of channels that come again; return them."""
        ended = []
        for route in _routes(channels):
            gap = self._open.pop(route, None)
            if gap is not None:
                gap = msgspec.structs.replace(gap, to_ns=max(now_ns, gap.from_ns))
                self._over[gap.gap_id] = gap
                ended.append(gap)
        return ended

    def delay(self, gap: Gap, detail: str, now_ns: int) -> list[GapTransition]:
        """Tell, once, that a gap is over and could not be filled yet."""
        known = self._over[gap.gap_id]
        if known.is_late:
            return []
        self._over[gap.gap_id] = msgspec.structs.replace(known, is_late=True)
        return [transition(gap, "late", now_ns, rows=0, detail=detail)]

    def settle(
        self, gap: Gap, state: str, now_ns: int, *, rows: int, detail: str | None = None
    ) -> GapTransition:
        """Close the books on a gap: one of ``conf.market.gaps.END_STATES``."""
        del self._over[gap.gap_id]
        return transition(gap, state, now_ns, rows=rows, detail=detail)

    def to_fill(self) -> list[list[Gap]]:
        """Return what is over, oldest first; gaps of one interval together."""
        gaps = sorted(self._over.values(), key=interval)
        return [list(group) for _, group in groupby(gaps, key=interval)]

    def outages(self) -> list[Outage]:
        """Return everything that is not settled, to be ``restore``d."""
        gaps = sorted((*self._open.values(), *self._over.values()), key=_outage_of)
        return [_together(list(group)) for _, group in groupby(gaps, key=_outage_of)]


def transition(
    gap: Gap,
    state: str,
    now_ns: int,
    *,
    rows: int | None = None,
    detail: str | None = None,
) -> GapTransition:
    """Return the message of a gap's change of state."""
    return GapTransition(
        symbol=gap.symbol,
        event_time=format_ns(now_ns),
        gap_id=gap.gap_id,
        state=state,
        channel=gap.channel,
        cause=gap.cause,
        start=format_ns(gap.from_ns),
        end=None if gap.to_ns is None else format_ns(gap.to_ns),
        rows=rows,
        detail=detail,
    )


def common(channels: Channels, others: Channels) -> dict[str, list[str]]:
    """Return what two subscriptions have in common."""
    both = {
        channel: [x for x in symbols if x in others.get(channel, [])]
        for channel, symbols in channels.items()
    }
    return {channel: symbols for channel, symbols in both.items() if symbols}


def without(channels: Channels, others: Channels) -> dict[str, list[str]]:
    """Return what the first subscription has and the other has not."""
    rest = {
        channel: [x for x in symbols if x not in others.get(channel, [])]
        for channel, symbols in channels.items()
    }
    return {channel: symbols for channel, symbols in rest.items() if symbols}


def _routes(channels: Channels) -> list[tuple[str, str]]:
    return [(channel, x) for channel, symbols in channels.items() for x in symbols]


def interval(gap: Gap) -> Interval:
    """Return what is equal for gaps that are filled together."""
    return gap.from_ns, gap.outage, gap.to_ns or 0


def _outage_of(gap: Gap) -> tuple[str, str, int, int, bool]:
    return gap.outage, gap.cause, gap.from_ns, gap.to_ns or 0, gap.is_late


def _together(gaps: list[Gap]) -> Outage:
    channels: dict[str, list[str]] = {}
    for gap in gaps:
        channels.setdefault(gap.channel, []).append(gap.symbol)
    first = gaps[0]
    return Outage(
        first.outage, first.cause, first.from_ns, channels, first.to_ns, first.is_late
    )


def _gaps_of(outage: Outage) -> list[Gap]:
    return [
        Gap(
            outage.outage, outage.cause, channel, symbol,
            outage.from_ns, outage.to_ns, outage.is_late,
        )
        for channel, symbol in _routes(outage.channels)
    ]  # fmt: skip
