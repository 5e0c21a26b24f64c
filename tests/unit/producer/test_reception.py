"""From the feed's events to gaps: who begins one, when, and when it is over."""

from collections.abc import Callable

import pytest

from conf.market.gaps import GapTransition
from producer.damage import Loss
from producer.gaps import Outage
from producer.mark import Mark
from producer.reception import Reception

ASKED = {"trades": ["A", "B"], "corrections": ["A", "B"]}
TRADES = {"trades": ["A", "B"]}


class Clock:
    now_ns = 100

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[GapTransition]:
    return []


@pytest.fixture
def reception(clock: Callable[[], int], told: list[GapTransition]) -> Reception:
    return Reception(TRADES, told.extend, clock, live=True)


def intervals(reception: Reception) -> list[tuple[str, str, int, int | None]]:
    gaps = [gap for group in reception.ledger.to_fill() for gap in group]
    return [(x.gap_id, x.cause, x.from_ns, x.to_ns) for x in gaps]


def test_the_first_connection_ever_opens_nothing(
    reception: Reception, told: list[GapTransition]
):
    reception.confirmed("e1", TRADES)
    assert told == []


def test_a_gap_is_from_the_last_frame_to_the_next_confirmation(
    reception: Reception, clock: Clock, told: list[GapTransition]
):
    reception.confirmed("e1", TRADES)
    clock.now_ns = 170
    reception.lost("e1", "mute", 150)
    assert {x.state for x in told} == {"opened"}
    clock.now_ns = 200
    reception.confirmed("e2", TRADES)
    assert intervals(reception) == [
        ("e1/trades/A", "mute", 150, 200),
        ("e1/trades/B", "mute", 150, 200),
    ]


def test_a_connection_that_never_spoke_is_lost_since_its_confirmation(
    reception: Reception, clock: Clock
):
    reception.confirmed("e1", TRADES)
    clock.now_ns = 130
    reception.lost("e1", "mute", 90)
    clock.now_ns = 140
    reception.confirmed("e2", TRADES)
    assert intervals(reception)[0] == ("e1/trades/A", "mute", 100, 140)


def test_a_symbol_that_is_not_confirmed_is_a_gap_until_it_is(
    reception: Reception, clock: Clock
):
    reception.confirmed("e1", {"trades": ["A"]})
    reception.confirmed("e1", {"trades": ["A"]})
    clock.now_ns = 200
    reception.confirmed("e1", TRADES)
    assert intervals(reception) == [("e1.1/trades/B", "subscription", 100, 200)]


def test_a_restart_owes_what_came_after_the_mark(
    reception: Reception, clock: Clock, told: list[GapTransition]
):
    reception.resume(Mark("e0", 50, {"trades": ["A", "GONE"]}), "restart")
    assert [x.gap_id for x in told] == ["e0/trades/A"]
    reception.confirmed("e1", TRADES)
    assert intervals(reception) == [("e0/trades/A", "restart", 50, 100)]


def test_a_second_restart_tells_the_same_gaps(
    reception: Reception, told: list[GapTransition], clock: Clock
):
    reception.resume(Mark("e0", 50, TRADES), "new_disk")
    first = [x.gap_id for x in told]
    mark = reception.mark(0, {})
    again = Reception(TRADES, told.extend, clock, live=True)
    again.resume(Mark("e0", 50, TRADES), "new_disk")
    assert [x.gap_id for x in told] == first * 2
    once_more = Reception(TRADES, told.extend, clock, live=True)
    once_more.resume(mark, "restart")
    assert len(told) == 4


def test_what_a_predecessor_did_not_keep_is_over_when_it_is_known_late(
    reception: Reception, told: list[GapTransition], clock: Clock
):
    reception.confirmed("e1", TRADES)
    clock.now_ns = 130
    reception.lost("e1", "cut", 120)
    clock.now_ns = 140
    opened = Outage("e0", "cut", 40, {"quotes": ["Q"]})
    last = Mark("e0", 70, {"trades": ["A"]}, [opened])
    reception.resume(last, "hand_over")
    clock.now_ns = 150
    reception.confirmed("e2", TRADES)
    assert intervals(reception) == [
        ("e0/trades/A", "hand_over", 70, 100),
        ("e1/trades/A", "cut", 120, 150),
        ("e1/trades/B", "cut", 120, 150),
    ]
    assert told[2].end is not None
    assert reception.epoch == "e2"
    assert reception.ledger.open_gaps == 1  # what the predecessor missed already


def test_an_earlier_run_that_never_connected_owes_nothing(
    reception: Reception, told: list[GapTransition]
):
    reception.resume(Mark(), "restart")
    assert told == []


def test_in_a_replay_an_outage_ends_with_the_next_frame(
    clock: Clock, told: list[GapTransition]
):
    reception = Reception(TRADES, told.extend, clock, live=False)
    reception.confirmed("e1", TRADES)
    reception.heard("e1", 150)
    reception.lost("e1", "cut", 99_999)
    reception.confirmed("e2", TRADES)
    assert intervals(reception) == []
    clock.now_ns = 900
    reception.heard("e2", 900)
    assert intervals(reception)[0] == ("e1/trades/A", "cut", 150, 900)


def test_what_was_destroyed_on_disk_is_a_gap_that_is_over(
    reception: Reception, clock: Clock, told: list[GapTransition]
):
    reception.confirmed("e1", TRADES)
    clock.now_ns = 300
    reception.damaged([Loss("d1", 150, 200), Loss("d2", 250, None)])
    assert intervals(reception) == [
        ("d1/trades/A", "spool_damaged", 150, 200),
        ("d1/trades/B", "spool_damaged", 150, 200),
        ("d2/trades/A", "spool_damaged", 250, 300),
        ("d2/trades/B", "spool_damaged", 250, 300),
    ]
    assert {x.state for x in told} == {"opened"}
