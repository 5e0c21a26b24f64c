"""The bounds of a MERGE: they reach every row's time, and no idle hours between."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from conf.lake.commit import (
    bounds_predicate,
    key_predicate,
    ranges_of,
    timestamp_literal,
)
from conf.lake.tables import TRADES

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
GAP = timedelta(minutes=5)

# An hour or three years around midnight: near neighbours and idle days both happen.
moments = st.one_of(
    st.timedeltas(timedelta(minutes=-30), timedelta(minutes=30)),
    st.timedeltas(timedelta(days=-500), timedelta(days=500)),
).map(lambda offset: MIDNIGHT + offset)


def holds(predicate: str, times: list[datetime]) -> list[bool]:
    """Return which target rows DuckDB, an engine of neither side, finds in bounds."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE TABLE t (day DATE, event_time TIMESTAMPTZ)")
        rows = [(time.date(), time) for time in times]
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        found = connection.table("t").project(f"rowid, {predicate}").fetchall()
        return [is_in for _, is_in in sorted(found)]


@given(st.lists(moments, max_size=40))
def test_each_time_is_in_exactly_one_range(times: list[datetime]):
    ranges = ranges_of(times)

    for time in times:
        assert sum(low <= time <= high for low, high in ranges) == 1


@given(st.lists(moments, max_size=40))
def test_ranges_begin_and_end_at_times_and_are_split_exactly_at_gaps(
    times: list[datetime],
):
    ranges = ranges_of(times, GAP)

    assert {bound for both in ranges for bound in both} <= set(times)
    assert all(low <= high for low, high in ranges)
    assert all(b[0] - a[1] > GAP for a, b in pairwise(ranges))
    for low, high in ranges:
        inside = sorted(time for time in times if low <= time <= high)
        assert all(b - a <= GAP for a, b in pairwise(inside))


def test_a_late_row_has_a_range_of_its_own():
    #  late |            five quiet hours            | 15:00:00 … 15:00:02
    hot = [datetime(2026, 11, 23, 15, 0, second, tzinfo=UTC) for second in range(3)]
    late = hot[0] - timedelta(hours=6)

    assert ranges_of([*hot, late]) == [(late, late), (hot[0], hot[2])]


@given(st.lists(moments, min_size=1, max_size=20), st.lists(moments, max_size=10))
def test_the_bounds_let_a_row_through_if_and_only_if_a_range_holds_its_time(
    times: list[datetime], others: list[datetime]
):
    ranges = ranges_of(times)
    found = holds(bounds_predicate(TRADES, ranges), [*times, *others])

    assert all(found[: len(times)])
    assert found[len(times) :] == [
        any(low <= time <= high for low, high in ranges) for time in others
    ]


def test_both_days_are_named_when_a_range_crosses_midnight_utc():
    before, after = MIDNIGHT - timedelta(seconds=1), MIDNIGHT + timedelta(seconds=1)

    assert bounds_predicate(TRADES, ranges_of([after, before])) == (
        "t.day IN (DATE '2026-11-23', DATE '2026-11-24') AND ("
        "(t.event_time >= TIMESTAMP '2026-11-23 23:59:59.000000Z'"
        " AND t.event_time <= TIMESTAMP '2026-11-24 00:00:01.000000Z'))"
    )


def test_an_idle_day_between_two_ranges_is_not_named():
    times = [MIDNIGHT, MIDNIGHT + timedelta(days=2)]
    predicate = bounds_predicate(TRADES, ranges_of(times))

    assert predicate.startswith("t.day IN (DATE '2026-11-24', DATE '2026-11-26') AND")


def test_a_literal_is_utc_to_the_microsecond_wherever_the_time_was_read():
    new_york = timezone(timedelta(hours=-5))
    moment = datetime(2026, 11, 23, 19, 0, 0, 1, tzinfo=new_york)

    assert timestamp_literal(moment) == "TIMESTAMP '2026-11-24 00:00:00.000001Z'"


def test_the_same_row_is_the_one_with_the_same_key():
    assert key_predicate(("symbol", "trade_id")) == (
        "t.symbol = u.symbol AND t.trade_id = u.trade_id"
    )
