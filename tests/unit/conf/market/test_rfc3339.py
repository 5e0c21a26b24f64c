from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.market.rfc3339 import format_ns, parse_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2021-02-22T15:51:44.208Z", 1_614_009_104_208_000_000),
        ("2021-02-22T15:51:44.208000001Z", 1_614_009_104_208_000_001),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2021-02-22T10:51:44.208-05:00", 1_614_009_104_208_000_000),
    ],
)
def test_text_becomes_nanoseconds(text: str, time_ns: int):
    assert parse_ns(text) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021-02-22",
        "2021-02-22T15:51:44",
        "2021-02-22 15:51:44Z",
        "2021-13-22T15:51:44Z",
        "2021-02-22T15:51:44.Z",
        "2021-02-22T15:51:44.0000000001Z",
        "2021-02-22T15:51:4٤Z",
    ],
)
def test_other_text_is_refused(text: str):
    with pytest.raises(ValueError, match=r".+"):
        parse_ns(text)


def test_text_has_exactly_the_decimals_needed():
    assert format_ns(0) == "1970-01-01T00:00:00Z"
    assert format_ns(1_614_009_104_208_000_000) == "2021-02-22T15:51:44.208Z"
    assert format_ns(1) == "1970-01-01T00:00:00.000000001Z"


def test_years_beyond_four_digits_are_refused():
    with pytest.raises(ValueError, match=r"year|9999"):
        format_ns(10**30)


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 999))
def test_every_time_comes_back(moment: datetime, nanoseconds: int):
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    time_ns = micros * 1_000 + nanoseconds
    assert parse_ns(format_ns(time_ns)) == time_ns
