import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.kinesis import iterators
from infra.local.kinesis.iterators import ShardIterator

unsigned = st.integers(0, (1 << 63) - 1)
shard_iterators = st.builds(ShardIterator, unsigned, unsigned, unsigned)


@given(shard_iterators)
def test_a_token_holds_the_iterator(iterator: ShardIterator):
    assert iterators.decode(iterators.encode(iterator)) == iterator


@given(st.text(max_size=80))
def test_text_is_no_token(text: str):
    with pytest.raises(ValueError, match="not a shard iterator"):
        iterators.decode(text)


@given(shard_iterators, st.integers(0, 31), st.integers(1, 255))
def test_a_changed_byte_is_noticed(
    iterator: ShardIterator, place: int, difference: int
):
    raw = bytearray(base64.b64decode(iterators.encode(iterator)))
    raw[place] ^= difference

    with pytest.raises(ValueError, match="not a shard iterator"):
        iterators.decode(base64.b64encode(raw).decode())


def test_it_lives_five_minutes():
    iterator = ShardIterator(shard_key=1, position=2, issued_ms=1_000)

    assert not iterator.has_expired(now_ms=301_000)
    assert iterator.has_expired(now_ms=301_001)
