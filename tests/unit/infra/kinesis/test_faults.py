from infra.local.kinesis.faults import DuplicateFaults


def choices(rate: float, seed: int) -> list[bool]:
    faults = DuplicateFaults(rate, seed)
    return [faults.strikes() for _ in range(10_000)]


def test_the_same_seed_makes_the_same_choices():
    assert choices(0.02, seed=7) == choices(0.02, seed=7)
    assert choices(0.02, seed=7) != choices(0.02, seed=8)


def test_the_share_is_the_rate():
    assert 150 <= sum(choices(0.02, seed=7)) <= 250


def test_without_a_rate_nothing_fails():
    assert not any(choices(0, seed=7))


def test_a_rate_of_one_fails_everything():
    assert all(choices(1, seed=7))
