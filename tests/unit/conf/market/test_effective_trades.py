"""What corrections do to trades, against a slow count that knows no index."""

from datetime import UTC, date, datetime
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.market.effective_trades import (
    Correction,
    Match,
    Trade,
    resolve,
    trading_date,
)

NOON_NS = int(datetime(2026, 11, 23, 17, tzinfo=UTC).timestamp()) * 10**9
SECOND_NS = 10**9


def trade(trade_id, price=10.0, size=100, *, at_s=0, exchange="V"):
    return Trade("AAPL", exchange, trade_id, NOON_NS + at_s * SECOND_NS, price, size)


def cancel(meant, *, at_s):
    return Correction(
        meant.symbol,
        meant.exchange,
        NOON_NS + at_s * SECOND_NS,
        meant.trade_id,
        meant.price,
        meant.size,
    )


def correct(meant, trade_id, price, size=100, *, at_s):
    return msgspec.structs.replace(
        cancel(meant, at_s=at_s),
        corrected_trade_id=trade_id,
        corrected_price=price,
        corrected_size=size,
    )


def effective(trades, corrections):
    return list(resolve(trades, corrections).apply(trades))


def states(trades, corrections):
    matches = resolve(trades, corrections).matches
    return [matches[each].state for each in corrections]


def test_a_cancelled_trade_is_gone_and_its_neighbours_stay():
    first, second = trade(1), trade(2)

    assert effective([first, second], [cancel(first, at_s=9)]) == [second]


def test_a_corrected_trade_keeps_its_time():
    (now,) = effective([trade(1)], [correct(trade(1), 2, 11.0, 50, at_s=9)])

    assert now == trade(2, 11.0, 50)


def test_a_chain_ends_with_the_cancel_of_what_was_corrected():
    #  1 at 10 USD -> 2 at 11 -> 3 at 12 -> cancelled
    first, second, third = trade(1), trade(2, 11.0), trade(3, 12.0)
    chain = [
        correct(first, 2, 11.0, at_s=1),
        correct(second, 3, 12.0, at_s=2),
        cancel(third, at_s=3),
    ]
    assert effective([first], chain[:2]) == [third]
    assert effective([first], chain) == []
    assert resolve([first], chain).matches == {
        each: Match("matched", first, (first, *chain[:number]))
        for number, each in enumerate(chain)
    }


def test_a_chain_of_one_timestamp_needs_no_order():
    first, second = trade(9), trade(2, 11.0)
    chain = [correct(second, 3, 12.0, at_s=5), correct(first, 2, 11.0, at_s=5)]

    assert effective([first], chain) == [trade(3, 12.0)]


def test_a_correction_waits_for_its_trade():
    correction = cancel(trade(1), at_s=9)

    assert states([], [correction]) == ["pending"]
    assert states([trade(1)], [correction]) == ["matched"]


@pytest.mark.parametrize(
    "other",
    [
        trade(2),
        trade(1, 10.01),
        trade(1, size=99),
        trade(1, exchange="D"),
        trade(1, at_s=-24 * 3600),
    ],
)
def test_what_differs_is_not_meant(other):
    assert states([other], [cancel(trade(1), at_s=9)]) == ["pending"]
    assert effective([other], [cancel(trade(1), at_s=9)]) == [other]


def test_of_two_trades_of_one_name_none_is_touched():
    both = [trade(1, at_s=0), trade(1, at_s=1)]

    assert states(both, [cancel(trade(1), at_s=9)]) == ["ambiguous"]
    assert effective(both, [cancel(trade(1), at_s=9)]) == both


def test_of_two_corrections_of_one_trade_the_earlier_takes_it():
    later, earlier = cancel(trade(1), at_s=9), correct(trade(1), 2, 11.0, at_s=8)

    assert states([trade(1)], [later, earlier]) == ["pending", "matched"]
    assert effective([trade(1)], [later, earlier]) == [trade(2, 11.0)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_told_twice_changes_its_trade_once(order):
    told = [correct(trade(1), 2, 11.0, at_s=at_s) for at_s in (0, 9)]
    later = cancel(trade(2, 11.0), at_s=10)
    messages = [told[place] for place in order]

    assert states([trade(1)], [*messages, later]) == ["matched"] * 3
    assert effective([trade(1)], messages) == [trade(2, 11.0)]
    assert effective([trade(1)], [*messages, later]) == []


def test_what_is_told_again_means_no_other_trade_that_took_the_name():
    first, other = trade(1), trade(5, 12.0)
    told = [correct(first, 2, 11.0, at_s=at_s) for at_s in (1, 9)]
    renamed = correct(other, 1, 10.0, at_s=2)

    assert states([first, other], [*told, renamed]) == ["matched"] * 3
    assert effective([first, other], [*told, renamed]) == [trade(2, 11.0), first]


def test_a_correction_that_found_its_trade_keeps_it():
    both = [trade(1, at_s=0), trade(1, at_s=1)]
    found = msgspec.structs.replace(
        correct(trade(1), 2, 11.0, at_s=9), trade_event_time_ns=both[0].event_time_ns
    )
    earlier = cancel(trade(1), at_s=5)

    assert effective(both, [found]) == [trade(2, 11.0), both[1]]
    assert effective(both, [found, earlier]) == [trade(2, 11.0)]
    assert states(both[:1], [found, earlier]) == ["matched", "pending"]


def test_a_correction_of_conditions_alone_counts_once_and_can_be_cancelled():
    same = msgspec.structs.replace(
        correct(trade(1), 1, 10.0, at_s=1), corrected_conditions=("Z",)
    )
    (now,) = effective([trade(1)], [same, same])

    assert now == msgspec.structs.replace(trade(1), conditions=("Z",))
    assert effective([trade(1)], [same, cancel(trade(1), at_s=2)]) == []


def test_what_was_known_is_the_view_of_then():
    known = [(3, correct(trade(1), 2, 11.0, at_s=1)), (5, cancel(trade(2, 11), at_s=2))]

    def prices(moment):
        corrections = [each for time, each in known if time <= moment]
        return [now.price for now in effective([trade(1)], corrections)]

    assert [prices(moment) for moment in (2, 3, 5)] == [[10.0], [11.0], []]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-23T14:30:00", date(2026, 11, 23)),
        ("2026-11-24T00:59:59", date(2026, 11, 23)),  # 19:59 in New York
        ("2026-11-24T01:00:00", date(2026, 11, 24)),  # 20:00
        ("2026-07-02T23:59:59", date(2026, 7, 2)),  # 19:59, in summer
        ("2026-07-03T00:00:00", date(2026, 7, 3)),
    ],
)
def test_trading_date_is_new_yorks(moment, expected):
    time = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    assert trading_date(int(time.timestamp()) * 10**9) == expected


