"""What batches say about speed: warm-up left out, each life for its own figure."""

from infra.local.bench.contender import Taken
from infra.local.bench.figures import speed_of

MESSAGES = [4_000] * 100


def life(number: int, first: int, seconds: int, *taken_ms: float) -> list[Taken]:
    """Return consecutive batches; each second of them costs 10 ms of CPU."""
    return [
        Taken(
            number,
            first + place * seconds,
            seconds,
            ms,
            cpu_s=1.0 + 0.01 * seconds * (place + 1),
            rss_mb=100.0 + place,
        )
        for place, ms in enumerate(taken_ms)
    ]


def test_a_life_is_told_without_its_first_batches():
    kept_up = life(0, 0, 1, 9_000.0, *[100.0] * 9)
    caught_up = life(1, 10, 20, 8_000.0, 1_000.0, 1_000.0)
    speed = speed_of([*kept_up, *caught_up], MESSAGES, back_s=3.21)
    assert speed.batch_ms == {"p50": 100.0, "p99": 100.0}
    assert speed.messages_per_s == 80_000.0
    assert speed.cpu_s_per_million == 2.5
    assert (speed.first_ms, speed.back_s) == (9_000.0, 3.2)
    assert speed.batches == [8, 2]
    assert speed.peak_rss_mb == 109.0


def test_an_only_batch_counts_cold_as_it_is():
    batches = [*life(0, 0, 1, 500.0), *life(1, 1, 20, 4_000.0)]
    speed = speed_of(batches, MESSAGES, back_s=1.0)
    assert speed.batch_ms["p50"] == 500.0
    assert speed.messages_per_s == 20_000.0
    assert speed.cpu_s_per_million == round(1.01 / 4_000 * 1e6, 2)
    assert speed.batches == [1, 1]


def test_the_last_batch_may_hold_fewer_seconds_and_messages():
    messages = [4_000, 4_000, 4_000, 100]
    batches = [*life(0, 0, 1, 50.0, 50.0), Taken(1, 2, 2, 1_000.0, 1.0, 1.0)]
    assert speed_of(batches, messages, back_s=0.0).messages_per_s == 4_100.0
