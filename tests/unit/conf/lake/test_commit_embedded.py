"""The few times that bound a MERGE stand for all times of its rows."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from conf.lake.commit import ranges_of
from conf.lake.commit_embedded import event_times
from conf.lake.tables import TRADES
from tests.unit.conf.lake.rows import trades

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
offsets = st.timedeltas(timedelta(hours=-13), timedelta(hours=13))


@given(st.lists(offsets.map(lambda offset: NOON + offset), min_size=1, max_size=40))
def test_they_yield_the_ranges_of_all_times(times: list[datetime]):
    few = event_times(TRADES, trades(*times))

    assert set(few) <= set(times)
    assert ranges_of(few) == ranges_of(times)


def test_they_are_two_per_minute_in_utc():
    seconds = [NOON + timedelta(seconds=i) for i in range(120)]
    few = event_times(TRADES, trades(*seconds))

    assert sorted(few) == [seconds[i] for i in (0, 59, 60, 119)]
    assert {time.utcoffset() for time in few} == {timedelta(0)}
