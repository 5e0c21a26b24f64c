"""Which trade a correction means: none yet, one, or several."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.market.effective_trades import Correction, Trade, resolve
from silver.matching import TRADE_COLUMNS, match

NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
_hashes = count()


def trade(trade_id: int = 1, moment: datetime = NOON, **fields: Any) -> dict[str, Any]:
    row = {
        "symbol": "AAPL",
        "exchange": "V",
        "trade_id": trade_id,
        "price": 126.55,
        "size": 100,
        "event_time_ns": int(moment.timestamp()) * 10**9 + 7,
        "market_time": moment + SECOND,
    }
    return row | fields


def cancel(trade_id: int = 1, moment: datetime = NOON + HOUR, **fields: Any) -> dict:
    names = ("trade_id", "price", "size", "conditions")
    none = dict.fromkeys(f"corrected_{name}" for name in names)
    state = {"match_state": "pending", "trade_event_time_ns": None}
    made = trade(trade_id, moment) | none | state | {"message_hash": next(_hashes)}
    return made | {"known_time": made["market_time"]} | fields


def correct(trade_id: int, by: int, moment: datetime = NOON + HOUR) -> dict[str, Any]:
    to = {"corrected_trade_id": by, "corrected_price": 126.55, "corrected_size": 100}
    return cancel(trade_id, moment) | to


def states(rows: list[dict[str, Any]]) -> list[tuple[str, int | None]]:
    return [(row["match_state"], row["trade_event_time_ns"]) for row in rows]


def test_one_trade_matches_and_both_are_known_since_the_later_came():
    (row,) = match([cancel()], [trade(), trade(2)])

    assert states([row]) == [("matched", trade()["event_time_ns"])]
    assert row["known_time"] == NOON + HOUR + SECOND


def test_a_correction_before_its_trade_is_matched_when_the_trade_comes():
    early = cancel(moment=NOON - SECOND)
    assert match([early], []) == []

    (row,) = match([early], [trade()])
    assert row["known_time"] == NOON + SECOND


@pytest.mark.parametrize(
    "other",
    [
        {"symbol": "SPY"},
        {"exchange": "D"},
        {"trade_id": 2},
        {"price": 126.56},
        {"size": 99},
        {"moment": NOON - timedelta(days=1)},
    ],
)
def test_a_trade_that_differs_in_one_field_is_another(other: dict[str, Any]):
    assert match([cancel()], [trade(**other)]) == []


def test_several_trades_are_ambiguous_until_one_is_left():
    twins = [trade(moment=NOON), trade(moment=NOON + SECOND)]
    first = cancel()
    (ambiguous,) = match([first], twins)
    assert states([ambiguous]) == [("ambiguous", None)]

    assert match([first, ambiguous], twins) == []
    (row,) = match([first, ambiguous], twins[:1])
    assert states([row]) == [("matched", twins[0]["event_time_ns"])]


def test_what_was_matched_keeps_its_trade_when_another_of_its_name_comes():
    first, second = correct(1, by=2), cancel(2, moment=NOON + HOUR + SECOND)
    (matched,) = match([first], [trade()])
    twins = [trade(), trade(moment=NOON + SECOND)]

    (row,) = match([first, matched, second], twins)
    assert states([row]) == [("matched", trade()["event_time_ns"])]
    (again,) = match([first, matched, cancel(1)], twins)
    assert states([again]) == [("matched", twins[1]["event_time_ns"])]


def test_what_is_told_again_is_known_since_it_came_whatever_came_after():
    told = [
        correct(1, by=2, moment=NOON + HOUR),
        correct(1, by=2, moment=NOON + HOUR + SECOND),
        cancel(2, moment=NOON + 2 * HOUR),
    ]
    known = [row["known_time"] for row in match(told, [trade()])]

    assert known == [row["market_time"] for row in told]


def test_a_chain_leads_back_to_the_first_trade():
    chain = [
        correct(1, by=2, moment=NOON + HOUR),
        correct(2, by=3, moment=NOON + HOUR + SECOND),
        cancel(3, moment=NOON + HOUR + 2 * SECOND),
    ]
    root = trade()["event_time_ns"]

    assert states(match(chain, [trade()])) == [("matched", root)] * 3
    assert match(chain, []) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("is_cancel", [True, False])
def test_what_is_told_twice_means_one_trade_in_any_order(
    order: tuple[int, int], is_cancel: bool
):
    moments = (NOON + HOUR, NOON + HOUR + SECOND)
    told = [cancel(moment=m) if is_cancel else correct(1, 2, m) for m in moments]
    first, second = (told[place] for place in order)
    root = trade()["event_time_ns"]

    (one,) = match([first], [trade()])
    (other,) = match([first, one, second], [trade()])
    assert states([one, other]) == [("matched", root)] * 2
    assert match([first, one, second, other], [trade()]) == []

    later = cancel(2, moment=NOON + 2 * HOUR)
    (row, *_) = match([first, one, second, other, later], [trade()]) or [later]
    assert row["match_state"] == ("pending" if is_cancel else "matched")


def test_what_is_told_again_does_not_undo_what_came_after():
    told = [
        correct(1, by=2, moment=NOON + HOUR),
        correct(2, by=3, moment=NOON + HOUR + SECOND),
        correct(1, by=2, moment=NOON + HOUR + 2 * SECOND),
    ]
    matched = match(told, [trade()])
    stale, right = (cancel(n, moment=NOON + 2 * HOUR) for n in (2, 3))

    assert len(matched) == 3
    (row,) = match([*told, *matched, stale, right], [trade()])
    assert row["message_hash"] == right["message_hash"]


def test_a_trade_may_be_corrected_to_and_fro():
    there_and_back = [
        correct(1, by=2, moment=NOON + HOUR),
        correct(2, by=1, moment=NOON + HOUR + SECOND),
        correct(1, by=2, moment=NOON + HOUR + 2 * SECOND),
        cancel(2, moment=NOON + HOUR + 3 * SECOND),
    ]
    root = trade()["event_time_ns"]

    assert states(match(there_and_back, [trade()])) == [("matched", root)] * 4


@given(st.permutations([*range(6)]), st.integers(0, 5))
def test_matching_in_two_steps_is_matching_in_one(order: list[int], cut: int):
    rows = [correct(i, by=i + 1, moment=NOON + i * SECOND) for i in range(1, 7)]
    at_once = match(rows, [trade()])
    known = [rows[i] for i in order[:cut]]
    first = match(known, [trade()])
    then = match([*rows, *first], [trade()])

    assert sorted(first + then, key=lambda row: row["message_hash"]) == at_once


@given(st.permutations([*range(8)]), st.sets(st.integers(1, 7)))
def test_a_chain_told_twice_in_any_order_and_steps_leads_back(
    order: list[int], cuts: set[int]
):
    # by the stream as it happens, and by a backfill with the time of the trade
    steps = [correct(i, by=i + 1, moment=NOON + i * SECOND) for i in range(1, 4)]
    steps += [cancel(4, moment=NOON + HOUR)]
    told = [
        *steps,
        *(row | {"event_time_ns": trade()["event_time_ns"]} for row in steps),
    ]
    known: list[dict[str, Any]] = []
    low = 0
    for high in sorted({*cuts, len(order)}):
        known += [told[place] for place in order[low:high]]
        known += match(known, [trade()])
        low = high
    matched = [row for row in known if row["match_state"] == "matched"]

    assert states(matched) == [("matched", trade()["event_time_ns"])] * len(told)


@given(st.permutations([*range(8)]), st.sets(st.integers(1, 7)))
def test_where_no_two_mean_one_trade_the_order_of_arrival_decides_nothing(
    order: list[int], cuts: set[int]
):
    # two chains of three, trades that may come after what corrects them
    corrections = [
        correct(root + i, by=root + i + 1, moment=NOON + HOUR + i * SECOND)
        for root in (10, 20)
        for i in range(3)
    ]
    arrivals = [*corrections, trade(10), trade(20)]
    known: list[dict[str, Any]] = []
    reported: list[dict[str, Any]] = []
    low = 0
    for high in sorted({*cuts, len(order)}):
        for each in (arrivals[place] for place in order[low:high]):
            (known if "message_hash" in each else reported).append(each)
        known += match(known, reported)
        low = high
    stored = [row for row in known if row["match_state"] == "matched"]
    trades = [Trade(*(row[name] for name in TRADE_COLUMNS[:-1])) for row in reported]
    resolution = resolve(trades, [Correction.of(row) for row in stored])

    assert len(stored) == len(corrections)
    assert {now.trade_id for now in resolution.apply(trades)} == {13, 23}
