"""The judge of the ingestion runs must see what is wrong; scripts follow their seed."""

import json
from pathlib import Path

import pytest

from conf.market.gaps import GapTransition
from conf.market.rfc3339 import format_ns
from infra.local.ingestion import cuts, kills
from infra.local.ingestion.intervals import SECOND_NS, agreement
from infra.local.ingestion.judge import (
    Event,
    Stored,
    Withheld,
    canonical,
    compare,
)
from producer.segments import MARK, RECORD, Segments, encode
from producer.simulator.disturbances import Fault
from producer.simulator.missed import Interval

START_NS = 1_795_000_000 * SECOND_NS


def message(second: int, kind: str = "t", **fields: object) -> str:
    time = format_ns(START_NS + second * SECOND_NS)
    return json.dumps({"T": kind, "S": "KO", "t": time, **fields})


TRADES = [message(second, i=second) for second in range(5)]
QUOTE = message(2, "q", bp=1)
BAR, RESTATED = message(0, "b", n=4), message(0, "u", n=5)


def truth(folder: Path, *texts: str, missed: tuple[str, ...] = ()) -> Path:
    for name, lines in (("messages", texts), ("missed", missed)):
        rows = [f"{START_NS + n * SECOND_NS}\tn\t{x}\n" for n, x in enumerate(lines)]
        (folder / f"{name}-00001.tsv").write_text("".join(rows))
    return folder


def stored(*texts: str, gaps: tuple[GapTransition, ...] = ()) -> Stored:
    events: list[Event] = []
    for text in texts:
        number = sum(known == canonical(text) for known, _ in events)
        events.append((canonical(text), number if '"q"' in text else 0))
    return Stored(set(events), list(gaps), set(), len(events))


def gap(state: str, begin: int, end: int, channel: str = "trades") -> GapTransition:
    times = [format_ns(START_NS + x * SECOND_NS) for x in (begin, end)]
    return GapTransition("KO", times[1], "g", state, channel, "cut", *times)


def counts(folder: Path, found: Stored, *withheld: Withheld) -> tuple[int, ...]:
    verdict = compare(folder, found, START_NS + 100 * SECOND_NS, withheld)
    return verdict.lost, verdict.duplicated, verdict.altered, verdict.wrongly_lost


def test_copies_are_one_event_and_all_is_well(tmp_path: Path):
    folder = truth(tmp_path, *TRADES[:3], QUOTE, QUOTE, missed=tuple(TRADES[3:]))
    found = stored(*TRADES, *TRADES, QUOTE, QUOTE)
    assert counts(folder, found) == (0, 0, 0, 0)


def test_what_is_missing_is_lost(tmp_path: Path):
    folder = truth(tmp_path, *TRADES, QUOTE, QUOTE)
    assert counts(folder, stored(*TRADES[1:], QUOTE)) == (2, 0, 0, 0)


def test_a_quote_too_many_is_a_duplicate_and_a_strange_trade_altered(tmp_path: Path):
    folder = truth(tmp_path, *TRADES, QUOTE)
    found = stored(*TRADES, QUOTE, QUOTE, message(1, i=77))
    assert counts(folder, found) == (0, 1, 1, 0)


def test_a_restated_bar_is_owed_in_its_last_state(tmp_path: Path):
    folder = truth(tmp_path, *TRADES, BAR, RESTATED)
    as_bar = RESTATED.replace('"u"', '"b"')
    assert counts(folder, stored(*TRADES, as_bar)) == (0, 0, 0, 0)
    assert counts(folder, stored(*TRADES, BAR, RESTATED)) == (0, 0, 0, 0)
    assert counts(folder, stored(*TRADES, BAR)) == (1, 0, 0, 0)
    assert counts(folder, stored(*TRADES, message(0, "b", n=6))) == (2, 0, 1, 0)


def test_only_what_was_withheld_may_be_lost_and_must_be_named(tmp_path: Path):
    folder = truth(tmp_path, *TRADES)
    fault = Fault(kind="withhold", symbols=["KO"], channels=["trades"])
    span = START_NS, START_NS + 2 * SECOND_NS
    named = stored(*TRADES[2:], gaps=(gap("lost", 0, 2),))
    assert counts(folder, named, Withheld(fault, span)) == (0, 0, 0, 0)
    assert counts(folder, stored(*TRADES[2:]), Withheld(fault, span)) == (2, 0, 0, 0)
    assert counts(folder, named) == (2, 0, 0, 1)


def test_halts_have_no_history_and_their_gaps_are_called_lost(tmp_path: Path):
    halts = [message(second, "s", sc="H") for second in range(5)]
    folder = truth(tmp_path, *halts)
    lost = gap("lost", 0, 2, "statuses")
    assert counts(folder, stored(*halts[2:], gaps=(lost,))) == (0, 0, 0, 0)
    assert counts(folder, stored(*halts[:2], gaps=(lost,)))[0] == 2
    for state, wrong in (("lost", 0), ("late", 0), ("backfilled", 1), ("halted", 1)):
        found = stored(*halts, gaps=(gap(state, 0, 2, "statuses"),))
        assert compare(folder, found, START_NS).wrongly_filled == wrong
    nothing = stored(*halts, gaps=(gap("closed_market", 1, 1, "lulds"),))
    assert compare(folder, nothing, START_NS).wrongly_filled == 0


def test_intervals_are_compared_end_by_end():
    gaps = [gap("backfilled", 0, 10), gap("opened", 40, 50), gap("lost", 60, 70)]
    spans = [(0.2, 10.5), (60, 70), (80, 90)]
    true = [
        Interval("iex", "key", "trades", "KO", "cut", *_ns(begin, end))
        for begin, end in spans
    ]
    found = agreement(gaps, true)
    assert (found.intervals, found.worst_s, found.unmatched) == (3, 0.5, 1)


def _ns(begin: float, end: float) -> tuple[int, int]:
    return START_NS + int(begin * SECOND_NS), START_NS + int(end * SECOND_NS)


def test_a_script_follows_its_seed():
    assert list(cuts.script(3, 50)) == list(cuts.script(3, 50))
    assert list(cuts.script(3, 50)) != list(cuts.script(4, 50))
    names = {event.name for event in cuts.script(1, 50)}
    assert {"cut", "mute", "half_open", "torn_frame", "error", "withhold"} == names


def test_every_kill_is_planned():
    planned = kills.script(1, 30, 10)
    assert planned == kills.script(1, 30, 10)
    victims = [kill.victim for kill in planned]
    assert (victims.count("producer"), victims.count("emulator")) == (30, 10)
    disks = [kill.disk for kill in planned]
    assert (disks.count("wiped"), disks.count("cut back")) == (1, 1)


@pytest.mark.parametrize(("torn", "left"), [(False, [1]), (True, [1, 2])])
def test_a_spool_is_cut_back_to_what_was_synced(
    tmp_path: Path, torn: bool, left: list[int]
):
    segments = Segments(tmp_path)
    mark = b'{"stored_until":0}'
    for number in (1, 2):
        record = encode(RECORD, number, 1, "KO", b"body")
        segments.write([record, encode(MARK, number, 0, "", mark)])
    if torn:
        segments.write([encode(RECORD, 3, 1, "KO", b"body")])
    segments.close()
    kills.cut_back(tmp_path)
    assert [entry.number for entry in kills.unsent(tmp_path)] == left
