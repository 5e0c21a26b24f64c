from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from api.responses import Last, rfc3339


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_time_is_the_same_instant_again(moment: datetime):
    text = rfc3339(moment)
    assert datetime.fromisoformat(text) == moment
    assert len(text) == len("2026-11-23T14:30:00.123456Z")


def test_times_are_utc_and_wide_integers_are_text():
    eastern = timezone(timedelta(hours=-5))
    last = Last(
        price=1.5,
        size=1,
        event_time=datetime(2026, 11, 23, 9, 30, tzinfo=eastern),
        event_time_ns=1_795_444_200_000_000_000,
        exchange="V",
        trade_id=2**60,
    )
    assert last.model_dump_json() == (
        '{"price":1.5,"size":1,"event_time":"2026-11-23T14:30:00.000000Z",'
        '"event_time_ns":"1795444200000000000","exchange":"V",'
        '"trade_id":"1152921504606846976"}'
    )
