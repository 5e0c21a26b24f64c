"""Faults by command: what is done to the connections and answers, when, for how long.

They come by HTTP (``/sim/faults``), one by one or as a script. ``scripted`` makes such
a script from a seed.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec
import numpy as np

from conf.logs import get_logger
from producer.simulator.client import Client
from producer.simulator.missed import Missed
from producer.simulator.peer import Peer, Who
from producer.simulator.protocol import CHANNELS, ErrorCode
from producer.simulator.slots import SECOND_NS

Kind = Literal[
    "cut", "mute", "half_open", "torn_frame", "slow", "error",
    "omit", "withhold", "rest_error", "reject",
]  # fmt: skip
State = Literal["waiting", "running", "over", "removed"]

AT_LOGIN = frozenset({402, 404, 406, 409})
AT_REQUEST = frozenset({400, 401, 403, 405, 410})
"""Answers to a subscription; every other code goes to whoever is connected."""

_log = get_logger("simulator.faults")


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault as it is asked for; the docs page has a table of the kinds."""

    kind: Kind
    after_s: float = 0.0
    for_s: float = 0.0
    count: int | None = None
    code: int | None = None
    delay_s: float = 1.0
    feed: str | None = None
    key: str | None = None
    symbols: list[str] | None = None
    channels: list[str] | None = None
    holds_place: bool = False

    def __post_init__(self) -> None:
        if min(self.after_s, self.for_s, self.delay_s) < 0:
            raise ValueError("after_s, for_s and delay_s cannot be negative")
        if self.count is not None and self.count < 1:
            raise ValueError("count must be at least 1")
        if self.kind == "error" and self.code not in list(ErrorCode):
            raise ValueError(f"code must be one of {[int(code) for code in ErrorCode]}")
        if not set(self.channels or ()) <= set(CHANNELS.values()):
            raise ValueError(f"channels must be among {list(CHANNELS.values())}")

    def names(self, who: Who) -> bool:
        """Return whether a connection is meant."""
        return self.feed in (None, who.feed) and self.key in (None, who.key)

    def names_event(self, channel: str, symbol: str) -> bool:
        """Return whether a symbol of a channel is meant."""
        is_channel = self.channels is None or channel in self.channels
        return is_channel and (self.symbols is None or symbol in self.symbols)


class Disturbance(msgspec.Struct):
    """A fault on its way: ``from_ns`` and ``to_ns`` are wall clock, epoch ns."""

    id: int
    fault: Fault
    from_ns: int
    to_ns: int
    state: State = "waiting"
    hits: int = 0

    def strike(self) -> None:
        """Count one answer that it spoils; it is over when it has had its number."""
        self.hits += 1
        if self.hits == self.fault.count:
            self.state = "over"


