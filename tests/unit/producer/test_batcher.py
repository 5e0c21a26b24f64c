import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.batcher import Batcher, PartitionKeys, Record

LINGER_MS, MAX_MESSAGES, MAX_BYTES = 100, 5, 60


def batcher() -> Batcher:
    return Batcher(linger_ms=LINGER_MS, max_messages=MAX_MESSAGES, max_bytes=MAX_BYTES)


def lines_of(record: Record) -> list[bytes]:
    return record.data.split(b"\n")[1:]


Addition = tuple[bytes, str, bytes, int]

additions = st.lists(
    st.tuples(
        st.sampled_from([b"header-1", b"header-2"]),
        st.sampled_from(["A", "B", "C"]),
        st.integers(0, 70).map(lambda size: b"x" * size),
        st.integers(0, 40),
    ),
    max_size=80,
)


@given(additions)
def test_nothing_is_lost_and_each_header_and_key_keeps_its_order(
    additions: list[Addition],
):
    box, now_ms = batcher(), 0
    sent: dict[tuple[bytes, str], list[bytes]] = {}
    records = []
    for place, (header, key, text, pause_ms) in enumerate(additions):
        now_ms += pause_ms
        line = b"%d:%b" % (place, text)
        sent.setdefault((header, key), []).append(line)
        records += box.close_due(now_ms)
        records += box.add(header, key, line, now_ms)
    records += box.close_all()
    received: dict[tuple[bytes, str], list[bytes]] = {}
    for record in records:
        header = record.data.split(b"\n")[0]
        received.setdefault((header, record.partition_key), []).extend(lines_of(record))
    assert received == sent


@given(additions)
def test_limits_hold(additions: list[Addition]):
    box, now_ms = batcher(), 0
    for header, key, line, pause_ms in additions:
        now_ms += pause_ms
        closed = box.close_due(now_ms) + box.add(header, key, line, now_ms)
        for record in closed:
            count = len(lines_of(record))
            assert record.messages == count <= MAX_MESSAGES
            assert len(record.data) <= MAX_BYTES or count == 1
        assert box.wait_ms(now_ms) > 0


def test_a_line_never_waits_longer_than_the_linger():
    #  added    A         B
    #  time     0        60          100: both leave together
    box = batcher()
    assert box.add(b"h", "A", b"1", 0) == []
    assert box.add(b"h", "B", b"2", 60) == []
    assert box.wait_ms(60) == 40
    assert box.close_due(99) == []
    assert [x.partition_key for x in box.close_due(100)] == ["A", "B"]
    assert box.close_due(1000) == []
    assert box.wait_ms(1000) == LINGER_MS


def test_a_full_record_leaves_at_once():
    box = batcher()
    closed = [box.add(b"h", "A", b"%d" % n, 0) for n in range(MAX_MESSAGES)]
    assert [len(x) for x in closed] == [0, 0, 0, 0, 1]
    assert closed[-1][0].data == b"h\n0\n1\n2\n3\n4"


def test_a_line_larger_than_a_record_gets_its_own():
    box = batcher()
    box.add(b"h", "A", b"small", 0)
    first, second = box.add(b"h", "A", b"x" * 100, 0)
    assert lines_of(first) == [b"small"]
    assert lines_of(second) == [b"x" * 100]


def test_a_record_has_one_header():
    box = batcher()
    for header in (b"h1", b"h2", b"h1"):
        assert box.add(header, "A", b"1", 0) == []
    assert [x.data for x in box.close_all()] == [b"h1\n1\n1", b"h2\n1"]


@pytest.mark.parametrize("symbol", [None, "", "X" * 257])
def test_no_usable_symbol_is_unknown(symbol: str | None):
    assert PartitionKeys(["A"]).of(symbol) == "unknown"


def test_the_symbol_is_the_key_up_to_64_symbols():
    assert PartitionKeys([f"S{n}" for n in range(64)]).of("AAPL") == "AAPL"


@pytest.mark.parametrize("symbols", [["*"], [f"S{n}" for n in range(65)]])
def test_many_symbols_share_64_stable_buckets(symbols: list[str]):
    keys = PartitionKeys(symbols)
    assert keys.of("AAPL") == "bucket-28"
    assert len({keys.of(f"S{n}") for n in range(5000)}) == 64
