"""The seeded market: same seed, settings and start time, same bytes.

Time is cut into slots, ``rate_per_s`` (and ``hot_rate_per_s``) of them in each second;
every slot sends one message, at a random moment within it. So the rate holds whatever
the market does, and a burst is one symbol taking the slots of the others. Bars take the
first slots after their minute; faults, corrections and cancels take theirs, and count
as the rate. Day bars, statuses and price bands come on top, between two slots: whoever
does not subscribe to them sees the same market.

Messages are made in batches of at most half a thousand: columns by numpy, text by
msgspec. A batch costs a millisecond, so the event loop is never held up for long.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from conf.market.wire import Message
from conf.settings import SimulatorSettings
from producer.simulator import faults
from producer.simulator.amendments import Amendments
from producer.simulator.batch import EVERYONE, Batch, LinearClock, Route
from producer.simulator.halts import Halts, PriceBands
from producer.simulator.listing import listing, with_symbol
from producer.simulator.minutes import MinuteBook
from producer.simulator.prints import Events, Prints
from producer.simulator.sessions import Day, days, preload
from producer.simulator.slots import MINUTE_NS, SECOND_NS, Slots
from producer.simulator.traffic import Traffic

BATCH_SLOTS = 512
FEED_DELAY_NS = 2_000_000
"""From an event at its venue to the moment it is due."""
BAR_DELAY_NS = 50_000_000
"""From a minute's end until its bars are due; more than FEED_DELAY_NS."""
HALF_MINUTE_NS = MINUTE_NS // 2
TRADE_SHARE = 0.3
TWIN_SHARE = 0.005
"""How many quotes equal the one before them in every field: two events, not one."""

REPEAT_WITHIN_NS = 3 * SECOND_NS

Addressed = tuple[Route, bytes]

_TWIN, _BAR = faults.CANCELED + 1, faults.CANCELED + 2
"""What a slot can hold besides the faults."""
_OWN_EVENT = (faults.NORMAL, faults.OUT_OF_ORDER, faults.LATE)
_REPEATABLE = ("t", "b", "u")
_LETTERS = np.frombuffer(f"{faults.FLAGS}nnnn".encode(), np.uint8)


class Market:
    """A market of some symbols, as a source of batches.

    Raises:
        FixSetup: The shares of the faults leave no room for the market, or a halt no
            symbol to trade.
    """

    live = True

    def __init__(self, settings: SimulatorSettings, symbols: Sequence[str]) -> None:
        self._settings = settings
        self._symbols = with_symbol(symbols, settings.hot_symbol)
        faults.FaultPlan(settings)
        Halts(settings, [listing(symbol) for symbol in self._symbols])
        if settings.calendar == "nyse":
            preload()

    def clock(self, start_ns: int) -> LinearClock:
        """Return the wall clock: the market is live."""
        return LinearClock(start_ns, start_ns, 1.0)

    def batches(self, start_ns: int) -> Iterator[Batch]:
        """Yield the market that starts at ``start_ns``, without end."""
        run = _Run(self._settings, self._symbols)
        chosen = self._settings
        for day in days(chosen.calendar, start_ns, extended=chosen.extended_hours):
            yield from run.session(day)


