from hypothesis import given
from hypothesis import strategies as st

from infra.local.kinesis.limits import (
    MIB,
    UNLIMITED,
    Limits,
    ShardBudget,
    TokenBucket,
)

NOON_MS = 1_795_000_000_000


def admitted_writes(budget: ShardBudget, size_bytes: int, at_ms: int) -> int:
    """Write until refused."""
    count = 0
    while count < 10_000 and budget.admit_write(size_bytes, at_ms):
        count += 1
    return count


def test_a_thousand_small_records_pass_in_an_instant():
    assert admitted_writes(ShardBudget(Limits()), 10, NOON_MS) == 1_000


def test_the_record_budget_refills_with_time():
    budget = ShardBudget(Limits())
    admitted_writes(budget, 10, NOON_MS)

    assert admitted_writes(budget, 10, NOON_MS + 250) == 250
    assert admitted_writes(budget, 10, NOON_MS + 60_000) == 1_000


def test_one_mib_passes_in_an_instant():
    assert admitted_writes(ShardBudget(Limits()), 4_096, NOON_MS) == 256


def test_a_refused_record_costs_nothing():
    budget = ShardBudget(Limits())
    assert admitted_writes(budget, MIB // 2, NOON_MS) == 2

    assert not budget.admit_write(1, NOON_MS)
    assert budget.admit_write(MIB // 2, NOON_MS + 500)


def test_a_record_of_ten_mib_passes_and_is_paid_off_afterwards():
    budget = ShardBudget(Limits())

    assert budget.admit_write(10 * MIB, NOON_MS)
    assert not budget.admit_write(1, NOON_MS + 9_000)
    assert budget.admit_write(1, NOON_MS + 9_001)


def test_five_reads_a_second():
    budget = ShardBudget(Limits())

    assert [budget.admit_read(NOON_MS) for _ in range(6)] == [True] * 5 + [False]
    assert budget.admit_read(NOON_MS + 200)
    assert not budget.admit_read(NOON_MS + 200)


def test_ten_mib_read_block_the_shard_for_five_seconds():
    budget = ShardBudget(Limits())
    assert budget.admit_read(NOON_MS)
    budget.charge_read(10 * MIB)

    assert not budget.admit_read(NOON_MS + 4_999)
    assert budget.admit_read(NOON_MS + 5_000)


def test_two_mib_read_do_not_block_the_next_read():
    budget = ShardBudget(Limits())
    budget.admit_read(NOON_MS)
    budget.charge_read(2 * MIB)

    assert budget.admit_read(NOON_MS + 1)


def test_five_iterators_a_second():
    budget = ShardBudget(Limits())

    assert [budget.admit_iterator(NOON_MS) for _ in range(6)] == [True] * 5 + [False]


def test_without_limits_everything_passes():
    budget = ShardBudget(UNLIMITED)

    assert admitted_writes(budget, 10 * MIB, NOON_MS) == 10_000


@given(
    st.integers(1, 10_000),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 5_000)), max_size=50),
)
def test_never_more_than_the_rate_and_one_burst(
    per_second: int, attempts: list[tuple[int, int]]
):
    bucket = TokenBucket(per_second)
    now_ms, spent = NOON_MS, 0
    for pause_ms, amount in attempts:
        now_ms += pause_ms
        if amount <= per_second and bucket.covers(amount, now_ms):
            bucket.spend(amount)
            spent += amount

    assert spent <= per_second * (1 + (now_ms - NOON_MS) / 1000)


@given(st.integers(0, 100_000))
def test_a_clock_set_back_refills_nothing(step_ms: int):
    bucket = TokenBucket(1_000)
    bucket.level(NOON_MS)
    bucket.spend(1_000)

    assert bucket.level(NOON_MS - step_ms) == 0
