"""The queue towards Kinesis: order, memory, and what is known to be stored."""

from hypothesis import given
from hypothesis import strategies as st

from producer.batcher import Record
from producer.outbox import Entry, Outbox
from producer.segments import Place

ON_DISK = {Place(1, n, 10): Record(f"K{n}", bytes(10), 1, 0.0) for n in range(100)}


def outbox(memory_bytes: int = 1_000) -> Outbox:
    return Outbox(lambda place, _: ON_DISK.get(place), memory_bytes)


def entries(count: int) -> list[Entry]:
    records = enumerate(ON_DISK.items())
    return [Entry(n + 1, float(n), x, at) for n, (at, x) in records if n < count]


def test_what_is_more_than_memory_allows_comes_from_disk_in_order():
    box = outbox(memory_bytes=25)
    box.put(entries(6))
    assert box.memory_bytes == 20
    taken = box.take(10, 10_000)
    assert [record.partition_key for _, record in taken] == [f"K{n}" for n in range(6)]
    box.settle([entry for entry, _ in taken], [])
    assert (box.memory_bytes, box.depth, box.stored_until) == (0, 0, 6)


def test_what_is_damaged_on_disk_holds_nothing_back():
    box = outbox(memory_bytes=0)
    lost = Place(2, 0, 10)
    box.put([*entries(2), Entry(3, 0.0, None, lost), Entry(4, 0.0, None, lost)])
    taken = box.take(10, 10_000)
    assert [entry.number for entry, _ in taken] == [1, 2]
    box.settle([entry for entry, _ in taken], [])
    assert (box.depth, box.stored_until, box.oldest_ms) == (0, 4, None)


def test_a_record_that_is_nowhere_else_stays_in_memory():
    box = outbox(memory_bytes=5)
    record = Record("K", bytes(10), 1, 0.0)
    box.put([Entry(1, 0.0, record)])
    ((_, taken),) = box.take(1, 1)
    assert taken is record


def test_stored_until_stops_before_the_first_that_is_not():
    box = outbox()
    box.put(entries(4))
    first, second, third, fourth = [entry for entry, _ in box.take(10, 10_000)]
    box.settle([first, second, third, fourth], [second])
    assert (box.stored_until, box.depth) == (1, 1)
    assert box.oldest_ms == 1.0
    ((again, _),) = box.take(10, 10_000)
    box.settle([again], [])
    assert (box.stored_until, box.depth, box.oldest_ms) == (4, 0, None)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 31)), max_size=60))
def test_every_record_leaves_once_and_memory_is_counted_right(
    steps: list[tuple[int, int]],
):
    box, sent = outbox(memory_bytes=35), []
    box.put(entries(40))
    for most, failing in steps:
        batch = [entry for entry, _ in box.take(most, 10_000)]
        failed = [x for n, x in enumerate(batch) if failing >> n & 1]
        sent += [x.number for x in batch if x not in failed]
        box.settle(batch, failed)
        assert 0 <= box.memory_bytes <= 10 * box.depth
        assert box.depth == 40 - len(sent)
    while batch := [entry for entry, _ in box.take(7, 10_000)]:
        sent += [x.number for x in batch]
        box.settle(batch, [])
    assert sorted(sent) == list(range(1, 41))
    assert (box.memory_bytes, box.stored_until) == (0, 40)
