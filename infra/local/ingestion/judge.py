"""Compares what a stream holds with what a market sent, as sets.

An event is a message as JSON in the order of its keys and, for a quote, its number
among identical ones: what silver's keys keep apart. A message that is stored twice,
live and by backfill, is one event.

Alpaca's history has a minute only as it was restated last, as one bar. Whoever missed
both the bar and its restatement stores that one as a bar: nothing earlier is owed of a
minute whose later state is stored.

It has no halts and no price bands. What a gap hid of them cannot be had, and every such
gap must be called lost, no other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import duckdb
import msgspec

from conf.market.gaps import END_STATES, GapTransition
from conf.market.rfc3339 import parse_ns
from conf.market.wire import CHANNEL_OF_TYPE
from infra.local import stream_contents
from infra.local.ingestion.intervals import SECOND_NS, Route, Span, touch
from producer.simulator.disturbances import Fault

MINUTE_NS = 60 * SECOND_NS
WITHOUT_HISTORY = frozenset({"statuses", "lulds", "dailyBars"})
_EXAMPLES = 10
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode

Event = tuple[str, int]
Fate = Literal["lost", "withheld", "without_history"]


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
        lost: Owed, not stored, and not named as lost with a right to be.
        duplicated: Stored quotes beyond the number sent.
        altered: Stored, and never sent like that.
        wrongly_lost: Gaps called lost though REST had everything.
        wrongly_filled: Gaps of channels without history that are called anything else.
        superseded: States of minutes that are missing and have a later one stored.
        withheld: Messages that are missing because REST was told to withhold them,
            inside a gap called lost, or delayed into a later one.
        without_history: Halts and price bands that are missing inside a gap called
            lost.
        expected: Events that were owed.
        stored: Messages in the stream, live or by backfill.
        examples: Some of what is wrong.
    """

    lost: int
    duplicated: int
    altered: int
    wrongly_lost: int
    wrongly_filled: int
    superseded: int
    withheld: int
    without_history: int
    expected: int
    stored: int
    examples: list[str]


COUNTED = ("lost", "duplicated", "altered", "wrongly_lost", "wrongly_filled")
"""What must be 0 in each verdict."""


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
    fates = _fates(missing, stored.gaps, list(withheld))
    lost = [event for event, fate in fates if fate == "lost"]
    states = {_state(text) for text, _ in sent if _is_bar(text)}
    began_ns = min(sent.values())
    strange = [
        x for x in stored.events - sent.keys() if not _closed_before(began_ns, x[0])
    ]
    strange = [x for x in strange if not _is_bar(x[0]) or _state(x[0]) not in states]
    altered = [text for text, _ in strange if text not in texts]
    wrong = _wrongly_lost(stored.gaps, list(withheld))
    filled = _wrongly_filled(stored.gaps)
    return Verdict(
        lost=len(lost),
        duplicated=len(strange) - len(altered),
        altered=len(altered),
        wrongly_lost=len(wrong),
        wrongly_filled=len(filled),
        superseded=len(absent) - len(missing),
        withheld=sum(fate == "withheld" for _, fate in fates),
        without_history=sum(fate == "without_history" for _, fate in fates),
        expected=sum(due_ns < until_ns for due_ns in sent.values()),
        stored=stored.messages,
        examples=[str(x) for x in (*lost, *strange, *wrong, *filled)][:_EXAMPLES],
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


def _fates(
    missing: list[tuple[Event, int]],
    gaps: list[GapTransition],
    withheld: list[Withheld],
) -> list[tuple[Event, Fate]]:
    """Return why each is missing; only what a gap names may be, and not all of that."""
    named = defaultdict[Route, list[Span]](list)
    for gap in gaps:
        if gap.state == "lost":
            span = parse_ns(gap.start) - SECOND_NS, parse_ns(gap.end or "") + SECOND_NS
            named[gap.channel, gap.symbol].append(span)
    fates: list[tuple[Event, Fate]] = []
    for event, due_ns in missing:
        message = _decode(event[0])
        route, time_ns = _route(message), parse_ns(message["t"])
        is_named = any(begin <= due_ns < end for begin, end in named[route])
        hiding = [each for each in withheld if each.hides(route, time_ns)]
        # delayed into a later gap, which had everything else: nobody could tell
        is_late = any(due_ns >= each.span[1] for each in hiding)
        fate: Fate = "lost"
        if hiding and (is_named or is_late):
            fate = "withheld"
        elif route[0] in WITHOUT_HISTORY and is_named:
            fate = "without_history"
        fates.append((event, fate))
    return fates


def _wrongly_filled(gaps: Iterable[GapTransition]) -> list[GapTransition]:
    """Return the settled gaps that nobody could have filled, yet not called lost.

    One of no length hid nothing: it may be called otherwise.
    """
    return [
        gap
        for gap in gaps
        if gap.channel in WITHOUT_HISTORY
        and gap.state in END_STATES
        and gap.state != "lost"
        and gap.start != gap.end
    ]


def _wrongly_lost(
    gaps: Iterable[GapTransition], withheld: list[Withheld]
) -> list[GapTransition]:
    """Return the gaps called lost in whose time nothing was withheld."""
    return [
        gap
        for gap in gaps
        if gap.state == "lost"
        and gap.channel not in WITHOUT_HISTORY
        and not any(
            each.fault.names_event(gap.channel, gap.symbol)
            and touch(each.span, (parse_ns(gap.start), parse_ns(gap.end or "")))
            for each in withheld
        )
    ]


def _route(message: dict[str, Any]) -> Route:
    return CHANNEL_OF_TYPE[message["T"]], message["S"]


def _closed_before(began_ns: int, text: str) -> bool:
    message = _decode(text)
    return message["T"] == "b" and parse_ns(message["t"]) + MINUTE_NS <= began_ns
