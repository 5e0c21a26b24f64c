"""Compares what a stream holds with what a market sent, as sets.

An event is a message as JSON in the order of its keys and, for a quote, its number
among identical ones: what silver's keys keep apart. A message that is stored twice,
live and by backfill, is one event.

Alpaca's history has a minute only as it was restated last, as one bar. Whoever missed
both the bar and its restatement stores that one as a bar: nothing earlier is owed of a
minute whose later state is stored.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec

from conf.market.gaps import END_STATES, GapTransition
from conf.market.rfc3339 import parse_ns
from conf.market.wire import CHANNEL_OF_TYPE
from infra.local import stream_contents
from producer.simulator.disturbances import Fault
from producer.simulator.missed import Interval

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
_EXAMPLES = 10
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode

Route = tuple[str, str]
"""Channel and symbol."""
Span = tuple[int, int]
Event = tuple[str, int]


class Stored(NamedTuple):
    """What a stream holds.

    ``gaps`` are the transitions as told; ``records`` the MD5 of every payload.
    """

    events: set[Event]
    gaps: list[GapTransition]
    records: set[str]
    messages: int


class Withheld(NamedTuple):
    """A time from which REST was told to know nothing, epoch ns."""

    fault: Fault
    span: Span

    def hides(self, route: Route, time_ns: int) -> bool:
        """Tell whether an event of this time is withheld."""
        is_inside = self.span[0] <= time_ns < self.span[1]
        return is_inside and self.fault.names_event(*route)


class Verdict(msgspec.Struct, frozen=True):
    """What the comparison found; each count should be 0.

    Attributes:
        lost: Owed, not stored, and neither withheld nor named as lost.
        duplicated: Stored quotes beyond the number sent.
        altered: Stored, and never sent like that.
        wrongly_lost: Gaps called lost though REST had everything.
        superseded: States of minutes that are missing and have a later one stored.
        withheld: Messages that are missing because REST was told to withhold them,
            inside a gap called lost, or delayed into a later one.
        expected: Events that were owed.
        stored: Messages in the stream, live or by backfill.
        examples: Some of what is wrong.
    """

    lost: int
    duplicated: int
    altered: int
    wrongly_lost: int
    superseded: int
    withheld: int
    expected: int
    stored: int
    examples: list[str]


class Spans(msgspec.Struct, frozen=True):
    """How the ledger's intervals agree with the simulator's.

    ``worst_s`` is the largest difference of two ends that belong together;
    ``unmatched`` counts intervals of either side that the other does not have.
    """

    intervals: int
    worst_s: float
    unmatched: int


def read_stream(database: Path) -> Stored:
    """Return what the emulator stored; it must have stopped."""
    with duckdb.connect() as db:
        stream_contents.load(db, database)
        kinds = "kind IN ('data', 'backfill') AND is_json"
        rows = db.execute(f"SELECT text, occurrence FROM lines WHERE {kinds}")  # noqa: S608
        events = [(canonical(text), number) for text, number in rows.fetchall()]
        told = db.execute("SELECT text FROM lines WHERE kind = 'gap'").fetchall()
        digests = db.execute("SELECT payload_md5 FROM records").fetchall()
    gaps = [msgspec.json.decode(text, type=GapTransition) for (text,) in told]
    return Stored(set(events), gaps, {x for (x,) in digests}, len(events))


def compare(
    truth_dir: Path, stored: Stored, until_ns: int, withheld: Iterable[Withheld] = ()
) -> Verdict:
    """Compare the stream with everything due before ``until_ns``.

    History also has the minutes before the market began; a producer that was away just
    after one asks for it, and rightly stores it.
    """
    sent = due_events(truth_dir)
    texts = {text for text, _ in sent}
    absent = [x for x in sent.items() if x[1] < until_ns and x[0] not in stored.events]
    known = _later_states(sent, stored.events)
    missing = [x for x in absent if x[0] not in known]
    hidden, lost = _told_apart(missing, stored.gaps, list(withheld))
    states = {_state(text) for text, _ in sent if _is_bar(text)}
    began_ns = min(sent.values())
    strange = [
        x for x in stored.events - sent.keys() if not _closed_before(began_ns, x[0])
    ]
    strange = [x for x in strange if not _is_bar(x[0]) or _state(x[0]) not in states]
    altered = [text for text, _ in strange if text not in texts]
    wrong = _wrongly_lost(stored.gaps, list(withheld))
    return Verdict(
        lost=len(lost),
        duplicated=len(strange) - len(altered),
        altered=len(altered),
        wrongly_lost=len(wrong),
        superseded=len(absent) - len(missing),
        withheld=len(hidden),
        expected=sum(due_ns < until_ns for due_ns in sent.values()),
        stored=stored.messages,
        examples=[str(x) for x in (*lost, *strange, *wrong)][:_EXAMPLES],
    )


def due_events(truth_dir: Path) -> dict[Event, int]:
    """Return when each event was due, whoever was there to read it."""
    numbers: Counter[str] = Counter()
    sent: dict[Event, int] = {}
    for due_ns, text in sorted(_truth(truth_dir)):
        event = canonical(text)
        sent[event, numbers[event] if '"T":"q"' in event else 0] = due_ns
        numbers[event] += 1
    return sent


def canonical(text: str | bytes) -> str:
    """Return a message as JSON in the order of its keys."""
    return _encode(_decode(text)).decode()


def agreement(gaps: Iterable[GapTransition], missed: Iterable[Interval]) -> Spans:
    """Compare the intervals of the ledger with those of the simulator.

    Those that still last are left out: the one after the producer's end does.
    """
    told, true = (
        defaultdict[Route, list[Span]](list),
        defaultdict[Route, list[Span]](list),
    )
    for gap in gaps:
        if gap.state in END_STATES and gap.end is not None:
            route = gap.channel, gap.symbol
            told[route].append((parse_ns(gap.start), parse_ns(gap.end)))
    for one in missed:
        if one.to_ns is not None:
            true[one.channel, one.symbol].append((one.from_ns, one.to_ns))
    worst_ns = unmatched = intervals = 0
    for route in told.keys() | true.keys():
        ours, theirs = _merged(told[route]), _merged(true[route])
        intervals += len(theirs)
        pairs = [(x, y) for x in ours for y in theirs if _touch(x, y)]
        unmatched += len(ours) - len({x for x, _ in pairs})
        unmatched += len(theirs) - len({y for _, y in pairs})
        differences = [abs(a - b) for x, y in pairs for a, b in zip(x, y, strict=True)]
        worst_ns = max(worst_ns, *differences, 0)
    return Spans(intervals, round(worst_ns / SECOND_NS, 3), unmatched)


def _truth(truth_dir: Path) -> Iterator[tuple[int, str]]:
    for path in (*truth_dir.glob("messages-*.tsv"), *truth_dir.glob("missed-*.tsv")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                due_ns, _, text = line.rstrip("\n").split("\t")
                yield int(due_ns), text


def _later_states(sent: dict[Event, int], stored: set[Event]) -> set[Event]:
    """Return the bars of minutes of which this state or a later one is stored."""
    states = {_state(text) for text, _ in stored if _is_bar(text)}
    known: set[Event] = set()
    kept: set[tuple[str, str]] = set()
    for event, _ in sorted(sent.items(), key=lambda item: -item[1]):
        if not _is_bar(event[0]):
            continue
        message = _decode(event[0])
        minute = message["S"], message["t"]
        if minute in kept or _state(event[0]) in states:
            kept.add(minute)
            known.add(event)
    return known


def _is_bar(text: str) -> bool:
    return '"T":"b"' in text or '"T":"u"' in text


def _state(text: str) -> str:
    """Return a bar without its type."""
    return text.replace('"T":"u"', '"T":"b"')


def _told_apart(
    missing: list[tuple[Event, int]],
    gaps: list[GapTransition],
    withheld: list[Withheld],
) -> tuple[list[Event], list[Event]]:
    """Return what was withheld and is named as lost, then what is just lost."""
    named = defaultdict[Route, list[Span]](list)
    for gap in gaps:
        if gap.state == "lost":
            span = parse_ns(gap.start) - SECOND_NS, parse_ns(gap.end or "") + SECOND_NS
            named[gap.channel, gap.symbol].append(span)
    hidden: list[Event] = []
    lost: list[Event] = []
    for event, due_ns in missing:
        message = _decode(event[0])
        route, time_ns = _route(message), parse_ns(message["t"])
        hiding = [each for each in withheld if each.hides(route, time_ns)]
        is_hidden = bool(hiding)
        is_named = any(begin <= due_ns < end for begin, end in named[route])
        # delayed into a later gap, which had everything else: nobody could tell
        is_named |= any(due_ns >= each.span[1] for each in hiding)
        (hidden if is_hidden and is_named else lost).append(event)
    return hidden, lost


def _wrongly_lost(
    gaps: Iterable[GapTransition], withheld: list[Withheld]
) -> list[GapTransition]:
    """Return the gaps called lost in whose time nothing was withheld."""
    return [
        gap
        for gap in gaps
        if gap.state == "lost"
        and not any(
            each.fault.names_event(gap.channel, gap.symbol)
            and _touch(each.span, (parse_ns(gap.start), parse_ns(gap.end or "")))
            for each in withheld
        )
    ]


def _route(message: dict[str, Any]) -> Route:
    return CHANNEL_OF_TYPE[message["T"]], message["S"]


def _closed_before(began_ns: int, text: str) -> bool:
    message = _decode(text)
    return message["T"] == "b" and parse_ns(message["t"]) + MINUTE_NS <= began_ns


def _merged(spans: list[Span]) -> list[Span]:
    """Join what is less than a second apart: a link that thaws and then is cut."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin - joined[-1][1] < SECOND_NS:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined


def _touch(one: Span, other: Span) -> bool:
    return one[0] - SECOND_NS < other[1] and other[0] - SECOND_NS < one[1]