# Few ids, prices and times: names collide, chains and loops are common.
ids, prices, sizes = st.integers(1, 4), st.sampled_from([10.0, 10.01]), st.just(100)
times = st.integers(0, 6)
trades = st.lists(
    st.builds(lambda i, p, t: trade(i, p, at_s=t), ids, prices, times),
    max_size=6,
    unique_by=lambda each: each.key,
)
cancels = st.builds(lambda i, p, t: cancel(trade(i, p), at_s=t), ids, prices, times)
corrects = st.builds(
    lambda i, p, to, at, t: correct(trade(i, p), to, at, at_s=t),
    ids, prices, ids, prices, times,
)  # fmt: skip
corrections = st.lists(cancels | corrects, max_size=10)


@given(trades, corrections, st.randoms())
def test_equal_to_a_slow_count_in_any_order_and_with_copies(reported, messages, random):
    known, matches = slow_count(reported, messages)
    disordered = messages + random.choices(messages, k=3) if messages else []
    random.shuffle(disordered)
    shuffled = random.sample(reported, len(reported))
    resolution = resolve(shuffled, disordered)

    assert sorted(resolution.apply(shuffled), key=order) == sorted(known, key=order)
    assert {c: (m.state, m.trade) for c, m in resolution.matches.items()} == matches


# A chain of corrections for each of some trades; no two mean one state of a trade.
chains = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(chains, st.booleans(), st.randoms())
def test_what_a_backfill_tells_again_changes_nothing(lengths, is_cancelled, random):
    reported, messages = [], []
    for number, length in enumerate(lengths):
        ids = range(10 * number, 10 * number + length + 1)
        reported.append(trade(ids[0]))
        for at_s, (wrong, right) in enumerate(pairwise(ids), 1):
            messages.append(correct(trade(wrong), right, 10.0, at_s=at_s))
        if is_cancelled:
            messages.append(cancel(trade(ids[-1]), at_s=length + 1))
    # history does not say when a correction came: it gets the time of its trade
    again = [
        msgspec.structs.replace(each, event_time_ns=NOON_NS)
        for each in random.choices(messages, k=5)
    ]
    messages_and_again = random.sample(all_ := [*messages, *again], len(all_))

    assert states(reported, messages_and_again) == ["matched"] * len(all_)
    assert effective(reported, messages_and_again) == effective(reported, messages)


def order(each):
    return msgspec.json.encode(each)


def slow_count(reported, messages):
    """Take the earliest message that means one trade, again and again from the top."""
    heads = [[each, each] for each in reported]  # as reported, as now
    remaining = sorted(set(messages), key=when)
    matches, told = {}, {}

    def meant_by(message):
        known = told.get(said(message))
        return [
            head
            for head in heads
            if means(message, head[1]) and known in (None, head[0])
        ]

    while found := next(
        (
            (message, meant[0])
            for message in remaining
            if len(meant := meant_by(message)) == 1
        ),
        None,
    ):
        message, head = found
        remaining.remove(message)
        matches[message] = ("matched", head[0])
        told[said(message)] = head[0]
        if message.corrected_trade_id is None:
            heads.remove(head)
        else:
            head[1] = Trade(
                head[0].symbol,
                head[0].exchange,
                message.corrected_trade_id,
                head[0].event_time_ns,
                message.corrected_price,
                message.corrected_size,
            )
    for message in remaining:
        is_meant = any(means(message, head[1]) for head in heads)
        matches[message] = ("ambiguous" if is_meant else "pending", None)
        if said(message) in told:
            matches[message] = ("matched", told[said(message)])
    return [now for _, now in heads], matches


def means(message, now):
    return (now.trade_id, now.price, now.size) == (
        message.trade_id,
        message.price,
        message.size,
    )


def said(message):
    return msgspec.structs.replace(message, event_time_ns=0)


def when(message):
    is_correction = message.corrected_trade_id is not None
    return (
        message.event_time_ns,
        message.trade_id,
        message.price,
        is_correction,
        message.corrected_trade_id or 0,
        message.corrected_price,
    )