class _Run:
    """One run of the market: everything that moves."""

    def __init__(self, settings: SimulatorSettings, symbols: list[str]) -> None:
        name = settings.hot_symbol
        self._listings = [listing(symbol) for symbol in symbols]
        self._rng = np.random.default_rng(settings.seed)
        self._traffic = Traffic(
            len(symbols),
            settings.rate_per_s,
            hot=None if name is None else symbols.index(name),
            hot_rate_per_s=settings.hot_rate_per_s,
        )
        self._amendments = Amendments(settings, TRADE_SHARE)
        self._prints = Prints(
            self._listings, self._traffic.mean_rates(), self._amendments
        )
        self._halts = Halts(settings, self._listings)
        self._bands = PriceBands(self._listings)
        self._plan = faults.FaultPlan(settings)
        self._planned = 0
        self._malformer = faults.Malformer()
        self._routes = [[(kind, symbol) for symbol in symbols] for kind in "qt"]
        self._bars: deque[Message] = deque()
        self._recent: deque[tuple[int, Addressed]] = deque()

    def session(self, day: Day) -> Iterator[Batch]:
        self._day = day
        self._book = MinuteBook(self._listings, day, amendable=self._amendments.is_on)
        self._halts.open(day)
        self._slots = slots = Slots(day.open_ns, self._traffic.rate_per_s)
        most = min(BATCH_SLOTS, self._traffic.rate_per_s)
        mark_ns = day.open_ns - day.open_ns % HALF_MINUTE_NS + HALF_MINUTE_NS
        slot = 0
        while slots.start_ns(slot) < day.close_ns:
            now_ns = slots.start_ns(slot)
            if now_ns >= mark_ns + BAR_DELAY_NS:
                yield from self._report(mark_ns, now_ns)
                mark_ns += HALF_MINUTE_NS
            yield from self._bulletin(self._halts.tell(now_ns), now_ns)
            end = slots.first_from(self._pause_ns(mark_ns))
            yield self._batch(slot, min(most, end - slot))
            slot += min(most, end - slot)
        after = slots.first_from(day.close_ns + BAR_DELAY_NS)
        yield from self._report(day.close_ns, slots.start_ns(after))
        if self._bars:
            yield self._batch(after, len(self._bars))

    def _pause_ns(self, mark_ns: int) -> int:
        """Return when the slots give way to something else."""
        told_ns = self._halts.next_ns or self._day.close_ns
        return min(mark_ns + BAR_DELAY_NS, self._day.close_ns, told_ns)

    def _report(self, mark_ns: int, now_ns: int) -> Iterator[Batch]:
        if mark_ns % MINUTE_NS:
            self._bars.extend(self._book.updated_bars())
        else:
            self._bars.extend(self._book.bars(mark_ns))
            yield from self._bulletin(self._book.daily_bars(), now_ns)
        if self._day.is_regular(mark_ns):
            moved = self._bands.moved(self._prints.prices(), mark_ns, self._halts)
            yield from self._bulletin(moved, now_ns)

    def _bulletin(self, messages: Iterable[Message], now_ns: int) -> Iterator[Batch]:
        """Yield messages that take no slots, all due now."""
        sent = [_addressed(message) for message in messages]
        if sent:
            yield _as_batch([now_ns] * len(sent), "n" * len(sent), sent)

    def _batch(self, first: int, count: int) -> Batch:
        jitter = self._rng.integers(0, self._slots.spacing_ns, count)
        due_ns = self._slots.starts_ns(first, count) + jitter
        is_trade = self._rng.random(count) < TRADE_SHARE
        kinds = self._kinds(count, is_trade, int(due_ns[0]))
        symbols = self._traffic.draw(first, count, self._rng)
        event_ns = due_ns - FEED_DELAY_NS - self._delays(kinds)
        symbols = self._halts.traded(symbols, event_ns)
        sent = self._fill(kinds, Events(symbols, event_ns, is_trade))
        due = due_ns.tolist()
        self._remember(due, sent)
        return _as_batch(due, _LETTERS[kinds].tobytes().decode(), sent)

    def _kinds(
        self, count: int, is_trade: NDArray[np.bool_], first_ns: int
    ) -> NDArray[np.int8]:
        bars = min(count, len(self._bars))
        placed = self._plan.place(self._planned, count - bars, self._rng)
        self._planned += count - bars
        if not self._recent:
            placed[placed == faults.REPEATED] = faults.NORMAL
        if self._amendments.is_on:
            self._leave_known(placed, first_ns)
        kinds = np.full(count, _BAR, np.int8)
        kinds[bars:] = placed
        twin = self._rng.random(count - 1) < TWIN_SHARE
        twin &= (kinds[:-1] == faults.NORMAL) & (kinds[1:] == faults.NORMAL)
        kinds[1:][twin & ~is_trade[:-1]] = _TWIN
        return kinds

    def _leave_known(self, placed: NDArray[np.int8], now_ns: int) -> None:
        """Leave no more amendments than there are trades to amend."""
        amendments = np.flatnonzero(placed >= faults.CORRECTED)
        placed[amendments[self._amendments.ready(now_ns) :]] = faults.NORMAL

    def _delays(self, kinds: NDArray[np.int8]) -> NDArray[np.int64]:
        delays = np.zeros(len(kinds), np.int64)
        for kind, (shortest, longest) in faults.DELAYS_NS.items():
            delayed = kinds == kind
            delays[delayed] = self._rng.integers(shortest, longest, delayed.sum())
        return delays

    def _fill(self, kinds: NDArray[np.int8], events: Events) -> list[Addressed]:
        own = events.where(np.isin(kinds, _OWN_EVENT))
        regular = self._day.regular
        made = iter(self._prints.make(own, self._rng, self._book, regular))
        sent: list[Addressed] = []
        columns = kinds.tolist(), *(column.tolist() for column in events)
        for kind, symbol, event_ns, is_trade in zip(*columns, strict=True):
            if kind in _OWN_EVENT:
                sent.append((self._routes[is_trade][symbol], next(made)))
            elif kind == _TWIN:
                sent.append(sent[-1])
            elif kind == faults.REPEATED:
                sent.append(self._recent[self._rng.integers(len(self._recent))][1])
            elif kind == faults.MALFORMED:
                trade = self._prints.specimen(symbol, event_ns, self._malformer.made)
                sent.append((EVERYONE, self._malformer.spoil(trade)))
            elif kind == _BAR:
                sent.append(_addressed(self._bars.popleft()))
            else:
                sent.append(_addressed(self._amendment(kind, event_ns)))
        return sent

    def _amendment(self, kind: int, event_ns: int) -> Message:
        if kind == faults.CANCELED:
            return self._amendments.cancel(event_ns, self._book)
        return self._amendments.correct(event_ns, self._prints, self._book)

    def _remember(self, due_ns: list[int], sent: list[Addressed]) -> None:
        for time_ns, addressed in zip(due_ns, sent, strict=True):
            if addressed[0][0] in _REPEATABLE:
                self._recent.append((time_ns, addressed))
        while self._recent and self._recent[0][0] < due_ns[-1] - REPEAT_WITHIN_NS:
            self._recent.popleft()


def _addressed(told: Message) -> Addressed:
    message = msgspec.to_builtins(told)
    # Alpaca sends no tape with bars, and no nulls
    present = {key: value for key, value in message.items() if value is not None}
    return (present["T"], told.symbol), msgspec.json.encode(present)


def _as_batch(due_ns: list[int], flags: str, sent: list[Addressed]) -> Batch:
    return Batch(
        due_ns=due_ns,
        market_ns=due_ns,
        flags=flags,
        routes=[route for route, _ in sent],
        texts=[text for _, text in sent],
    )
