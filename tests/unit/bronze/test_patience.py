"""How long a shard is left alone after a failure."""

import pytest

from bronze.calls import Throttled
from bronze.patience import Patience
from conf.errors import RetryLater

AWAY = RetryLater("503")


def waits_s(error: RetryLater, failures: int) -> list[float]:
    """Fail whenever it is due; return how long each wait was."""
    patience, now_s, waits = Patience(), 0.0, list[float]()
    for _ in range(failures):
        patience.failed("s0", error, now_s)
        failed_s = now_s
        while not patience.is_due("s0", now_s):
            now_s += 0.01
        waits.append(now_s - failed_s)
    return waits


def test_a_failure_is_followed_by_a_rest_that_doubles():
    waits = waits_s(AWAY, 8)

    for wait, most in zip(waits, (0.5, 1, 2, 4, 8, 8, 8, 8), strict=True):
        assert most / 2 <= wait <= most + 0.02


def test_a_good_read_ends_the_waiting():
    patience = Patience()
    patience.failed("s0", AWAY, 0.0)
    assert not patience.is_due("s0", 0.1)
    assert patience.is_due("s1", 0.1)

    patience.succeeded("s0")

    assert patience.is_due("s0", 0.1)


def test_kinesis_away_for_minutes_is_an_error():
    patience = Patience()
    patience.failed("s0", AWAY, 0.0)
    patience.failed("s0", AWAY, 299.0)

    with pytest.raises(RetryLater, match="503"):
        patience.failed("s0", AWAY, 301.0)


def test_throttling_may_last():
    patience = Patience()
    for minute in range(60):
        patience.failed("s0", Throttled("rate"), minute * 60.0)

    assert patience.is_due("s0", 3_600.0)
