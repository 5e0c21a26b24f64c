import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.requests import BarsQuery, TradesQuery, encode_cursor

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(st.tuples(INT64, st.text(max_size=20), st.text(max_size=4), INT64))
def test_a_cursor_is_the_key_again(key: tuple[int, str, str, int]):
    cursor = encode_cursor(key)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    if len(cursor) <= 512:
        assert TradesQuery(cursor=cursor).after == key


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str):
    with pytest.raises(ValidationError, match="next_cursor of this list"):
        TradesQuery(cursor=text)


@pytest.mark.parametrize(
    "key", [(1,), (2**63, "A", "V", 1), (1, "A", "V", 1, 1), ("1", "A", "V", 1), ()]
)
def test_the_cursor_of_another_list_is_refused(key: tuple[int | str, ...]):
    with pytest.raises(ValidationError, match="next_cursor of this list"):
        TradesQuery(cursor=encode_cursor(key))


def test_without_a_cursor_the_list_begins_at_its_beginning():
    assert BarsQuery(symbol="BRK.B").after is None