class Disturbances:
    """Runs the faults, and knows whom they can hit.

    Args:
        clock: Wall clock, epoch ns.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._ids = itertools.count(1)
        self._known: dict[int, Disturbance] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._present: dict[Peer, tuple[Who, Missed | None]] = {}
        self._hit: dict[int, list[Peer]] = {}

    @contextmanager
    def present(self, peer: Peer, who: Who, missed: Missed | None) -> Iterator[None]:
        """Let faults hit a connection while it lasts."""
        self._present[peer] = who, missed
        try:
            yield
        finally:
            del self._present[peer]

    def add(self, fault: Fault) -> Disturbance:
        """Run a fault from ``after_s`` on."""
        from_ns = self._clock() + int(fault.after_s * SECOND_NS)
        to_ns = from_ns + int(fault.for_s * SECOND_NS)
        added = Disturbance(next(self._ids), fault, from_ns, to_ns)
        self._known[added.id] = added
        self._tasks[added.id] = asyncio.create_task(self._run(added))
        return added

    def all(self) -> list[Disturbance]:
        """Return every fault that was not removed."""
        return list(self._known.values())

    def remove(self, number: int | None = None) -> list[Disturbance]:
        """End and forget one fault, or all."""
        chosen = self.all() if number is None else [self._known[number]]
        for each in chosen:
            del self._known[each.id]
            self._tasks.pop(each.id).cancel()
            if each.state == "running":
                self._end(each)
            each.state = "removed"
        return chosen

    def refusal(self, codes: frozenset[int], who: Who) -> ErrorCode | None:
        """Return the error that a fault puts in the place of the real answer."""
        for each in self._running("error"):
            if each.fault.code in codes and each.fault.names(who):
                each.strike()
                return ErrorCode(each.fault.code)
        return None

    def is_away(self, path: str) -> bool:
        """Return whether a cut lasts, so that nobody can connect."""
        return any(each.fault.feed in (None, path) for each in self._running("cut"))

    def omitted(self, who: Who) -> set[str]:
        """Return the symbols that a confirmation leaves out."""
        for each in self._running("omit"):
            if each.fault.names(who):
                each.strike()
                return set(each.fault.symbols or ())
        return set()

    def rest_error(self) -> int | None:
        """Return the status that a fault puts in the place of a REST answer."""
        for each in self._running("rest_error"):
            each.strike()
            return each.fault.code or 500
        return None

    def rejects_order(self) -> bool:
        """Return whether the next order is to be rejected."""
        for each in self._running("reject"):
            each.strike()
            return True
        return False

    def is_withheld(self, channel: str, symbol: str, event_ns: int) -> bool:
        """Return whether REST must not know an event: also long after the fault."""
        return any(
            each.from_ns <= event_ns < each.to_ns
            and each.fault.names_event(channel, symbol)
            for each in self._known.values()
            if each.fault.kind == "withhold"
        )

    def _running(self, kind: Kind) -> Iterator[Disturbance]:
        for each in self._known.values():
            if each.fault.kind == kind and each.state == "running":
                yield each

    async def _run(self, added: Disturbance) -> None:
        await asyncio.sleep(added.fault.after_s)
        added.state = "running"
        _log.info("fault begins", id=added.id, kind=added.fault.kind)
        self._begin(added)
        # a number of answers without an end lasts until it has had them
        if added.fault.for_s or added.fault.count is None:
            await asyncio.sleep(added.fault.for_s)
            self._end(added)
            added.state = "over"
            _log.info("fault ends", id=added.id, kind=added.fault.kind)

    def _begin(self, added: Disturbance) -> None:
        for peer, (who, missed) in list(self._present.items()):
            if added.fault.names(who) and _hit(peer, added.fault):
                added.hits += 1
                self._hit.setdefault(added.id, []).append(peer)
                if isinstance(peer, Client) and missed is not None:
                    _miss(peer, who, missed, added.fault)

    def _end(self, added: Disturbance) -> None:
        for peer in self._hit.pop(added.id, []):
            who, missed = self._present.get(peer, (None, None))
            if who is None or self._is_still_hit(peer, added.fault.kind):
                continue
            if not _spare(peer, added.fault):
                continue
            if isinstance(peer, Client) and missed is not None and self._gets_all(who):
                missed.end(who, peer.subscription)

    def _is_still_hit(self, peer: Peer, kind: Kind) -> bool:
        """Tell whether another fault of the kind goes on with a connection."""
        others = (
            self._known[number] for number, hit in self._hit.items() if peer in hit
        )
        return any(other.fault.kind == kind for other in others)

    def _gets_all(self, who: Who) -> bool:
        """Tell whether nothing else is done to a subscriber's newest connection."""
        *_, newest = (
            peer for peer, (other, _) in self._present.items() if other == who
        )
        is_muted = isinstance(newest, Client) and newest.muted is not None
        return newest.is_reachable and not is_muted


def scripted(
    seed: int, count: int, over_s: float, kinds: list[Kind] | None = None
) -> list[Fault]:
    """Return faults at random times, in order; the same for the same arguments.

    Args:
        seed: Chooses everything.
        count: How many.
        over_s: Within which time.
        kinds: Among which; cuts, mutes, half-open and torn connections if left out.
    """
    rng = np.random.default_rng(seed)
    among = kinds or ["cut", "mute", "half_open", "torn_frame"]
    times_s = np.sort(rng.uniform(0, over_s, count)).round(3).tolist()
    return [_random_fault(rng, among, after_s) for after_s in times_s]


def _random_fault(rng: np.random.Generator, among: list[Kind], after_s: float) -> Fault:
    kind = among[int(rng.integers(len(among)))]
    for_s = round(float(rng.uniform(1, 10)), 3)
    code = int(rng.choice([406, 407, 500])) if kind == "error" else None
    if kind in ("cut", "torn_frame") and rng.random() < 0.5:
        for_s = 0.0
    return Fault(kind=kind, after_s=after_s, for_s=for_s, code=code)


def _hit(peer: Peer, fault: Fault) -> bool:
    """Do to a connection what a fault says; False if it does nothing to it."""
    match fault.kind:
        case "cut":
            peer.cut("cut", code=fault.code)
        case "torn_frame":
            peer.tear()
        case "half_open":
            peer.freeze(frozen=True, holds_place=fault.holds_place)
        case "slow":
            peer.delay_s = fault.delay_s
        case "mute" if isinstance(peer, Client):
            peer.muted = set(fault.symbols or "*")
        case "error" if fault.code and fault.code not in AT_LOGIN | AT_REQUEST:
            peer.fail(ErrorCode(fault.code))
        case _:
            return False
    return True


def _spare(peer: Peer, fault: Fault) -> bool:
    """Undo it; False if there was nothing to undo."""
    match fault.kind:
        case "half_open":
            peer.freeze(frozen=False)
        case "slow":
            peer.delay_s = 0.0
        case "mute" if isinstance(peer, Client):
            peer.muted = None
        case _:
            return False
    return True


def _miss(client: Client, who: Who, missed: Missed, fault: Fault) -> None:
    symbols = client.muted if fault.kind == "mute" else None
    if fault.kind in ("mute", "half_open"):
        missed.begin(who, client.subscription, fault.kind, symbols=symbols)
